"""Sizes: what an operation does to a picture's size, followed exactly, so that a recipe's scale is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

# The operations that change sizes. A picture's share is its side divided by that of the original.
RESIZING = ("down", "resize", "fit", "enlarge", "min-side")


def share_after(
    name: str, values: Mapping[str, Any], share: Fraction | None, short: int | None = None
) -> Fraction | None:
    """The share of the original's sides that a picture has after an operation; None where it cannot be known.

    Shares are fractions, so that thirds and quarters come back to whole pixels whatever was rounded on the way.

    Args:
        name: An operation.
        values: Its parameters; what is no number is not known.
        share: Before it.
        short: The shorter side before it, in pixels.
    """

    def known(key: str) -> Fraction | None:
        return Fraction(str(values[key])) if isinstance(values[key], int | float) else None

    if name == "enlarge":
        return Fraction(1)
    if name in ("down", "fit"):
        scale, before = known("scale"), share if name == "down" else Fraction(1)
        return before / scale if scale and before else None
    if name == "resize":
        factor, of = known("factor"), known("of")
        before = share if of == 0 else of and 1 / of
        return before * factor if factor and before else None
    if name == "min-side":
        side = known("side")
        return share * min(Fraction(1), side / short) if share and side and short else None
    return share


def side_of(original: int, share: Fraction) -> int:
    """The side in pixels that is such a share of the original one; at least one.

    >>> side_of(100, Fraction(1, 3)), side_of(2, Fraction(1, 8))
    (33, 1)
    """
    return max(1, int(original * share + Fraction(1, 2)))
