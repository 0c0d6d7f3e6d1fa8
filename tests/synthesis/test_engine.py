"""The engine: it goes down, tells of every step, knows when to stop, and goes on from any step to the same bits."""

import math
from itertools import islice, pairwise

import pytest
import torch

from impasto.errors import ImpastoError
from impasto.runs import checkpoint
from impasto.runs.checkpoint import Checkpoint
from impasto.synthesis.engine import PLATEAU, Descent, Walk
from impasto.synthesis.point import Point, with_autograd

OPTIMIZERS = pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
TARGET = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))


def start() -> torch.Tensor:
    return torch.full((1, 3, 6, 8), 0.5)


def stretched(image: torch.Tensor) -> dict[str, torch.Tensor]:
    """An ill-conditioned bowl around a picture, in two terms."""
    weights = torch.logspace(0, 4, 8)
    apart = (image - TARGET).square() * weights
    return {"left": apart[..., :4].sum(), "right": apart[..., 4:].sum()}


def begin(objective, steps: int, *, image: torch.Tensor | None = None, **walk) -> Descent:
    return Descent.begin(with_autograd(objective), start() if image is None else image, Walk(steps, **walk))


def run(objective, steps: int, **options) -> list[Point]:
    return list(begin(objective, steps, **options))


def test_every_step_is_told_and_lbfgs_never_goes_up():
    points = run(stretched, 12, plateau=0)
    assert len(points) == 12
    assert all(later.loss <= earlier.loss for earlier, later in pairwise(points))
    assert points[-1].loss < 0.5 * float(sum(stretched(start()).values()))


def test_adam_makes_all_its_steps_and_goes_down_in_the_end():
    descent = begin(stretched, 60, optimizer="adam", plateau=0.5)
    points = list(descent)
    assert len(points) == descent.step == 60 and descent.finished
    assert points[-1].loss < 0.1 * float(sum(stretched(start()).values()))


@OPTIMIZERS
def test_losses_are_those_of_the_picture_told_with_them(optimizer):
    descent = begin(stretched, 8, optimizer=optimizer)
    for point in descent:
        terms = {name: float(value) for name, value in stretched(point.x).items()}
        assert point.terms == pytest.approx(terms, rel=1e-4) and point.loss == pytest.approx(
            sum(terms.values()), rel=1e-4
        )
        assert torch.equal(descent.image, point.x) and not point.x.requires_grad
        assert descent.losses[-1] == point.loss


@OPTIMIZERS
def test_the_start_is_not_changed(optimizer):
    image = start()
    run(stretched, 5, optimizer=optimizer, image=image)
    assert torch.equal(image, start())


@OPTIMIZERS
def test_before_the_first_step_the_picture_is_the_start(optimizer):
    for average in (0.0, 0.9):
        assert torch.equal(begin(stretched, 5, optimizer=optimizer, average=average).image, start())


def flat(image: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"loss": 1000 + stretched(image)["left"]}  # a thousandth of it is all that can be won


def test_it_stops_on_a_plateau():
    assert PLATEAU < len(run(flat, 300, plateau=0.01)) < 30
    # the same bowl without the thousand is descended much further
    assert len(run(stretched, 60, plateau=0.01)) > len(run(flat, 60, plateau=0.01))


def test_it_does_not_stop_while_there_is_progress():
    def steady(image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (image.mean() * 5).exp()}

    assert len(run(steady, 40, plateau=1e-3)) == 40


def test_a_negative_loss_may_fall_as_well():
    def falling(image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": -image.sum()}

    points = run(falling, 30, plateau=1e-3)
    assert len(points) == 30 and points[-1].loss < points[0].loss < 0


@OPTIMIZERS
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_at_the_start_is_an_error(optimizer, value):
    with pytest.raises(ImpastoError, match="not a finite number") as caught:
        begin(lambda image: {"loss": image.sum() * value}, 5, optimizer=optimizer)
    assert "\n" not in str(caught.value)


@OPTIMIZERS
def test_a_start_that_cannot_be_bettered_is_kept_and_told_once_at_least(optimizer):
    points = run(lambda image: {"loss": (image - 0.5).square().sum()}, 30, optimizer=optimizer)
    assert 1 <= len(points) <= 30
    assert all(torch.equal(point.x, start()) and point.loss == 0 for point in points)


@OPTIMIZERS
def test_it_works_where_the_caller_has_switched_gradients_off(optimizer):
    with torch.no_grad():
        points = run(stretched, 10, optimizer=optimizer)
    assert points[-1].loss < float(sum(stretched(start()).values()))


@OPTIMIZERS
def test_pictures_of_any_layout_in_memory_are_moved(optimizer):
    image = start().contiguous(memory_format=torch.channels_last)
    points, expected = (run(stretched, 6, optimizer=optimizer, image=one) for one in (image, start()))
    torch.testing.assert_close(points[-1].x, expected[-1].x)


def test_the_average_is_that_of_the_pictures_with_weights_that_decay():
    decay = 0.8
    descent = begin(stretched, 9, average=decay, plateau=0)
    pictures = []
    for point in descent:
        pictures.append(point.x.clone())
        weights = [decay ** (len(pictures) - 1 - n) for n in range(len(pictures))]
        mean = sum(w * x for w, x in zip(weights, pictures, strict=True)) / sum(weights)
        torch.testing.assert_close(descent.image, mean, rtol=1e-5, atol=1e-6)
        if len(pictures) == 1:
            torch.testing.assert_close(descent.image, point.x, rtol=1e-6, atol=1e-6)


# Going on

WALKS = {
    "lbfgs": Walk(9, history=4, plateau=0),
    "lbfgs in half precision": Walk(9, history=4, half=True, plateau=0),
    "adam": Walk(9, optimizer="adam"),
    "lbfgs, averaged": Walk(9, history=4, plateau=0, average=0.7),
    "adam, averaged": Walk(9, optimizer="adam", average=0.7),
    "lbfgs to a plateau": Walk(40, history=5, plateau=0.01, average=0.5),
    "lbfgs with an objective that is wild": Walk(12, history=3, plateau=-1),
}


def bumpy(image: torch.Tensor) -> dict[str, torch.Tensor]:
    """A bowl with bumps and a wall: line searches are long, and steps are taken back."""
    loss = (image - TARGET).square().sum() + 0.3 * torch.sin(20 * image).sum()
    return {"loss": loss * math.nan if bool((image > 1.3).any()) else loss}


@pytest.mark.parametrize("name", list(WALKS))
def test_it_goes_on_from_any_step_to_the_same_bits(name, tmp_path):
    walk = WALKS[name]
    objective = flat if "plateau" in name else bumpy if "wild" in name else stretched
    evaluate = with_autograd(objective)
    through = Descent.begin(evaluate, start(), walk)
    cuts = [tmp_path / "0"]
    checkpoint.save(cuts[0], Checkpoint(*through.state()))
    told = []
    for point in through:
        told.append((point.loss, point.terms, through.image.clone()))
        cuts.append(tmp_path / str(through.step))
        checkpoint.save(cuts[-1], Checkpoint(*through.state()))
    assert len(cuts) > (5 if "wild" in name else PLATEAU if "plateau" in name else walk.steps)
    for cut, path in enumerate(cuts):
        found = checkpoint.load(path)
        again = Descent.restored(evaluate, walk, found.tensors, found.facts)
        assert again.step == cut and (cut == 0 or torch.equal(again.image, told[cut - 1][2]))
        for (loss, terms, image), point in zip(told[cut:], again, strict=True):
            assert point.loss == loss and point.terms == terms and torch.equal(again.image, image)
        assert again.step == through.step and again.losses == through.losses


@OPTIMIZERS
def test_nothing_is_evaluated_when_it_is_taken_up_again(optimizer):
    descent = begin(stretched, 5, optimizer=optimizer)
    list(islice(descent, 2))
    tensors, facts = descent.state()

    def never(image: torch.Tensor) -> Point:
        raise AssertionError

    again = Descent.restored(never, descent.walk, tensors, facts)
    assert again.step == 2 and torch.equal(again.image, descent.image)


@OPTIMIZERS
def test_two_runs_are_the_same(optimizer):
    first, second = (run(stretched, 10, optimizer=optimizer) for _ in range(2))
    assert all(torch.equal(a.x, b.x) for a, b in zip(first, second, strict=True))
