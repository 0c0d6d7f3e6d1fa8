"""What the search looks through, as a script: a page that is opened from the disk may load one, but fetch nothing."""

from __future__ import annotations

import json
from typing import Any

from impasto.inspection.atlas.content import AtlasContent, LayerContent
from impasto.inspection.atlas.site.addresses import address, layer_page, map_page, unit_page


def search_index(content: AtlasContent) -> str:
    """A script that leaves ``atlasIndex`` behind: layers with their units, and the other pages.

    A class's name may hold anything: no character of it can end a script or a line.
    """
    pages = [[f"Activation atlas of {atlas.layer}", map_page(atlas.layer)] for atlas in content.activation_atlases]
    if content.compared:
        pages.append([f"What changed in {content.compared}", "compare.html"])
    index = {"layers": [_layer(layer) for layer in content.layers], "pages": pages}
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    for character in "<\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"window.atlasIndex={text};\n"


def _layer(layer: LayerContent) -> dict[str, Any]:
    """A layer with its units' numbers, names and pictures; what follows a rule is said by the rule."""
    numbers = [unit.channel for unit in layer.units]
    return {
        "tap": layer.tap,
        "kind": layer.kind,
        "page": layer_page(layer.tap),
        "units": len(numbers) if numbers == list(range(len(numbers))) else numbers,
        "unit": unit_page(layer.tap, -1).replace("-1.html", "{}.html"),
        "names": {str(unit.channel): unit.name for unit in layer.units if unit.name},
        "pictures": _pictures(layer),
    }


def _pictures(layer: LayerContent) -> str | list[str]:
    """Addresses of the units' pictures: one with ``{}`` for the number when all are alike, else all of them."""
    found = [address(unit.picture) for unit in layer.units]
    first = next(iter(layer.units), None)
    if first is None:
        return []
    head, number, tail = found[0].rpartition(str(first.channel))
    if number and "{}" not in head + tail:
        rule = f"{head}{{}}{tail}"
        if found == [rule.replace("{}", str(unit.channel)) for unit in layer.units]:
            return rule
    return found
