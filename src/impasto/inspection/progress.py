"""Progress: how the verbs of inspection tell how far they are."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], object]  # the part that is done, in [0, 1], and a few words
