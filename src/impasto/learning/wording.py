"""Wording: numbers with their nouns, as messages say them."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "picture"), counted(2, "class")
    ('1 picture', '2 classes')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


def size(count: int) -> str:
    """Bytes in the unit that fits.

    >>> size(768), size(2_500_000), size(31_000_000_000)
    ('0.8 kB', '2.5 MB', '31.0 GB')
    """
    unit, name = next((one for one in ((1e9, "GB"), (1e6, "MB")) if count >= one[0]), (1e3, "kB"))
    return f"{count / unit:,.1f} {name}"
