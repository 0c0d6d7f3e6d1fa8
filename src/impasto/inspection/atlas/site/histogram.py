"""A histogram of a unit's activations, as the numbers of an SVG drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from impasto.inspection.atlas.site.numerals import numeral

WIDTH, HEIGHT = 360, 120


@dataclass(frozen=True)
class Histogram:
    """Bars on a logarithmic axis of counts, for most positions say nothing and the few that do are the point.

    A bin that is wider than most shows the count that a usual one would have there: an area is what is compared.

    Attributes:
        bars: What an SVG path's ``d`` holds, in a box of ``WIDTH`` × ``HEIGHT``.
        along: Where an activation is written below the bars, and what.
        up: Where a count is written beside them, and what.
        zero: Where activations turn positive, or None when all of them or none are.
    """

    bars: str
    along: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    zero: float | None


def histogram(edges: Sequence[float], counts: Sequence[int]) -> Histogram | None:
    """The drawing of positions' counts in bins of activation; None where there is nothing to draw.

    >>> histogram((0.0, 1.0, 2.0), (9, 0)).bars
    'M0 120V0H179V120Z'
    >>> histogram((1.0, 1.0), (9,)) is None
    True
    """
    if len(edges) != len(counts) + 1 or not counts or not all(map(math.isfinite, edges)):
        return None
    low, high = edges[0], edges[-1]
    widths = [right - left for left, right in pairwise(edges)]
    if high <= low or min(widths) <= 0 or max(counts) <= 0:
        return None
    usual = sorted(widths)[len(widths) // 2]
    heights = [count * usual / width for count, width in zip(counts, widths)]
    most = max(heights)
    across = WIDTH / (high - low)
    decades = math.log10(1 + most)
    bars = []
    for (left, right), count in zip(pairwise(edges), heights):
        if count > 0:
            start = (left - low) * across
            end = max(start + 0.5, (right - low) * across - 1)
            top = HEIGHT * (1 - math.log10(1 + count) / decades)
            bars.append(f"M{start:.4g} {HEIGHT}V{top:.4g}H{end:.4g}V{HEIGHT}Z")
    zero = -low * across if low < 0 < high else None
    along = [(0.0, numeral(low)), (float(WIDTH), numeral(high))]
    if zero is not None and 0.12 * WIDTH < zero < 0.88 * WIDTH:
        along.insert(1, (zero, "0"))
    highest = int(math.log10(max(most, 1)))
    shown = range(0, highest + 1, 1 + highest // 4)
    up = tuple((HEIGHT * (1 - math.log10(1 + 10**power) / decades), f"{10**power:,}") for power in shown)
    return Histogram("".join(bars), tuple(along), up, zero)
