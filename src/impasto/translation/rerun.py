"""Rerun: enhance a picture again by the recipe inside it, and say how far the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from impasto.errors import UsageError
from impasto.images import read
from impasto.runs.options_file import validate
from impasto.runs.recipe import Recipe, find
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
    found = find(recipe.inputs, [Path(folder) for folder in search])
    places = {one.role: found[one.sha256] for one in recipe.inputs}
    if "content" not in places:
        raise UsageError(f"{path} was made from a picture in memory, not from a file: it cannot be made again")
    files = {role: str(places[role]) for role in ("model", "companion") if role in places}
    made = enhance(places["content"], options=validate(EnhanceOptions, recipe.options | files), progress=progress)
    before = read(path)
    if (before.height, before.width) != (made.picture.height, made.picture.width):
        raise UsageError(f"{path} has been resized since it was made: it cannot be compared")
    return made, compare(path, before, recipe, made)
