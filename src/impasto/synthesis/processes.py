"""Processes: tiles of one picture spread over the processes that torchrun starts."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence

import torch
from torch import Tensor


def rank() -> int:
    """Which of the processes this one is; 0 when there is only one."""
    return int(os.environ.get("RANK", "0")) if _spread() else 0


def world() -> int:
    """How many processes there are."""
    return int(os.environ["WORLD_SIZE"]) if _spread() else 1


def add_over_processes(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in place; all of them get the same bits.

    All processes must call it with tensors of the same shapes in the same order.
    """
    if world() == 1:
        return
    _join(tensors[0].device)
    for tensor in tensors:
        torch.distributed.all_reduce(tensor)


def agreed(numbers: Sequence[int], device: torch.device) -> list[int]:
    """The first process's numbers, in all of them."""
    if world() == 1:
        return list(numbers)
    shared = torch.tensor([number if rank() == 0 else 0 for number in numbers], dtype=torch.int64, device=device)
    add_over_processes([shared])
    return [int(number) for number in shared]


def _spread() -> bool:
    return "WORLD_SIZE" in os.environ and int(os.environ["WORLD_SIZE"]) > 1


def _join(device: torch.device) -> None:
    """Meet the other processes, once: over nccl on GPUs, over gloo on processors."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(torch.distributed.destroy_process_group)
