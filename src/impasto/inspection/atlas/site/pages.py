"""The pages of an atlas: what it holds, laid out as HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from impasto.inspection.atlas.content import ActivationAtlas, AtlasContent, LayerContent, Link, UnitContent
from impasto.inspection.atlas.site.addresses import address, layer_page, map_page, unit_page
from impasto.inspection.atlas.site.graph import draw
from impasto.inspection.atlas.site.histogram import HEIGHT, WIDTH, histogram
from impasto.inspection.atlas.site.numerals import numeral, percent

T = TypeVar("T")

THUMBNAILS = 12
"""Of a layer in the network's drawing; as many are seen as the window has room for."""
MOST_CHANGED = 120
"""Units on the page of what changed."""
TIES = (
    ("Excited by", "Units of the layer before that drive it up; weights, relative to the largest."),
    ("Inhibited by", "Units of the layer before that drive it down."),
    ("Excites", "Units of the next layer that it drives up."),
    ("Correlated with", "Units of its own layer that are active where it is; correlations."),
)
"""Kinds of links, and what is said of them."""
PIECE = 8
"""Cells along a side of the piece of an activation atlas that stands for it."""


@dataclass(frozen=True)
class Seen:
    """A unit as it is seen from other pages: addresses are from the site's folder, empty where there is nothing."""

    title: str
    channel: int
    name: str
    page: str
    picture: str
    compared: str
    dead: float
    change: float | None


Ties = list[tuple[Markup, Markup]]
"""Links to units, each with the bar of its weight."""


def pages(content: AtlasContent) -> Iterator[tuple[str, str]]:
    """Each page's path below the site's folder, and its HTML; whatever a name holds is shown and never run."""
    environment = Environment(
        loader=PackageLoader("impasto.inspection.atlas.site", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"numeral": numeral, "percent": percent, "address": address}
    environment.globals |= {
        "it": content,
        "layer_page": layer_page,
        "map_page": map_page,
        "mapped": {atlas.layer for atlas in content.activation_atlases},
        "histogram_box": (WIDTH, HEIGHT),
    }
    taps = {layer.tap for layer in content.layers}
    seen = {(unit.layer, unit.channel): _seen(unit) for layer in content.layers for unit in layer.units}
    yield "index.html", _index(environment, content, seen)
    template = environment.get_template("layer.html.j2")
    for before, layer, after in _in_line(content.layers):
        units = [seen[unit.layer, unit.channel] for unit in layer.units]
        yield (
            layer_page(layer.tap),
            template.render(
                root="../",
                layer=layer,
                taps=taps,
                units=units,
                before=before,
                after=after,
                changes=any(unit.change is not None for unit in units),
                names=any(unit.name for unit in units),
                others=any(unit.compared for unit in units),
                missing=sum(not unit.picture for unit in units),
            ),
        )
    yield from _units(environment, content, seen)
    template = environment.get_template("map.html.j2")
    for earlier, atlas, later in _in_line(content.activation_atlases):
        most = max((cell.count for cell in atlas.cells), default=1)
        cells = sorted(atlas.cells, key=lambda cell: (cell.row, cell.column))
        yield (
            map_page(atlas.layer),
            template.render(
                root="../",
                atlas=atlas,
                cells=[(cell, round(max(0.3, (cell.count / most) ** 0.5), 3)) for cell in cells],
                total=sum(cell.count for cell in cells),
                before=earlier,
                after=later,
                has_page=atlas.layer in taps,
            ),
        )
    if content.compared:
        yield "compare.html", _compare(environment, content, seen)


def _index(environment: Environment, content: AtlasContent, seen: dict[tuple[str, int], Seen]) -> str:
    previous = [("",), *((layer.tap,) for layer in content.layers)]
    return environment.get_template("index.html.j2").render(
        root="",
        graph=draw(content.layers),
        rows=[
            # Where a layer reads but the one above it, the drawing says so well enough.
            (layer, _spread(layer, seen), () if (layer.inputs or ("",)) == above else layer.inputs or ("the picture",))
            for layer, above in zip(content.layers, previous)
        ],
        units=sum(len(layer.units) for layer in content.layers),
        piece=PIECE,
        maps=[(atlas, _middle(atlas)) for atlas in content.activation_atlases],
    )


def _units(
    environment: Environment, content: AtlasContent, seen: dict[tuple[str, int], Seen]
) -> Iterator[tuple[str, str]]:
    """Pages of units: thousands, each with dozens of links, of which every one is laid out only once.

    What is no number (the correlation of a unit that never changes) is not shown.
    """
    root = "../../"
    parts: Any = environment.get_template("parts.html.j2").module
    drawn = {place: parts.unit_link(unit, root) for place, unit in seen.items()}
    bar = cache(parts.bar)

    def ties(links: Iterable[Link]) -> Ties:
        return [
            (drawn[link.layer, link.channel], bar(round(link.weight, 2)))
            for link in links
            if (link.layer, link.channel) in drawn and math.isfinite(link.weight)
        ]

    template = environment.get_template("unit.html.j2")
    for layer in content.layers:
        for left, unit, right in _in_line(layer.units):
            found = (unit.excited_by, unit.inhibited_by, unit.excites, unit.neighbours)
            yield (
                unit_page(layer.tap, unit.channel),
                template.render(
                    root=root,
                    layer=layer,
                    unit=unit,
                    me=seen[unit.layer, unit.channel],
                    left=left and seen[left.layer, left.channel],
                    right=right and seen[right.layer, right.channel],
                    bars=histogram(unit.edges, unit.counts),
                    last=max(len(unit.patches) - 1, 1),
                    ties=[(*words, few) for words, links in zip(TIES, found) if (few := ties(links))],
                ),
            )


def _compare(environment: Environment, content: AtlasContent, seen: dict[tuple[str, int], Seen]) -> str:
    changed = [(layer, [seen[unit.layer, unit.channel] for unit in layer.units]) for layer in content.layers]
    known = [(layer, [one for one in units if one.change is not None]) for layer, units in changed]
    means = [(layer, sum(one.change or 0 for one in units) / len(units)) for layer, units in known if units]
    ranked = sorted((one for _, units in known for one in units), key=lambda one: -(one.change or 0))
    return environment.get_template("compare.html.j2").render(
        root="",
        means=means,
        most=max((mean for _, mean in means), default=0) or 1,
        units=ranked[:MOST_CHANGED],
        total=len(ranked),
    )


def _seen(unit: UnitContent) -> Seen:
    return Seen(
        title=f"{unit.layer}:{unit.channel}",
        channel=unit.channel,
        name=unit.name,
        page=unit_page(unit.layer, unit.channel),
        picture=address(unit.picture),
        compared=address(unit.compared),
        dead=unit.dead,
        change=unit.change if unit.change is not None and math.isfinite(unit.change) else None,
    )


def _spread(layer: LayerContent, seen: dict[tuple[str, int], Seen]) -> list[Seen]:
    """A few of the layer's units, from all over it: those that have a picture and are not always silent."""
    shown = [unit for unit in layer.units if unit.picture and unit.dead < 0.999] or layer.units
    step = max(len(shown) / THUMBNAILS, 1)
    few = [shown[int(index * step)] for index in range(min(THUMBNAILS, len(shown)))]
    return [seen[unit.layer, unit.channel] for unit in few]


def _middle(atlas: ActivationAtlas) -> list[tuple[int, int, str]]:
    """The densest square piece of an activation atlas: row, column and picture of its cells."""
    side = min(PIECE, atlas.side)
    starts = range(atlas.side - side + 1)

    def inside(top: int, left: int) -> list[tuple[int, int, str]]:
        return [
            (cell.row - top, cell.column - left, cell.picture)
            for cell in atlas.cells
            if cell.picture and 0 <= cell.row - top < side and 0 <= cell.column - left < side
        ]

    return max((inside(top, left) for top in starts for left in starts), key=len, default=[])


def _in_line(items: Sequence[T]) -> Iterator[tuple[T | None, T, T | None]]:
    """Each with the one before it and the one after it."""
    for index, item in enumerate(items):
        yield (
            items[index - 1] if index else None,
            item,
            items[index + 1] if index + 1 < len(items) else None,
        )
