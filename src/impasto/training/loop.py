"""The training loop: takes batches, moves weights, and can be stopped and taken up again after any step."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from impasto.errors import ImpastoError
from impasto.networks.allocator import keep_freed_memory
from impasto.runs.checkpoint import Checkpoint
from impasto.training.averaging import averaged as average_of
from impasto.training.eve import Eve
from impasto.training.names import OptimizerName, PrecisionName
from impasto.training.optimizers import LayerGroup, build, set_rates
from impasto.training.precision import fabric_for
from impasto.training.schedules import Schedule
from impasto.training.state import optimizer_state, part, prefixed, restore_optimizer

log = logging.getLogger("impasto")


class Task(Protocol):
    """What is learnt: where the batches come from, and what makes a good answer."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of an epoch from the ``start``-th on; the same each time they are asked for."""

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """What is minimised, a scalar."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """How good the model is on pictures that it does not learn from: ``loss`` and others; empty if there are none.

        The model is in evaluation mode and keeps no gradients.
        """


@dataclass(frozen=True)
class Plan:
    """How the weights are moved.

    Attributes:
        epochs: Times that all batches are seen.
        learning_rates: The highest of each group, in the order of the groups.
        schedule: Multiplier of the learning rates by position in [0, 1].
        momentum: Momentum by position (β₁ of Adam), or None for the optimizer's own.
        optimizer: Which one.
        weight_decay: Of all weights but biases and normalisation.
        clip: Largest norm of the gradient, or None.
        average: Decay of the running average of the weights, which is the result; 0 for none.
        patience: Epochs without a lower validation loss after which training ends with the best weights; None for all
            epochs and the last weights.
        precision: ``32-true``, ``16-mixed`` (with loss scaling) or ``bf16-mixed``.
        seed: Of dropout; each step's chance depends on this and its number alone.
    """

    epochs: int
    learning_rates: tuple[float, ...]
    schedule: Schedule
    momentum: Schedule | None = None
    optimizer: OptimizerName = "adamw"
    weight_decay: float = 0.01
    clip: float | None = None
    average: float = 0.0
    patience: int | None = None
    precision: PrecisionName = "32-true"
    seed: int = 0


@dataclass
class Standing:
    """Where the training stands, in numbers that JSON keeps exactly."""

    step: int = 0  # steps done
    loss_sum: float = 0.0  # of this epoch's steps
    seconds: float = 0.0  # that this epoch has taken
    best: float = math.inf
    since_best: int = 0
    ended: bool = False


@dataclass(frozen=True)
class TrainingProgress:
    """A step, or the end of an epoch.

    Attributes:
        done: Part of this training that is done.
        losses: ``loss`` of the step, or what an epoch was found to be worth.
        where: Epoch and epochs, in words.
        record: What a log keeps of it: ``kind`` is ``step`` or ``epoch``.
        checkpoint: Makes all that is needed to go on from here. To be called before the next event is asked for.
        judged: The network whose scores an epoch tells, in evaluation mode: the averaged one, if there is one.
    """

    done: float
    losses: dict[str, float]
    where: str
    record: dict[str, Any]
    checkpoint: Callable[[], Checkpoint] = field(compare=False, repr=False)
    judged: nn.Module | None = field(default=None, compare=False, repr=False)


def train(
    model: nn.Module,
    groups: Sequence[LayerGroup],
    task: Task,
    plan: Plan,
    *,
    device: torch.device | str = "cpu",
    begin_at: Checkpoint | None = None,
) -> Iterator[TrainingProgress]:
    """Train a model, telling of every step and epoch; afterwards it is on the device and in evaluation mode.

    Every step's randomness is seeded by its number, and every epoch's batches by its own, so that a training taken up
    from a checkpoint ends in the same weights. Modules all of whose parameters are frozen stay in evaluation mode:
    the batch norm of a frozen network keeps its statistics, and its activations can be computed beforehand.

    Args:
        model: What is trained.
        groups: Its layers from the lowest up, each with a learning rate in the plan.
        task: What is learnt.
        plan: How.
        device: Where.
        begin_at: A checkpoint of this training, to go on from.

    Raises:
        ImpastoError: The loss is no number any more.
    """
    keep_freed_memory()
    fabric = fabric_for(torch.device(device), plan.precision)
    model.to(fabric.device)
    optimizer = build(groups, plan.optimizer, learning_rates=plan.learning_rates, weight_decay=plan.weight_decay)
    averaged = average_of(model, plan.average) if plan.average else None
    standing, best = Standing(), {}
    if begin_at:
        standing = Standing(**begin_at.facts["standing"])
        tensors = begin_at.tensors
        model.load_state_dict(part("model", tensors))
        restore_optimizer(optimizer, part("optimizer", tensors), begin_at.facts["optimizer"])
        fabric.strategy.precision.load_state_dict(begin_at.facts["scaler"])
        best = part("best", tensors)
        if averaged:
            averaged.load_state_dict(part("average", tensors))
    forward, stepper = fabric.setup(model, optimizer)

    def checkpoint() -> Checkpoint:
        moments, facts = optimizer_state(optimizer)
        tensors = prefixed("model", model.state_dict()) | prefixed("best", best)
        if averaged:
            tensors |= prefixed("average", averaged.state_dict())
        tensors |= prefixed("optimizer", moments)
        scaler = fabric.strategy.precision.state_dict()
        return Checkpoint(tensors, {"standing": dict(vars(standing)), "optimizer": facts, "scaler": scaler})

    total = plan.epochs * task.steps
    while standing.step < total and not standing.ended:
        epoch, start = divmod(standing.step, task.steps)
        began = time.monotonic() - standing.seconds
        train_mode(forward)
        for batch in task.batches(epoch, start):
            position = standing.step / total
            momentum = plan.momentum(position) if plan.momentum else None
            set_rates(optimizer, plan.schedule(position), momentum)
            with torch.random.fork_rng(devices=_cuda_devices(fabric.device)):
                torch.manual_seed(_seed(plan.seed, standing.step))
                loss = task.loss(forward, batch)
                value = loss.item()
                if not math.isfinite(value):
                    raise ImpastoError(
                        f"the loss became {value} in epoch {epoch + 1}, step {standing.step - epoch * task.steps + 1}: "
                        "a lower learning rate, or --clip 1, keeps it in bounds"
                    )
                optimizer.zero_grad()
                fabric.backward(loss)
                if plan.clip:
                    fabric.clip_gradients(forward, stepper, max_norm=plan.clip, error_if_nonfinite=False)
                heard = {"loss": value} if isinstance(optimizer, Eve) else {}
                fabric.strategy.optimizer_step(optimizer, **heard)
            if averaged:
                averaged.update_parameters(model)
            standing.step += 1
            standing.loss_sum += value
            standing.seconds = time.monotonic() - began
            if standing.step % task.steps:
                record = {"kind": "step", "step": standing.step, "loss": value, "learning_rate": _rate(optimizer)}
                yield TrainingProgress(standing.step / total, {"loss": value}, _where(epoch, plan), record, checkpoint)
        judged = averaged.module if averaged else model
        found = _evaluate(judged, task, fabric)
        train_loss = standing.loss_sum / task.steps
        standing.loss_sum = 0.0
        seconds, standing.seconds = time.monotonic() - began, 0.0
        if plan.patience is not None and "loss" in found:
            if found["loss"] < standing.best:
                standing.best, standing.since_best = found["loss"], 0
                best = {name: value.detach().clone() for name, value in judged.state_dict().items()}
            else:
                standing.since_best += 1
            standing.ended = standing.since_best >= plan.patience
        found = finite(found)
        record = {"kind": "epoch", "epoch": epoch + 1, "step": standing.step, "train_loss": train_loss}
        record |= {f"valid_{name}": value for name, value in found.items()}
        record |= {"learning_rate": _rate(optimizer), "seconds": round(seconds, 3)}
        losses = {"loss": train_loss} | found
        yield TrainingProgress(standing.step / total, losses, _where(epoch, plan), record, checkpoint, judged)
    if best:
        model.load_state_dict(best)
    elif averaged:
        model.load_state_dict(averaged.module.state_dict())
    model.zero_grad()
    model.eval()


def _evaluate(model: nn.Module, task: Task, fabric: Any) -> dict[str, float]:
    model.eval()
    with torch.no_grad(), fabric.autocast():
        return task.evaluate(model)


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is no number, which is told as a warning: JSON has no word for it.

    >>> finite({"loss": math.nan, "psnr": 30.0, "kind": "epoch"})
    {'psnr': 30.0, 'kind': 'epoch'}
    """
    strange = {name: value for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)}
    for name, value in strange.items():
        log.warning("%s is %s: it is left out of the records", name, value)
    return {name: value for name, value in values.items() if name not in strange}


def train_mode(model: nn.Module) -> None:
    """Training mode, but for modules that hold parameters and none that is trained."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def _rate(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[-1]["lr"])


def _where(epoch: int, plan: Plan) -> str:
    return f"epoch {epoch + 1}/{plan.epochs}"


def _seed(seed: int, step: int) -> int:
    """A seed for a step, far from those of its neighbours (the finaliser of SplitMix64, Steele et al. 2014)."""
    mask = 2**64 - 1
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (z ^ (z >> 31)) >> 1


def _cuda_devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
