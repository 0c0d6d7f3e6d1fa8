"""Strips: a picture from top to bottom, some rows at a time, so that work on a large one takes little memory."""

from __future__ import annotations

from collections.abc import Iterator

# Large enough that starting on a strip costs nothing beside working on it: 6 MB of float32 colours.
PIXELS = 2**19

# Decoders make rows in blocks: of 8 or 16 in a JPEG, of 16 in libvips's caches. A cut elsewhere would make some twice.
_BLOCK = 16


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture as slices of about `PIXELS` pixels each, in order, none left out and none twice.

    >>> list(strips(40, 2**16))
    [slice(0, 16, None), slice(16, 32, None), slice(32, 40, None)]
    """
    rows = max(1, PIXELS // width // _BLOCK) * _BLOCK
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))
