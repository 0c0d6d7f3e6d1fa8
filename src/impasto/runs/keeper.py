"""The keeper of checkpoints: writes one now and then, never so often that the work suffers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from impasto.runs import checkpoint as checkpoints
from impasto.runs.checkpoint import Checkpoint

CHECKPOINT_SECONDS = 20.0  # between checkpoints, or ten times what one takes, if that is longer


class Keeper:
    """Keeps the last checkpoint of a job in one file."""

    def __init__(self, path: Path, every: float = CHECKPOINT_SECONDS) -> None:
        """Write to ``path`` every so many seconds; with 0, whenever asked."""
        self._path, self._every = path, every
        self._next = time.monotonic() + every

    def keep(self, state: Callable[[], Checkpoint]) -> None:
        """Write the state, if it is time.

        Raises:
            ImpastoError: The disk is full; the checkpoint before stays.
        """
        began = time.monotonic()
        if began < self._next:
            return
        checkpoints.save(self._path, state())
        ended = time.monotonic()
        self._next = ended + max(self._every, 10 * (ended - began)) if self._every else ended
