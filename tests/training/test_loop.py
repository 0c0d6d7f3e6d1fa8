"""The training loop: learns, resumes to the same bits, and keeps what is frozen."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from impasto.errors import ImpastoError
from impasto.runs import checkpoint as checkpoints
from impasto.training.loop import Plan, TrainingProgress, train
from impasto.training.schedules import constant, one_cycle, one_cycle_momentum


@dataclass
class Curve:
    """Learns whether a point lies inside a circle."""

    steps: int = 5
    held_out: bool = True
    poison: int | None = None

    def batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(start, self.steps):
            chance = torch.Generator().manual_seed(1000 * epoch + step)
            points = torch.rand(32, 2, generator=chance) * 2 - 1
            yield points, (points.square().sum(1) < 0.6).long()

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        if self.poison is not None:
            self.poison -= 1
            if self.poison < 0:
                return loss * float("nan")
        return loss

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        if not self.held_out:
            return {}
        points, inside = next(self.batches(99, 0))
        logits = model(points)
        return {
            "loss": float(nn.functional.cross_entropy(logits, inside)),
            "accuracy": float((logits.argmax(1) == inside).float().mean()),
        }


PLAN = Plan(epochs=4, learning_rates=(1e-2,), schedule=one_cycle(), momentum=one_cycle_momentum(), seed=3)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))


def run(model: nn.Module, plan: Plan = PLAN, task: Curve | None = None, **how: object) -> list[TrainingProgress]:
    return list(train(model, [model], task or Curve(), plan, **how))  # type: ignore[arg-type]


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_it_learns() -> None:
    model = network()
    events = run(model, replace(PLAN, epochs=40, learning_rates=(3e-2,)))
    assert events[-1].losses["accuracy"] > 0.85
    assert not model.training


def test_every_step_and_epoch_is_told() -> None:
    events = run(network())
    kinds = [event.record["kind"] for event in events]
    assert kinds == (["step"] * 4 + ["epoch"]) * 4
    assert events[-1].done == 1
    assert [event.record["step"] for event in events] == list(range(1, 21))
    assert events[-1].record["valid_loss"] == events[-1].losses["loss"]


@pytest.mark.parametrize("name", ["adamw", "momentum", "eve", "eve-v1", "rmsprop", "adagrad", "sgd", "adam"])
@pytest.mark.parametrize("stop", [3, 5, 12])
def test_a_training_taken_up_from_a_file_ends_in_the_same_bits(name: str, stop: int, tmp_path: Path) -> None:
    plan = replace(PLAN, optimizer=name, average=0.9, patience=9)  # type: ignore[arg-type]
    whole = network()
    run(whole, plan)
    first = network()
    events = train(first, [first], Curve(), plan)
    for _ in range(stop):
        event = next(events)
    checkpoints.save(tmp_path / "c.safetensors", event.checkpoint())
    torch.rand(7)  # the world's own chance has gone on
    again = network()
    run(again, plan, begin_at=checkpoints.load(tmp_path / "c.safetensors"))
    assert same(whole, again)


def test_the_randomness_outside_is_left_alone() -> None:
    model = network()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_other_seeds_drop_other_units() -> None:
    one, other = network(), network()
    run(one)
    run(other, replace(PLAN, seed=4))
    assert not same(one, other)


def test_frozen_modules_keep_their_statistics() -> None:
    model = network()
    model[:2].requires_grad_(False)
    before = {name: value.clone() for name, value in model[:2].state_dict().items()}
    run(model)
    assert all(torch.equal(before[name], value) for name, value in model[:2].state_dict().items())
    assert model[4].weight.grad is None


def test_a_training_that_gets_no_better_ends_with_its_best_weights() -> None:
    model = network()
    plan = Plan(epochs=60, learning_rates=(0.5,), schedule=constant(), patience=2)
    events = run(model, plan)
    epochs = [event for event in events if event.record["kind"] == "epoch"]
    losses = [event.losses["loss"] for event in epochs]
    assert len(epochs) < 60
    assert min(losses) == losses[-3]
    with torch.no_grad():
        assert Curve().evaluate(model)["loss"] == pytest.approx(min(losses), abs=1e-6)


def test_without_held_out_pictures_patience_waits_for_ever() -> None:
    events = run(network(), replace(PLAN, patience=1), Curve(held_out=False))
    assert events[-1].record["epoch"] == 4


def test_the_average_of_the_weights_is_the_result() -> None:
    plain, averaged = network(), network()
    run(plain)
    run(averaged, replace(PLAN, average=0.99))
    assert not same(plain, averaged)
    assert averaged[4].weight.norm() < plain[4].weight.norm() * 1.5


def test_a_gradient_is_clipped() -> None:
    plan = Plan(epochs=1, learning_rates=(1.0,), schedule=constant(), optimizer="sgd", weight_decay=0, clip=1e-3)
    model = nn.Linear(2, 2)
    before = torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])
    run(model, plan, Curve(steps=1))
    moved = torch.cat([parameter.detach().flatten() for parameter in model.parameters()]) - before
    assert float(moved.norm()) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_learns_and_resumes(precision: str) -> None:
    plan = replace(PLAN, epochs=30, learning_rates=(3e-2,), precision=precision)  # type: ignore[arg-type]
    whole = network()
    assert run(whole, plan)[-1].losses["accuracy"] > 0.75
    assert whole[4].weight.dtype == torch.float32
    first, again = network(), network()
    events = train(first, [first], Curve(), plan)
    for _ in range(7):
        event = next(events)
    run(again, plan, begin_at=event.checkpoint())
    assert same(whole, again)


def test_losses_are_scaled_in_half_precision() -> None:
    model = network()
    events = train(model, [model], Curve(), replace(PLAN, precision="16-mixed"))
    facts = next(events).checkpoint().facts
    assert facts["scaler"]["scale"] >= 1024
    assert next(train(network(), [model], Curve(), PLAN)).checkpoint().facts["scaler"] == {}


def test_a_loss_that_is_no_number_ends_the_training_in_words() -> None:
    with pytest.raises(ImpastoError, match="the loss became nan in epoch 2, step 3: a lower learning rate"):
        run(network(), task=Curve(poison=7))


def test_groups_have_learning_rates_of_their_own() -> None:
    model = network()
    lower, upper = model[0].weight.detach().clone(), model[4].weight.detach().clone()
    plan = Plan(epochs=1, learning_rates=(1e-6, 1e-1), schedule=constant(), optimizer="adam", weight_decay=0)
    list(train(model, [model[:3], model[3:]], Curve(), plan))
    assert (model[0].weight - lower).abs().max() < 1e-4
    assert (model[4].weight - upper).abs().max() > 1e-2


def test_scores_that_are_no_numbers_are_left_out_of_the_records(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Curve):
        def evaluate(self, model: nn.Module) -> dict[str, float]:
            return {"loss": float("nan"), "psnr": float("inf"), "ssim": 0.5}

    with caplog.at_level(logging.WARNING, "impasto"):
        events = run(network(), replace(PLAN, epochs=2, patience=1), Odd())
    epoch = events[-1]
    assert "valid_loss" not in epoch.record and epoch.record["valid_ssim"] == 0.5 == epoch.losses["ssim"]
    assert "psnr" not in epoch.losses
    json.dumps([event.record for event in events], allow_nan=False)
    assert caplog.messages[:2] == [f"{name}: it is left out of the records" for name in ("loss is nan", "psnr is inf")]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_an_epoch_gives_the_network_that_it_has_judged(average: float) -> None:
    model = network()
    events = train(model, [model], Curve(), replace(PLAN, average=average))
    for event in events:
        if event.record["kind"] == "step":
            assert event.judged is None
            continue
        assert event.judged is not None and (event.judged is model) is not bool(average)
        assert not event.judged.training and Curve().evaluate(event.judged)["loss"] == event.losses["loss"]
