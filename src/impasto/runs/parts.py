"""Parts: what a killed process has left half-written beside the files it was to replace."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path


def remove_parts(folder: Path, before: float = math.inf) -> None:
    """Remove the parts that `impasto.images.replace` began in a folder, they may be gigabytes.

    Args:
        folder: Where to look.
        before: Spare those last written to at this time or later, in seconds since the epoch: somebody may be at it.
    """
    for part in folder.glob(".impasto-*.part"):
        with suppress(OSError):
            if part.stat().st_mtime < before:
                part.unlink()
