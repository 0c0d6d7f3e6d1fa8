"""The learning-rate finder: train a little with rates that climb, watch the loss, and undo it all."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.training.schedules import exponential

Batch = TypeVar("Batch")

SMOOTHING = 0.98  # of the losses, as fastai's recorder has it
DIVERGED = 4.0  # times the best loss
SKIPPED, LAST = 10, 5  # what the suggestions do not look at, of the first and of the last losses
FEWEST = 4  # losses that are left for them


@dataclass(frozen=True)
class Found:
    """What the finder saw.

    Attributes:
        rates: Learning rates of the fastest layer group, rising.
        losses: The smoothed loss at each, all finite.
        suggestions: Learning rates by the name of the rule: ``valley``, ``steep``, ``minimum``, ``slide``.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestions: dict[str, float]


def find_learning_rate(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterator[Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    *,
    update: Callable[[Tensor], object] | None = None,
    progress: Callable[[float, str], object] | None = None,
) -> Found:
    """Smith (2017), the learning-rate range test, in fastai's form.

    The rate climbs by the same factor at every step, until the smoothed loss is four times the best or is not finite.
    The groups of the optimizer keep the ratios of their rates; the highest is the one that is told. The layers stay in
    the modes (train, eval) that they are in. Afterwards everything is as it was, bit for bit: weights and buffers, what
    is frozen, modes, gradients, the optimizer's settings and moments, torch's random generators; and so it is after an
    error. The batches alone are used up.

    Args:
        model: What is trained.
        optimizer: Of its parameters.
        batches: At least `steps` of them.
        loss: The loss of the model on a batch, a scalar.
        low: The first rate.
        high: The last.
        steps: How many rates.
        update: Moves the weights, given the loss; None works out the gradients and makes a step. A loop that scales
            losses brings its own, and undoes what that does to its scale.
        progress: Told the part that is done.

    Raises:
        UsageError: Too few batches, or a loss that is not finite from the start.
    """
    climb = exponential(low, high)
    peaks = [float(group["lr"]) for group in optimizer.param_groups]
    shares = [peak / max(peaks) if max(peaks) > 0 else 1.0 for peak in peaks]
    rates: list[float] = []
    losses: list[float] = []
    average, best = 0.0, math.inf
    with _undone(model, optimizer):
        for step, batch in zip(range(steps), batches, strict=False):
            rate = climb(step / max(1, steps - 1))
            for group, share in zip(optimizer.param_groups, shares, strict=True):
                group["lr"] = rate * share
            optimizer.zero_grad()
            value = loss(model, batch)
            now = float(value.detach())
            average = SMOOTHING * average + (1 - SMOOTHING) * now
            smooth = average / (1 - SMOOTHING ** (step + 1))
            if not math.isfinite(smooth):
                break
            rates.append(rate)
            losses.append(smooth)
            best = min(best, smooth)
            if smooth - best > (DIVERGED - 1) * abs(best):  # four times it, were it positive
                break
            if update:
                update(value)
            else:
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step(partial(float, now))  # Eve asks for the loss
            if progress:
                progress((step + 1) / steps, f"learning rate {rate:.1e}, loss {smooth:.3g}")
    return Found(tuple(rates), tuple(losses), _suggestions(rates, losses, low, steps))


def plot(found: Found, path: str | Path) -> None:
    """Draw the losses over the rates, the suggestions marked, as a PNG.

    Raises:
        ImpastoError: It cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(found.rates, found.losses, color="0.3")
    for number, (name, rate) in enumerate(found.suggestions.items()):
        at = float(np.interp(math.log(rate), np.log(found.rates), found.losses))
        axes.plot([rate], [at], "o", color=f"C{number}", label=f"{name} {rate:.1e}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed")
    axes.legend()
    picture = io.BytesIO()
    FigureCanvasAgg(figure)  # the figure draws itself on it, whatever the screen
    figure.savefig(picture, format="png")
    replace_file(path, picture.getvalue())


def _suggestions(rates: list[float], losses: list[float], low: float, steps: int) -> dict[str, float]:
    if not losses:
        raise UsageError("no learning rate can be found: the loss is not finite at the first step; check the data")
    kept = slice(SKIPPED, len(losses) - LAST)
    if len(losses[kept]) < FEWEST:
        why = f"after {len(losses)} of {steps} steps there are no more batches, or the loss has diverged"
        raise UsageError(f"no learning rate can be found: {why}; give more batches or begin below {low:g}")
    x, y = np.array(rates[kept]), np.array(losses[kept])
    slopes = np.diff(y) / np.diff(np.log10(x))
    return {
        "valley": float(x[_middle_of_valley(y)]),
        "steep": float(x[slopes.argmin()]),
        "minimum": float(x[y.argmin()]) / 10,
        "slide": float(x[_slide(y)]),
    }


def _middle_of_valley(losses: np.ndarray) -> int:
    """Half the longest decreasing run before its end, fastai's ``valley``.

    The run may leave out what is higher in between. Its end minus its length is then above its first member, and so
    much the better: the slow drift at the lowest rates counts for less.
    """
    lengths = np.ones(len(losses), dtype=np.int64)  # of the longest run that ends there
    for i in range(1, len(losses)):
        higher = losses[:i] > losses[i]
        lengths[i] += lengths[:i][higher].max(initial=0)
    end = int(lengths.argmax())
    return end - int(lengths[end]) // 2


def _slide(losses: np.ndarray, width: int = 15, threshold: float = 0.005) -> int:
    """The lower end of an interval that slides down until the slopes at its ends agree: fastai's ``slide``."""
    slopes = np.gradient(losses)
    width = min(width, len(losses) - 1)
    for right in range(len(losses) - 1, width - 1, -1):
        if abs(slopes[right] - slopes[right - width]) <= threshold:
            return min(right - width + 1, len(losses) - 1) if right < len(losses) - 1 else right - width
    return 0


@contextmanager
def _undone(model: nn.Module, optimizer: Optimizer) -> Iterator[None]:
    """Whatever is done to model and optimizer inside is undone at the end."""
    layers = list(model.modules())
    modes = [layer.training for layer in layers]
    buffers = [[(name, b, _copy(b)) for name, b in layer._buffers.items()] for layer in layers]
    optimized = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    parameters = list({id(p): p for p in [*model.parameters(), *optimized]}.values())
    weights = [parameter.detach().clone() for parameter in parameters]
    gradients = [(parameter.requires_grad, parameter.grad) for parameter in parameters]
    state = {parameter: deepcopy(values) for parameter, values in optimizer.state.items()}
    groups = [_settings(group) for group in optimizer.param_groups]
    devices = sorted({p.device.index for p in parameters if p.device.type == "cuda"})
    for parameter in parameters:
        parameter.grad = None  # ours are made anew: the caller's are not added to
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        with torch.no_grad():
            for parameter, weight in zip(parameters, weights, strict=True):
                parameter.copy_(weight)
            for layer, mode, tensors in zip(layers, modes, buffers, strict=True):
                layer.training = mode
                for name, buffer, value in tensors:
                    layer._buffers[name] = buffer if buffer is None or value is None else buffer.copy_(value)
        for parameter, (trained, gradient) in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(trained)
            parameter.grad = gradient
        optimizer.state.clear()
        optimizer.state.update(state)
        for group, settings in zip(optimizer.param_groups, groups, strict=True):
            own = group["params"]
            group.clear()
            group.update({"params": own, **settings})


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {name: deepcopy(value) for name, value in group.items() if name != "params"}


def _copy(buffer: Tensor | None) -> Tensor | None:
    return None if buffer is None else buffer.detach().clone()
