"""Orientation: where the rows that a file stores belong in the upright picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class _Turn(NamedTuple):
    """How to stand a stored picture upright: turn its rows, its columns or both around, then swap rows and columns."""

    rows: bool
    columns: bool
    swap: bool


# Exif 2.32, table 4.6.4, tag 0x0112: which side of the upright picture the first stored row and column are.
_TURNS = {
    1: _Turn(rows=False, columns=False, swap=False),  # top, left
    2: _Turn(rows=False, columns=True, swap=False),  # top, right
    3: _Turn(rows=True, columns=True, swap=False),  # bottom, right
    4: _Turn(rows=True, columns=False, swap=False),  # bottom, left
    5: _Turn(rows=False, columns=False, swap=True),  # left, top
    6: _Turn(rows=True, columns=False, swap=True),  # right, top
    7: _Turn(rows=True, columns=True, swap=True),  # right, bottom
    8: _Turn(rows=False, columns=True, swap=True),  # left, bottom
}


def upright_size(orientation: int, height: int, width: int) -> tuple[int, int]:
    """(height, width) of a stored picture once it is upright.

    >>> upright_size(6, 300, 400)
    (400, 300)
    """
    return (width, height) if _TURNS[orientation].swap else (height, width)


def lay(strip: Float[Tensor, "c n w"], top: int, onto: Float[Tensor, "1 c h w"], orientation: int) -> None:
    """Put stored rows, the first of which is row `top`, where they belong in the upright picture `onto`.

    So a picture is turned while it is read, and there is never a second one.
    """
    turn = _TURNS[orientation]
    stored = onto[0].transpose(1, 2) if turn.swap else onto[0]
    rows = slice(top, top + strip.shape[1])
    if turn.rows:
        rows, strip = slice(stored.shape[1] - rows.stop, stored.shape[1] - rows.start), strip.flip(1)
    stored[:, rows] = strip.flip(2) if turn.columns else strip
