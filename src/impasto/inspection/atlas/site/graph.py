"""The drawing of a network: a block for each layer, one below the other, and lines where one feeds another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from impasto.inspection.atlas.content import LayerContent

ROW = 108
"""Height of a layer's row in CSS pixels; the style sheet has the same."""
TOP = 60
"""Height of the first row, the picture's."""
WIDEST = 60
"""Of a block."""
LANES = 66
"""All lanes together are no wider than this, however many there are."""


@dataclass(frozen=True)
class Block:
    """A layer in the drawing: the wider the more channels, the higher the more positions."""

    tap: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """From the layer that is read to the one that reads it; one that passes by others is a skip.

    Attributes:
        source: Row of the layer that is read; 0 is the picture.
        target: Row of the layer that reads it.
        path: What an SVG path's ``d`` holds.
        skip: Whether it passes by layers in between.
    """

    source: int
    target: int
    path: str
    skip: bool


@dataclass(frozen=True)
class Graph:
    """The whole drawing, in CSS pixels."""

    width: float
    height: float
    blocks: tuple[Block, ...]
    lines: tuple[Line, ...]

    @property
    def skips(self) -> int:
        """How many lines pass by a layer."""
        return sum(line.skip for line in self.lines)


def draw(layers: Sequence[LayerContent]) -> Graph:
    """Lay out the layers, in running order, below the picture that feeds those without inputs.

    >>> chain = [LayerContent("a", "convolution", 16, 1, 3), LayerContent("b", "convolution", 16, 1, 5, inputs=("a",)),
    ...          LayerContent("sum", "addition", 16, 1, 5, inputs=("a", "b"))]
    >>> [(line.source, line.target, line.skip) for line in draw(chain).lines]
    [(0, 1, False), (1, 2, False), (1, 3, True), (2, 3, False)]
    """
    rows = {layer.tap: row for row, layer in enumerate(layers, start=1)}
    pairs = []
    for layer in layers:
        known = sorted({rows[tap] for tap in layer.inputs if rows.get(tap, math.inf) < rows[layer.tap]})
        pairs += [(source, rows[layer.tap]) for source in known or [0]]
    lanes = _lanes([pair for pair in pairs if pair[1] - pair[0] > 1])
    count = 1 + max(lanes.values(), default=-1)
    step = min(13.0, LANES / count) if count else 0.0
    centre = 2 + count * step + WIDEST / 2
    sizes = [(22.0, 30.0), *((_width(layer.channels), _height(layer.stride)) for layer in layers)]
    middles = [TOP / 2, *(TOP + ROW * (row - 0.5) for row in range(1, len(sizes)))]
    blocks = tuple(
        Block(tap, centre - wide / 2, middle - high / 2, wide, high)
        for tap, (wide, high), middle in zip(["", *rows], sizes, middles)
    )
    lines = tuple(
        Line(
            source,
            target,
            _past(blocks[source], blocks[target], centre - WIDEST / 2 - 2 - step * (lanes[source, target] + 0.5))
            if (source, target) in lanes
            else f"M{centre:g} {blocks[source].y + blocks[source].height:g}V{blocks[target].y:g}",
            (source, target) in lanes,
        )
        for source, target in sorted(pairs)
    )
    return Graph(centre + WIDEST / 2 + 2, TOP + ROW * len(layers), blocks, lines)


def _lanes(skips: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A lane for each skip, the shortest nearest to the blocks, so that none lies on another."""
    lanes: dict[tuple[int, int], int] = {}
    for source, target in sorted(skips, key=lambda pair: (pair[1] - pair[0], pair)):
        taken = {lane for (start, end), lane in lanes.items() if max(start, source) < min(end, target)}
        lanes[source, target] = next(lane for lane in range(len(lanes) + 1) if lane not in taken)
    return lanes


def _past(source: Block, target: Block, x: float) -> str:
    """Out of the side of one block, down a lane, into the side of another, with round corners."""
    out = source.y + source.height / 2 + min(6, source.height / 4)
    into = target.y + target.height / 2 - min(6, target.height / 4)
    turn = min(8.0, source.x - x, target.x - x)
    return (
        f"M{source.x:g} {out:g}H{x + turn:g}Q{x:g} {out:g} {x:g} {out + turn:g}"
        f"V{into - turn:g}Q{x:g} {into:g} {x + turn:g} {into:g}H{target.x:g}"
    )


def _width(channels: int) -> float:
    return min(WIDEST, 8 + 5 * math.log2(max(channels, 1) + 1))


def _height(stride: int) -> float:
    return max(8.0, 44 - 7 * math.log2(stride)) if stride else 5.0
