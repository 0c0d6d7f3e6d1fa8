"""Footprint: the memory that a network holds at once, counted as it runs on small pictures."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from impasto.networks.hooks import at_rest

PROBES = ((64, 64), (64, 128), (128, 128))  # pixels: multiples of every grid
WORKSPACE = 1.5  # what convolutions take beside what they give, as a part of it: their inputs laid out otherwise


@dataclass(frozen=True)
class Footprint:
    """Bytes that a network holds at once, without gradients, beside its weights.

    Attributes:
        linear: For each input pixel that it sees.
        quadratic: For each pair of them: attention that is written out.
    """

    linear: float
    quadratic: float = 0.0

    def bytes(self, pixels: int) -> float:
        """For so many pixels."""
        return self.linear * pixels + self.quadratic * pixels**2

    def pixels(self, budget: float) -> int:
        """How many pixels fit.

        >>> Footprint(10).pixels(1000), Footprint(10, 1).pixels(24)
        (100, 2)
        """
        if not self.quadratic:
            return int(budget / self.linear)
        root = math.sqrt(self.linear**2 + 4 * self.quadratic * budget)
        return int((root - self.linear) / (2 * self.quadratic))


@runtime_checkable
class _Knowing(Protocol):
    def own_footprint(self) -> Footprint: ...


_counted: weakref.WeakKeyDictionary[nn.Module, Footprint] = weakref.WeakKeyDictionary()


def footprint(module: nn.Module) -> Footprint:
    """The footprint of a network, counted when it is asked for first.

    What the tensors of a run hold is added up from their first to their last use; three sizes tell what grows with the
    pixels and what with their square. A module may know its own by that of a part of it, ``own_footprint()``.

    >>> footprint(nn.Conv2d(3, 8, 3, padding=1)).linear / WORKSPACE
    44.0
    """
    if isinstance(module, _Knowing):
        return module.own_footprint()
    if module not in _counted:
        counts = [height * width for height, width in PROBES]
        least, middle, most = (_most_held(module, size) for size in PROBES)
        first, second = ((middle - least) / (counts[1] - counts[0]), (most - middle) / (counts[2] - counts[1]))
        quadratic = (second - first) / (counts[2] - counts[0])
        if quadratic * counts[2] < 0.05 * second:  # what is rounding of sizes and no pair of pixels
            _counted[module] = Footprint(max(12.0, second) * WORKSPACE)
        else:
            linear = max(12.0, first - quadratic * (counts[0] + counts[1]))
            _counted[module] = Footprint(linear * WORKSPACE, quadratic * WORKSPACE)
    return _counted[module]


def _most_held(module: nn.Module, size: tuple[int, int]) -> int:
    held = chain(module.parameters(), module.buffers())
    like = next((p for p in held if p.is_floating_point()), torch.empty(0))
    with torch.no_grad(), at_rest(module), _Live() as live:
        picture = torch.zeros(1, 3, *size, dtype=like.dtype, device=like.device)
        module(picture)
    return live.most


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that are alive.

    Attributes:
        most: The most at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._now = self.most = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: it would import the whole compiler, which takes seconds, to keep it from what is not compiled."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and count what it gives until that is freed."""
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            storage = tensor.untyped_storage()
            if storage not in self._seen:
                self._seen.add(storage)
                self._now += storage.nbytes()
                weakref.finalize(storage, self._freed, storage.nbytes())
        self.most = max(self.most, self._now)
        return out

    def _freed(self, size: int) -> None:
        self._now -= size


def _tensors(out: Any) -> Iterator[Tensor]:
    if isinstance(out, Tensor):
        yield out
    elif isinstance(out, tuple | list):
        for one in out:
            yield from _tensors(one)
