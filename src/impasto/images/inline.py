"""Inline: what can be saved as a picture, shown in a notebook."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path


def inline_png(save: Callable[[Path], object]) -> bytes:
    """The PNG file that ``save`` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "inline.png")
        save(path)
        return path.read_bytes()
