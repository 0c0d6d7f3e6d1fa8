"""Where the pages of an atlas lie, below its folder: their names are addresses too, nothing in them needs quoting."""

from __future__ import annotations

import re
from urllib.parse import quote


def layer_page(tap: str) -> str:
    """A layer's page.

    >>> layer_page("features.12")
    'layers/features.12.html'
    """
    return f"layers/{part(tap)}.html"


def unit_page(tap: str, channel: int) -> str:
    """A unit's page.

    >>> unit_page("features.12", 3)
    'units/features.12/3.html'
    """
    return f"units/{part(tap)}/{channel}.html"


def map_page(tap: str) -> str:
    """The page of a layer's activation atlas."""
    return f"activation-atlas/{part(tap)}.html"


def part(tap: str) -> str:
    """The tap as a part of a path: letters, digits, ``.``, ``_`` and ``-`` as they are, else ``=`` and the bytes.

    No two taps get the same one.

    >>> part("layer1.0/conv é")
    'layer1.0=2Fconv=20=C3=A9'
    """
    return re.sub(r"^\.|[^A-Za-z0-9._-]", lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), tap)


def address(path: str) -> str:
    """The relative address of a file, of which the path may hold anything.

    >>> address("pictures/a b#1.webp")
    'pictures/a%20b%231.webp'
    """
    return quote(path, safe="/=~")
