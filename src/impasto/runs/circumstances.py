"""Circumstances: what the last digits of a result depend on, beside what was asked."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping

import torch

from impasto import __version__

log = logging.getLogger("impasto")


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


def changes(was: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Each circumstance that is not as it was, in words.

    >>> changes({"torch": "2.8", "device": "cpu"}, {"torch": "2.9", "device": "cpu"})
    ['torch was 2.8, is 2.9']
    """
    return [f"{name} was {before}, is {now.get(name)}" for name, before in was.items() if now.get(name) != before]


def warn_of_changes(was: Mapping[str, str], now: Mapping[str, str], what: str) -> None:
    """Warn of each circumstance that is not as it was when a run began: ``what`` may differ in the last digits."""
    for name, before in was.items():
        if (here := now.get(name)) != before:
            log.warning(
                "%s was %s when the run began and is %s: the %s may differ in %s last digits",
                *(name, before, here, what, "their" if what.endswith("s") else "its"),
            )
