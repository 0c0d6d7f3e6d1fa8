"""The play of pictures from noise: its two sides, its schedules, and the same bits after a stop."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from impasto.losses.adversarial import gradient_penalty
from impasto.runs import checkpoint as checkpoints
from impasto.translation.gan.curves import noise_curves
from impasto.translation.gan.generator import build_generator
from impasto.translation.gan.options import GanOptions
from impasto.translation.gan.pictures import RealPictures
from impasto.translation.gan.play import new_critic, noise, play
from impasto.translation.gan.progressive import ProgressiveCritic


def bars(count: int = 40, size: int = 16) -> RealPictures:
    """Gray pictures of one bright bar each, upright, three pixels wide, somewhere on a dark ground."""
    pixels = []
    for number in range(count):
        picture = torch.full((1, size, size), 30, dtype=torch.uint8)
        picture[:, :, number % (size - 3) : number % (size - 3) + 3] = 220
        pixels.append(picture)
    return RealPictures(pixels, size, "bars")


SMALL: dict[str, Any] = {"size": 16, "width": 8, "noise": 8, "batch_size": 8, "steps": 4, "average": 0.9, "seed": 2}


def options(kind: str, **more: Any) -> GanOptions:
    return GanOptions(**{"kind": kind, **SMALL, **more})


def new(how: GanOptions) -> nn.Module:
    return build_generator(how.generator(1), how.seed)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


@pytest.mark.parametrize("kind", ["wgan", "wgan-gp", "progressive"])
@pytest.mark.parametrize("stop", [1, 3])
def test_a_play_taken_up_from_a_file_ends_in_the_same_bits(kind: str, stop: int, tmp_path: Path) -> None:
    how = options(kind, flip=True)
    whole, first, again = (new(how) for _ in range(3))
    every = list(play(whole, bars(), how))
    events = play(first, bars(), how)
    for _ in range(stop):
        event = next(events)
    checkpoints.save(tmp_path / "c.safetensors", event.checkpoint())
    torch.rand(7)  # the world's own chance has gone on
    rest = list(play(again, bars(), how, begin_at=checkpoints.load(tmp_path / "c.safetensors")))
    assert same(whole, again) and not same(whole, new(how)) and not whole.training
    assert [event.record for event in rest] == [event.record for event in every[stop:]]
    assert every[-1].done == 1


def test_the_worlds_chance_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    list(play(new(options("wgan-gp")), bars(), options("wgan-gp", steps=1)))
    assert torch.equal(torch.get_rng_state(), before)


def test_clipped_weights_stay_in_bounds_and_the_schedule_is_kept() -> None:
    how = options("wgan", bursts=True, steps=1, batch_size=2)
    event = next(play(new(how), bars(), how))
    assert event.record["critic_steps"] == 100
    critic = {k: v for k, v in event.checkpoint().tensors.items() if k.startswith("critic.") and "running" not in k}
    floats = [value for value in critic.values() if value.is_floating_point()]
    assert max(float(value.abs().max()) for value in floats) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("kind", "more", "norms"),
    [("wgan", {}, nn.BatchNorm2d), ("wgan-gp", {}, None), ("wgan", {"spectral": True}, None)],
)
def test_critics_have_batch_norm_only_where_no_gradient_is_penalised(kind: str, more: Any, norms: Any) -> None:
    critic = new_critic(options(kind, **more), 1)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in critic.modules()) == (norms is not None)
    assert any("parametrizations" in name for name, _ in critic.named_parameters()) == bool(more)


def test_slopes_are_penalised_of_pictures_in_the_papers_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """In [-1, 1] a slope is half of what it is in [0, 1], so that a penalty there would be four times as heavy."""
    seen = []

    def spy(critic: Any, real: torch.Tensor, made: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        seen.append((real.min().item(), real.max().item(), critic(real)))
        return gradient_penalty(critic, real, made, chance)

    monkeypatch.setattr("impasto.translation.gan.game.gradient_penalty", spy)
    how = options("wgan-gp", steps=1, critic_steps=1)
    list(play(new(how), bars(), how))
    (low, high, scores), critic = seen[0], new_critic(how, 1)
    assert low == pytest.approx(2 * 30 / 255 - 1) and high == pytest.approx(2 * 220 / 255 - 1)
    torch.testing.assert_close(scores, critic(bars().batch(0, 8, seed=2)))


@pytest.mark.parametrize("kind", ["wgan", "wgan-gp"])
def test_the_learning_rate_of_both_falls_in_the_second_half(kind: str) -> None:
    how = options(kind, learning_rate=1e-3)
    for event in play(new(how), bars(), how):
        facts = event.checkpoint().facts["optimizers"]
        rates = {group["lr"] for side in ("generator", "critic") for group in facts[side]["groups"]}
        assert rates == {how.learning_rate_at(event.record["step"] - 1)}
    assert rates == {5e-4}


def test_a_progressive_play_grows_through_all_sizes() -> None:
    how = options("progressive", steps=10)
    events = list(play(new(how), bars(), how))
    assert [event.at.level for event in events if event.at] == [0] * 2 + [1] * 3 + [2] * 5
    assert events[0].where == "step 1/10, 4 pixels" and events[-1].where == "step 10/10, 16 pixels"
    assert isinstance(new_critic(how, 1), ProgressiveCritic)


def test_a_generator_learns_where_bars_are_bright_and_ground_is_dark() -> None:
    """After some steps pictures are as dark as the real ones and vary along rows, as bars do, more than along columns."""
    how = options("wgan-gp", steps=60, learning_rate=2e-3, critic_steps=3, width=8, average=0.5)
    model = new(how)
    z = noise(16, how.noise, 99)
    before = model.eval()(z).detach()
    list(play(model, bars(), how))
    after = model(z).detach()
    across, down = (float(after.diff(dim=dim).abs().mean()) for dim in (-1, -2))
    assert across > 1.3 * down and across > 100 * float(before.diff(dim=-1).abs().mean())
    assert float(before.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(after.mean()) == pytest.approx(0.257, abs=0.1)  # the real ones'


def test_the_average_is_the_result() -> None:
    plain, averaged = new(options("wgan-gp")), new(options("wgan-gp"))
    *_, last = play(plain, bars(), options("wgan-gp", average=0.0))
    *_, other = play(averaged, bars(), options("wgan-gp", average=0.99))
    assert last.judged is plain and same(other.judged, averaged) and not same(plain, averaged)


def test_curves_are_drawn_of_any_kinds_records() -> None:
    for kind in ("wgan", "wgan-gp"):
        how = options(kind, steps=2)
        assert noise_curves([event.record for event in play(new(how), bars(), how)]).startswith(b"\x89PNG")


def test_noise_depends_on_its_seeds_alone() -> None:
    assert torch.equal(noise(3, 5, 1, 2), noise(3, 5, 1, 2))
    assert not torch.equal(noise(3, 5, 1, 2), noise(3, 5, 2, 1))
    many = noise(2000, 4, 7)
    assert float(many.mean()) == pytest.approx(0, abs=0.05) and float(many.std()) == pytest.approx(1, abs=0.05)
