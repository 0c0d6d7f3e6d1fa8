"""The GAN of restoration: sharper pictures, the turns of the two, the same bits after a stop, and when it ends."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import ImpastoError, UsageError
from impasto.losses.names import AdversarialLossName
from impasto.runs import checkpoint as checkpoints
from impasto.training.loop import TrainingProgress
from impasto.translation.gan import adversary
from impasto.translation.gan.adversary import AdversarialPlan, train_adversarially
from impasto.translation.gan.curves import restoration_curves
from impasto.translation.gan.stopping import Check

Pair = tuple[Tensor, Tensor]


def pair(step: int, count: int = 8, size: int = 16) -> Pair:
    """Sharp stripes and checks of black and white at random places, and the same so blurred that the place is lost."""
    chance = torch.Generator().manual_seed(step)
    shift = torch.randint(0, 4, (count, 2, 1, 1), generator=chance)
    rows, columns = torch.arange(size).view(1, size, 1), torch.arange(size).view(1, 1, size)
    rows, columns = ((rows + shift[:, 0]) // 2) % 2, ((columns + shift[:, 1]) // 2) % 2
    stripes = torch.rand(count, 1, 1, generator=chance) < 0.5
    sharp = torch.where(stripes, rows.expand(-1, size, size), (rows + columns) % 2).float()
    sharp = sharp[:, None].expand(-1, 3, -1, -1) * 0.8 + 0.1
    noise = torch.randn(count, 3, size, size, generator=chance)
    return F.avg_pool2d(F.pad(sharp, (2, 2, 2, 2), mode="reflect"), 5, 1) + 0.2 * noise, sharp


def generator(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, padding=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Dropout2d(0.05),
        nn.Conv2d(16, 3, 5, padding=2),
    )


def mse(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().mean()


def sharpness(pictures: Tensor) -> float:
    """Energy of the gradient."""
    with torch.no_grad():
        return float(pictures.diff(dim=-1).square().mean() + pictures.diff(dim=-2).square().mean())


CRITIC = {"kind": "patch", "width": 16, "layers": 1, "norm": "spectral"}
PLAN = AdversarialPlan(
    steps=12, critic_steps=4, critic=CRITIC, learning_rate=1e-3, switch=None, average=0.9, watch=4, seed=3
)
VALIDATION = [pair(10_001), pair(10_002)]


@pytest.fixture(scope="module")
def pretrained() -> dict[str, Tensor]:
    """A generator that has learnt pixels only."""
    model = generator()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(80):
        source, target = pair(step)
        optimizer.zero_grad()
        mse(model(source), target).backward()
        optimizer.step()
    return model.state_dict()


def begun(state: dict[str, Tensor]) -> nn.Module:
    model = generator(1)
    model.load_state_dict(state)
    return model


def run(model: nn.Module, plan: AdversarialPlan = PLAN, **how: Any) -> list[TrainingProgress]:
    return list(train_adversarially(model, pair, mse, plan, **({"validation": VALIDATION} | how)))


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def test_pictures_become_sharper_than_pixels_alone_make_them(pretrained: dict[str, Tensor]) -> None:
    plain, model = begun(pretrained).eval(), begun(pretrained)
    plan = replace(
        PLAN, steps=120, critic_steps=20, critic_times=2.0, weights=(1.0, 5.0), switch=0.94, average=0.0, watch=40
    )
    events = run(model, plan)
    source, target = VALIDATION[0]
    before, after, true = sharpness(plain(source)), sharpness(model(source)), sharpness(target)
    assert before * 1.4 < after < true * 1.2
    assert float(mse(model(source), target).detach()) < 0.8 * float(mse(source, target))
    assert not model.training
    watched = [event.record for event in events if event.record["kind"] == "watch"]
    assert [one["game_step"] for one in watched] == [0, 40, 80, 120]
    assert watched[-1]["distance"] < watched[0]["distance"] and watched[0]["merit"] == 0


@pytest.mark.parametrize("stop", [2, 5, 13])
def test_a_training_taken_up_from_a_file_ends_in_the_same_bits(
    stop: int, pretrained: dict[str, Tensor], tmp_path: Path
) -> None:
    plan = replace(PLAN, critic={"kind": "course", "width": 4, "blocks": 1}, auto_stop=True, tolerance=10.0)
    whole, first, again = (begun(pretrained) for _ in range(3))
    every = run(whole, plan)
    events = train_adversarially(first, pair, mse, plan, validation=VALIDATION)
    for _ in range(stop):
        event = next(events)
    checkpoints.save(tmp_path / "c.safetensors", event.checkpoint())
    torch.rand(7)  # the world's own chance has gone on
    rest = run(again, plan, begin_at=checkpoints.load(tmp_path / "c.safetensors"))
    assert same(whole, again)
    assert [event.record for event in rest] == [event.record for event in every[stop:]]


@pytest.mark.parametrize("loss", ["hinge", "least-squares", "wasserstein"])
def test_other_games_are_played_and_taken_up_too(loss: str, pretrained: dict[str, Tensor]) -> None:
    how = {"gradient_penalty": 10.0, "clip": 0.5} if loss == "wasserstein" else {}
    plan = replace(PLAN, loss=loss, **how)
    whole, first, again = (begun(pretrained) for _ in range(3))
    every = run(whole, plan)
    events = train_adversarially(first, pair, mse, plan, validation=VALIDATION)
    for _ in range(9):
        event = next(events)
    run(again, plan, begin_at=event.checkpoint())
    assert same(whole, again) and not same(whole, begun(pretrained))
    assert ("penalty_loss" in every[0].record) == (loss == "wasserstein")


def test_mixed_precision_plays_and_is_taken_up(pretrained: dict[str, Tensor]) -> None:
    plan = replace(PLAN, precision="bf16-mixed", average=0.0)
    whole, first, again = (begun(pretrained) for _ in range(3))
    run(whole, plan)
    events = train_adversarially(first, pair, mse, plan, validation=VALIDATION)
    for _ in range(9):
        event = next(events)
    run(again, plan, begin_at=event.checkpoint())
    assert same(whole, again) and whole[0].weight.dtype == torch.float32


def test_the_critic_learns_first_and_the_generator_waits(pretrained: dict[str, Tensor]) -> None:
    model = begun(pretrained)
    records = [event.record for event in run(model, replace(PLAN, steps=0, critic_steps=20))]
    assert [one["kind"] for one in records] == ["critic"] * 20 + ["watch"]
    assert records[19]["critic_loss"] < records[0]["critic_loss"]
    assert same(model, begun(pretrained))


@pytest.mark.parametrize(
    ("loss", "threshold"), [("bce", 0.94 * math.log(2)), ("hinge", 1.88), ("least-squares", 0.235)]
)
def test_with_a_threshold_the_generator_moves_only_after_a_loss_below_it(
    loss: AdversarialLossName, threshold: float, pretrained: dict[str, Tensor]
) -> None:
    """A part of what a critic loses that guesses, whatever the game."""
    plan = replace(PLAN, steps=40, critic_steps=0, loss=loss, switch=0.94, watch=40)
    records = [event.record for event in run(begun(pretrained), plan) if event.record["kind"] == "step"]
    assert records[0]["trained"] == "critic"
    for before, after in pairwise(records):
        below = before["trained"] == "critic" and before["critic_loss"] < threshold
        assert after["trained"] == ("generator" if below else "critic")
    assert {"critic", "generator"} == {one["trained"] for one in records}


def test_without_a_threshold_they_take_turns(pretrained: dict[str, Tensor]) -> None:
    records = [event.record for event in run(begun(pretrained)) if event.record["kind"] == "step"]
    assert [one["trained"] for one in records] == ["critic", "generator"] * 6
    assert records[-1]["generator_steps"] == 6


def test_a_critic_that_never_learns_enough_is_warned_of(
    pretrained: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    model = begun(pretrained)
    run(model, replace(PLAN, switch=1e-9, average=0.0))
    assert same(model, begun(pretrained))
    assert "the generator did not move: pretrain it longer" in caplog.text


def test_who_takes_turns_and_had_none_is_not_warned(
    pretrained: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    run(begun(pretrained), replace(PLAN, steps=1, switch=None))
    assert not caplog.records


def test_slopes_are_penalised_of_pictures_in_the_papers_range(
    pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A critic of slope 1 in [0, 1] has half of it in [-1, 1]."""

    class Slope(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, x: Tensor) -> Tensor:
            return self.scale * x.flatten(1).sum(1) / x[0].numel() ** 0.5

    monkeypatch.setattr("impasto.translation.gan.adversary.build_critic", lambda *_: Slope())
    plan = replace(PLAN, steps=1, critic_steps=0, loss="wasserstein", gradient_penalty=10.0)
    first = run(begun(pretrained), plan)
    penalty = next(event.record["penalty_loss"] for event in first if event.record["kind"] == "step")
    assert penalty == pytest.approx(0.25, abs=1e-3)


def test_each_loss_weighs_as_much_as_it_is_told_to(pretrained: dict[str, Tensor]) -> None:
    """Without the adversarial loss any critic leads to the same weights, and without the content loss any content does."""

    def trained(weights: tuple[float, float], width: int, content: Callable[[Tensor, Tensor], Tensor]) -> nn.Module:
        model = begun(pretrained)
        plan = replace(PLAN, steps=6, weights=weights, average=0.0, critic={**CRITIC, "width": width})
        list(train_adversarially(model, pair, content, plan))
        return model

    def other(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().mean()

    for weights, critics_count, contents_count in (((0.0, 1.0), False, True), ((1.0, 0.0), True, False)):
        model = trained(weights, 4, mse)
        assert same(model, trained(weights, 8, mse)) != critics_count
        assert same(model, trained(weights, 4, other)) != contents_count


def test_it_stops_behind_the_turn_and_gives_the_weights_of_the_turn(
    pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the looks replaced by a curve whose turn is known: nearer until the fourth, then content is lost."""
    found: list[dict[str, Tensor]] = []

    def look(game: Any, _loss: Any, _validation: Any, _plan: Any, played: int) -> Check:
        number = len(found)
        found.append({name: value.clone() for name, value in game.result.state_dict().items()})
        return Check(played, max(0.6, 0.9 - 0.1 * number), 1.0 + 0.3 * max(0, number - 3))

    monkeypatch.setattr(adversary, "_look", look)
    model = begun(pretrained)
    events = run(model, replace(PLAN, steps=400, auto_stop=True, patience=2, watch=4))
    watched = [event.record for event in events if event.record["kind"] == "watch"]
    turn = watched[-1]["best"]
    assert watched[-1]["stop"] and not any(one["stop"] for one in watched[:-1])
    assert len(watched) == turn + 1 + 2 and turn in (3, 4)
    assert all(map(torch.equal, model.state_dict().values(), found[turn].values()))
    assert events[-1].done < 0.2


def test_a_stopped_training_stays_stopped(pretrained: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adversary, "_look", lambda *given: Check(given[-1], 1.0, 1.0 + given[-1]))
    model, again = begun(pretrained), begun(pretrained)
    plan = replace(PLAN, auto_stop=True, patience=1, steps=40)
    last = run(model, plan)[-1]
    assert last.record["stop"]
    assert run(again, plan, begin_at=last.checkpoint()) == []
    assert same(model, again)


def test_the_curves_are_drawn_from_the_records(pretrained: dict[str, Tensor]) -> None:
    records = [event.record for event in run(begun(pretrained))]
    assert restoration_curves(records).startswith(b"\x89PNG")
    assert restoration_curves([]).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"auto_stop": True}, "no validation pictures to stop by"),
        ({"steps": -1}, "none of the first may be negative"),
        ({"watch": 0}, "at least 1"),
        ({"loss": "wgan"}, "no adversarial loss 'wgan'"),
        ({"critic": {"kind": "none"}}, "no critic 'none'"),
    ],
)
def test_a_plan_that_makes_no_sense_is_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run(generator(), replace(PLAN, **change), validation=())


@pytest.mark.parametrize("who", ["critic", "generator"])
def test_a_loss_that_is_no_number_ends_it_in_words(who: str) -> None:
    broken: Callable[[int], Pair] = lambda step: (pair(step)[0] * float("nan"), pair(step)[1])  # noqa: E731
    content = (lambda output, target: mse(output, target) * float("nan")) if who == "generator" else mse
    with pytest.raises(ImpastoError, match=f"the {who}'s loss became nan: a lower learning rate"):
        list(train_adversarially(generator(), pair if who == "generator" else broken, content, PLAN))
