"""The surface: what the loss of a network is where its weights are moved to the points of a grid."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from impasto.errors import UsageError
from impasto.inspection.landscape.directions import Direction
from impasto.runs import checkpoint as checkpoints
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.keeper import Keeper

log = logging.getLogger("impasto")

Loss = Callable[[], Mapping[str, float]]
Tell = Callable[[float, str], object]
Move = Callable[[Sequence[float]], None]

KEEP_SECONDS = 2.0  # between two writings of the points that are done


@dataclass(frozen=True)
class Grid:
    """Where the loss is taken: coefficients of the first direction, and of the second.

    Attributes:
        x: (w,) along the first.
        y: (h,) along the second; a single 0 makes it a line.
    """

    x: Float[np.ndarray, " w"]
    y: Float[np.ndarray, " h"]

    @classmethod
    def even(cls, points: int, *spans: tuple[float, float]) -> Grid:
        """So many points, ends included, over one span or two.

        >>> Grid.even(3, (-1.0, 1.0))
        Grid(x=array([-1.,  0.,  1.]), y=array([0.]))
        """
        x, *rest = (np.linspace(low, high, points) for low, high in spans)
        return cls(x, rest[0] if rest else np.zeros(1))


def surface(
    module: nn.Module,
    loss: Loss,
    directions: Sequence[Direction],
    grid: Grid,
    *,
    kept: Path | None = None,
    key: str = "",
    every: float = KEEP_SECONDS,
    progress: Tell | None = None,
) -> dict[str, Float[np.ndarray, "h w"]]:
    """The loss at each point of a grid: at (x, y) the weights are w + x·d₁ + y·d₂, each computed from w anew.

    The weights are moved in place, under whatever holds references to them, and put back at the end bit for bit,
    also when the loss fails; so are the buffers, whatever the loss does to them, and each layer's training mode.

    Args:
        module: The network, as it stands at the origin.
        loss: Measures the network as it stands: values by name, the same names at each point. Called without gradients.
        directions: One or two; buffers may be among their names.
        grid: Where.
        kept: A file for the points that are done, from which a killed computation of the same ``key`` goes on. It
            holds all points at the end, for the caller to remove. None to keep nothing.
        key: What tells this computation from any other: a hash of all it depends on.
        every: Seconds between writings, at least.
        progress: Called with (part done, words).

    Returns:
        (h, w) values in float64 by name; a loss that is no number is kept as it is.

    Raises:
        ImpastoError: The disk is full.
    """
    if len(grid.y) > 1 and len(directions) < 2:
        raise ValueError("a plane takes two directions")
    shape = (len(grid.y), len(grid.x))
    done, values = _resumed(kept, key, shape)
    keeper = Keeper(kept, every) if kept else None
    any_new = not done.all()

    def state() -> Checkpoint:
        tensors = {f"value.{name}": torch.from_numpy(one) for name, one in values.items()}
        return Checkpoint({"done": torch.from_numpy(done)} | tensors, {"key": key})

    with torch.no_grad(), moved(module, directions) as move:
        for row, column in np.ndindex(shape):
            if done[row, column]:
                continue
            move([float(grid.x[column]), float(grid.y[row])])
            for name, value in loss().items():
                values.setdefault(name, np.full(shape, np.nan))[row, column] = value
            done[row, column] = True
            if keeper:
                keeper.keep(state)
            if progress:
                progress(done.mean(), f"point {done.sum()} of {done.size}")
    if kept and any_new:
        checkpoints.save(kept, state())
    return values


@contextmanager
def moved(module: nn.Module, directions: Sequence[Direction]) -> Iterator[Move]:
    """Within the context, move a network's weights along directions; at the end everything is as it was.

    What it gives takes one coefficient for each direction (more are not looked at) and sets the weights to
    w + Σ cᵢ·dᵢ, with w those at the beginning.

    Raises:
        ValueError: A direction names what the network does not have, or has another shape.
    """
    state = dict(module.named_parameters()) | dict(module.named_buffers())
    for direction in directions:
        for name, part in direction.items():
            if name not in state or state[name].shape != part.shape:
                raise ValueError(f"the direction's {name} is none of the network's weights")
    before = {name: one.detach().clone() for name, one in state.items()}
    training = [(layer, layer.training) for layer in module.modules()]

    @torch.no_grad()
    def move(by: Sequence[float]) -> None:
        for name, one in state.items():
            one.copy_(before[name])  # buffers too: the loss may have changed them at the point before
            for coefficient, direction in zip(by, directions, strict=False):
                if name in direction and coefficient:
                    one.add_(direction[name].to(one), alpha=float(coefficient))

    try:
        yield move
    finally:
        with torch.no_grad():
            for name, one in state.items():
                one.copy_(before[name])
        for layer, was in training:
            layer.training = was


@dataclass(frozen=True)
class Roughness:
    """How far from a bowl a surface is.

    Attributes:
        concave: Part of the grid's inner points where the surface bends down in some direction: where the smallest
            eigenvalue of its Hessian, by second differences, is negative.
        negative: How much it bends down there against how much it bends up: Σ|negative| / Σ|all| eigenvalues.
        minima: Inner points lower than all their neighbours.
        border: The median at the grid's border.
        centre: The value nearest to the origin.
        finite: Part of the points where the loss is a number; the others count for none of these.
    """

    concave: float
    negative: float
    minima: int
    border: float
    centre: float
    finite: float


def roughness(values: Float[np.ndarray, "h w"], grid: Grid) -> Roughness:
    """Measures of a surface, or of a line, as far as the grid can tell.

    Li et al. (2018, section 6) plot |λmin / λmax| of the full Hessian at each point; these are of the drawn plane
    alone, which sees less of it: a plane that bends down nowhere may lie in a landscape that does.

    >>> bowl = Grid.even(5, (-1.0, 1.0), (-1.0, 1.0))
    >>> found = roughness(bowl.x**2 + 3 * bowl.y[:, None] ** 2, bowl)
    >>> found.concave, found.minima, found.centre
    (0.0, 1, 0.0)
    """
    finite = np.isfinite(values)
    whole = np.where(finite, values, np.nan)
    flat = len(grid.y) == 1
    step_x = grid.x[1] - grid.x[0]
    if flat:
        bends = (whole[:, 2:] - 2 * whole[:, 1:-1] + whole[:, :-2])[0, :, None] / step_x**2
        edge = whole[:, [0, -1]]
        windows = np.lib.stride_tricks.sliding_window_view(whole, (1, 3))
    else:
        step_y = grid.y[1] - grid.y[0]
        inner = whole[1:-1, 1:-1]
        xx = (whole[1:-1, 2:] - 2 * inner + whole[1:-1, :-2]) / step_x**2
        yy = (whole[2:, 1:-1] - 2 * inner + whole[:-2, 1:-1]) / step_y**2
        xy = (whole[2:, 2:] - whole[2:, :-2] - whole[:-2, 2:] + whole[:-2, :-2]) / (4 * step_x * step_y)
        middle, apart = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
        bends = np.stack([middle - apart, middle + apart], -1).reshape(-1, 2)
        edge = np.concatenate([whole[0], whole[-1], whole[1:-1, 0], whole[1:-1, -1]])
        windows = np.lib.stride_tricks.sliding_window_view(whole, (3, 3))
    bends = bends[np.isfinite(bends).all(1)]
    around = windows.reshape(-1, windows.shape[-2] * windows.shape[-1])
    others = np.delete(around, around.shape[1] // 2, axis=1)
    minima = (around[:, around.shape[1] // 2, None] < others).all(1)  # never true beside what is no number
    # rounding bends a straight line too
    least = 1e-9 * np.abs(bends).max(initial=0.0)
    column, row = np.abs(grid.x).argmin(), np.abs(grid.y).argmin()
    return Roughness(
        concave=float((bends.min(1) < -least).mean()) if len(bends) else float("nan"),
        negative=float(-bends.clip(max=0).sum() / np.abs(bends).sum()) if np.abs(bends).sum() else 0.0,
        minima=int(minima.sum()),
        border=float(np.nanmedian(edge)) if np.isfinite(edge).any() else float("nan"),
        centre=float(values[row, column]),
        finite=float(finite.mean()),
    )


def _resumed(
    kept: Path | None, key: str, shape: tuple[int, int]
) -> tuple[np.ndarray, dict[str, Float[np.ndarray, "h w"]]]:
    """The points that an earlier process has done of the same computation, and their values."""
    if kept and kept.exists():
        try:
            saved = checkpoints.load(kept)
        except UsageError as error:
            log.warning("%s: its points are computed anew", error)
        else:
            if saved.facts.get("key") == key and saved.tensors["done"].shape == shape:
                tensors = {n.removeprefix("value."): one for n, one in saved.tensors.items() if n != "done"}
                return saved.tensors["done"].numpy(), {name: one.numpy() for name, one in tensors.items()}
    return np.zeros(shape, bool), {}
