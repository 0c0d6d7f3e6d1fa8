"""Devices: the only place that names one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from impasto.errors import UsageError

if TYPE_CHECKING:
    import torch

DeviceName = Literal["auto", "cpu", "cuda", "mps"]


def pick_device(name: DeviceName = "auto") -> torch.device:
    """The device of that name; ``auto`` is the best there is: CUDA, else MPS, else the CPU.

    Raises:
        UsageError: This machine has no such device.
    """
    import torch

    there: dict[DeviceName, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, found in there.items() if found)
    if not there[name]:
        raise UsageError(f"no {name} device on this machine: use --device auto")
    if name == "cuda":  # each of torchrun's processes has a GPU of its own
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(name)
