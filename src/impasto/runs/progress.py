"""Progress: where a training stands, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where the work stands, for a bar (an `impasto.runs.bar.Event`).

    Attributes:
        done: The part that is done, in [0, 1].
        losses: By name.
        where: A few words.
    """

    done: float
    losses: dict[str, float]
    where: str


Listen = Callable[[Progress], object]
