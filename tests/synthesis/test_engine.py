"""The engine: it goes down, tells of every step, and knows when to stop."""

import math
from itertools import pairwise

import pytest
import torch

from impasto.errors import ImpastoError
from impasto.synthesis.engine import Progress, descend

OPTIMIZERS = pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
TARGET = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))


def start() -> torch.Tensor:
    return torch.full((1, 3, 6, 8), 0.5)


def stretched(image: torch.Tensor) -> dict[str, torch.Tensor]:
    """An ill-conditioned bowl around a picture, in two terms."""
    weights = torch.logspace(0, 4, 8)
    apart = (image - TARGET).square() * weights
    return {"left": apart[..., :4].sum(), "right": apart[..., 4:].sum()}


def run(objective, steps: int, **options) -> list[Progress]:
    return list(descend(objective, options.pop("image", start()), steps, **options))


@OPTIMIZERS
def test_every_step_is_told_and_the_loss_never_rises(optimizer):
    events = run(stretched, 12, optimizer=optimizer, plateau=0)
    assert [event.step for event in events] == list(range(1, 13))
    totals = [event.losses["total"] for event in events]
    assert all(later <= earlier for earlier, later in pairwise(totals))
    assert totals[-1] < 0.5 * float(sum(stretched(start()).values()))


@OPTIMIZERS
def test_losses_are_those_of_the_picture_told_with_them(optimizer):
    for event in run(stretched, 8, optimizer=optimizer):
        terms = {name: float(value) for name, value in stretched(event.image).items()}
        assert event.losses == pytest.approx(terms | {"total": sum(terms.values())}, rel=1e-4)
        assert event.image.shape == TARGET.shape and not event.image.requires_grad


@OPTIMIZERS
def test_evaluations_are_counted(optimizer):
    calls = 0

    def counted(image: torch.Tensor) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        return stretched(image)

    for event in descend(counted, start(), 10, optimizer=optimizer):
        assert event.evaluations == calls
    assert calls >= 10


@OPTIMIZERS
def test_the_start_is_not_changed(optimizer):
    image = start()
    run(stretched, 5, optimizer=optimizer, image=image)
    assert torch.equal(image, start())


def test_it_stops_on_a_plateau():
    def flat(image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": 1000 + stretched(image)["left"]}  # a thousandth of it is all that can be won

    assert len(run(flat, 300, plateau=0.01)) < 30
    # the same bowl without the thousand is descended much further
    assert len(run(stretched, 60, plateau=0.01)) > len(run(flat, 60, plateau=0.01))


def test_it_does_not_stop_while_there_is_progress():
    def steady(image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (image.mean() * 5).exp()}

    assert len(run(steady, 40, plateau=1e-3)) == 40


def test_a_negative_loss_may_fall_as_well():
    def falling(image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": -image.sum()}

    events = run(falling, 30, plateau=1e-3)
    assert len(events) == 30 and events[-1].losses["total"] < events[0].losses["total"] < 0


@OPTIMIZERS
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_at_the_start_is_an_error(optimizer, value):
    with pytest.raises(ImpastoError, match="not a finite number") as caught:
        run(lambda image: {"loss": image.sum() * value}, 5, optimizer=optimizer)
    assert "\n" not in str(caught.value)


@OPTIMIZERS
def test_a_start_that_cannot_be_bettered_is_kept(optimizer):
    events = run(lambda image: {"loss": (image - 0.5).square().sum()}, 30, optimizer=optimizer)
    assert len(events) < 30
    assert all(torch.equal(event.image, start()) and event.losses["total"] == 0 for event in events)


def test_adam_takes_a_bad_step_back_and_goes_on():
    bad = 0

    def walled(image: torch.Tensor) -> dict[str, torch.Tensor]:
        nonlocal bad
        loss = (image - 0.601).square().sum()
        if bool((image > 0.605).any()):  # steps of Adam's full rate run past this
            bad += 1
            loss = loss * math.nan
        return {"loss": loss}

    events = run(walled, 200, optimizer="adam", plateau=-1)
    assert bad > 0
    assert all(math.isfinite(event.losses["total"]) for event in events)
    assert (events[-1].image - 0.601).abs().max() < 2e-3


def test_adam_gives_up_where_every_step_is_bad():
    calls = 0

    def island(image: torch.Tensor) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        assert calls < 1000, "it tries for ever"
        safe = bool((image == 0.5).all())
        return {"loss": image.sum() * (1.0 if safe else math.nan)}

    events = run(island, 10**4, optimizer="adam", plateau=-1)
    assert len(events) < 100 and torch.equal(events[-1].image, start())


@OPTIMIZERS
def test_it_works_where_the_caller_has_switched_gradients_off(optimizer):
    with torch.no_grad():
        events = run(stretched, 5, optimizer=optimizer)
    assert events[-1].losses["total"] < float(sum(stretched(start()).values()))


@OPTIMIZERS
def test_two_runs_are_the_same(optimizer):
    first, second = (run(stretched, 10, optimizer=optimizer) for _ in range(2))
    assert all(torch.equal(a.image, b.image) for a, b in zip(first, second, strict=True))
