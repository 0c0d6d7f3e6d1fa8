"""The recipe in a picture file: JSON text in an XMP packet, in every format alike."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from impasto.images.source import open_source

NAMESPACE = "https://impasto.art/ns/1.0/"

_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'<rdf:Description rdf:about="" xmlns:impasto="{NAMESPACE}">'
    "<impasto:recipe>{recipe}</impasto:recipe>"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="w"?>'
)


def read_recipe(path: str | Path) -> str | None:
    """The recipe that travels in a picture file, or None; the pixels are not decoded.

    Raises:
        UsageError: The file is missing or is not a picture.
    """
    return from_xmp(open_source(path).xmp)


def from_xmp(xmp: bytes | None) -> str | None:
    """The recipe in an XMP packet, whether an element or, as other programs may rewrite it, an attribute."""
    if xmp is None:
        return None
    try:
        root = ElementTree.fromstring(xmp.rstrip(b"\0"))
    except (ElementTree.ParseError, ValueError):
        return None
    name = f"{{{NAMESPACE}}}recipe"
    for element in root.iter():
        recipe = element.text if element.tag == name else element.get(name)
        if recipe is not None:
            return recipe
    return None


def to_xmp(recipe: str) -> bytes:
    """An XMP packet holding the recipe."""
    return _PACKET.format(recipe=escape(recipe, {"\r": "&#13;"})).encode()
