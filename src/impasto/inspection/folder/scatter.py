"""Scatter: a folder's pictures at their places on a plane, as one page that needs no server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from impasto.inspection.folder.embedding import TITLES, Embedding
from impasto.inspection.folder.page import render
from impasto.inspection.folder.sprites import Sprites


def scatter_page(
    embeddings: Sequence[Embedding],
    names: Sequence[str],
    labels: Sequence[str],
    sprites: Sprites,
    *,
    title: str,
    about: str,
    start: int | None = None,
) -> str:
    """The HTML of a picture scatter.

    Args:
        embeddings: Where each picture lies; the page moves the pictures from one to the other.
        names: What each is called.
        labels: The class of each, or all empty for none.
        sprites: Their thumbnails, in the same order.
        title: Of the page.
        about: A sentence below it.
        start: Which embedding is shown first. Default: the one that can be trusted most.
    """
    if start is None:
        start = max(range(len(embeddings)), key=lambda number: embeddings[number].trustworthiness)
    labelled = any(labels)
    classes = sorted(set(labels), key=_in_order) if labelled else []
    numbers = {name: number for number, name in enumerate(classes)}
    layouts = [
        {
            "title": TITLES[one.method],
            "about": one.about,
            "points": [round(float(value), 4) for value in one.points.flatten()],
            "figures": figures(one),
        }
        for one in embeddings
    ]
    data: dict[str, Any] = {
        "names": list(names),
        "labels": [numbers[label] for label in labels] if labelled else [],
        "classes": classes,
        "layouts": layouts,
        "start": start,
        "sprites": {"side": sprites.side, "columns": sprites.columns, "sizes": sprites.sizes, "ink": sprites.ink},
    }
    return render(
        "scatter.html.j2",
        title=title,
        about=about,
        layouts=layouts,
        start=start,
        count=len(names),
        labelled=labelled,
        sprites=sprites,
        data=data,
    )


def figures(one: Embedding) -> list[tuple[str, str]]:
    """What is measured of an embedding, in words."""
    found = [("trustworthiness", f"{one.trustworthiness:.3f}")]
    if one.agreement is not None:
        found.append(("nearest has its label", f"{100 * one.agreement:.1f} %"))
    return [*found, ("time", f"{one.seconds:.1f} s")]


def _in_order(label: str) -> tuple[bool, float, str]:
    """Numbers by value, then words by the alphabet.

    >>> sorted(["10", "9", "cat"], key=_in_order)
    ['9', '10', 'cat']
    """
    return (not label.isdecimal(), float(label) if label.isdecimal() else 0.0, label)
