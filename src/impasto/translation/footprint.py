"""Footprint: the memory that a network holds at once for each pixel that it sees, counted as it runs."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from impasto.networks.hooks import at_rest

PROBE = 128  # pixels a side of the picture that is counted: a multiple of every grid
WORKSPACE = 1.5  # what convolutions take beside what they give, as a part of it: their inputs laid out otherwise


def bytes_per_pixel(module: nn.Module) -> float:
    """Bytes that are held at once, for each input pixel, while a network runs without gradients.

    What the tensors of a run on a small picture hold is added up from their first to their last use.

    >>> round(bytes_per_pixel(nn.Identity())), bytes_per_pixel(nn.Conv2d(3, 8, 3, padding=1)) > 4 * 8
    (12, True)
    """
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    picture = torch.zeros(1, 3, PROBE, PROBE, dtype=like.dtype, device=like.device)
    with torch.no_grad(), at_rest(module), _Live() as live:
        live.count(picture)
        out = module(picture)
        live.count(out)
    return max(live.most * WORKSPACE if live.operations else 0, live.now) / PROBE**2


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = self.operations = 0
        self._seen: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: it would import the whole compiler, which takes seconds, to keep it from what is not compiled."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and count what it gives."""
        out = func(*args, **(kwargs or {}))
        self.operations += 1
        for tensor in _tensors(out):
            self.count(tensor)
        return out

    def count(self, tensor: Tensor) -> None:
        """Count a tensor's storage until it is freed."""
        storage = tensor.untyped_storage()
        if storage in self._seen:
            return
        size = storage.nbytes()
        self._seen[storage] = size
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._freed, size)

    def _freed(self, size: int) -> None:
        self.now -= size


def _tensors(out: Any) -> Iterator[Tensor]:
    if isinstance(out, Tensor):
        yield out
    elif isinstance(out, tuple | list):
        for one in out:
            yield from _tensors(one)
