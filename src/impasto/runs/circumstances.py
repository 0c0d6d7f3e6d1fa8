"""Circumstances: what the last digits of a result depend on, beside what was asked."""

from __future__ import annotations

import platform

import torch

from impasto import __version__


def circumstances(device: torch.device, processes: int = 1) -> dict[str, str]:
    """Versions, device, threads and processes, in words."""
    return {
        "impasto": __version__,
        "torch": torch.__version__,
        "device": str(device),
        "threads": str(torch.get_num_threads()),
        "processes": str(processes),
        "machine": platform.machine(),
    }
