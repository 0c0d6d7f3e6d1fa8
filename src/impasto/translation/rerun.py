"""Rerun: enhance a picture again by the recipe inside it, and say how far the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from impasto.errors import UsageError
from impasto.images import read
from impasto.runs.options_file import validate
from impasto.runs.recipe import Recipe, places
from impasto.synthesis.rerun import Difference, compare
from impasto.translation.apply import Progress
from impasto.translation.enhance import Enhanced, enhance
from impasto.translation.enhance_options import EnhanceOptions


def rerun(
    path: Path, recipe: Recipe, *, search: Sequence[Path] = (), progress: Progress | None = None
) -> tuple[Enhanced, Difference]:
    """Make the picture at ``path`` again.

    Args:
        path: A picture written by :func:`~impasto.translation.enhance.enhance`.
        recipe: What it carries.
        search: Folders in which to look for inputs that have moved; they are known by their hash.
        progress: Called with (part done, a few words).

    Raises:
        UsageError: It was made of a picture in memory, or an input cannot be found.
    """
    found = places(recipe, search)
    if "content" not in found:
        raise UsageError(f"{path} was made from a picture in memory, not from a file: it cannot be made again")
    files = {role: str(found[role]) for role in ("model", "companion") if role in found}
    made = enhance(found["content"], options=validate(EnhanceOptions, recipe.options | files), progress=progress)
    return made, compare(path, read(path), recipe, made)
