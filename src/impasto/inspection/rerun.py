"""Rerun: make a visualization or a dream again from the recipe inside it, and say how far the two differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from impasto.errors import UsageError
from impasto.images import read
from impasto.inspection.dream import Dream, dream
from impasto.inspection.progress import Progress
from impasto.inspection.visualize import Visualization, visualize
from impasto.networks import Network
from impasto.runs.recipe import Recipe, places
from impasto.synthesis.rerun import Difference, compare

VERBS = ("visualize", "dream")
ONCE = ("explain", "fool", "patches", "neighbours")  # carry a recipe, but are sheets that no rerun makes


def rerun(
    path: Path,
    recipe: Recipe,
    load: Callable[[str, Path | None], Network],
    *,
    search: Sequence[Path] = (),
    progress: Progress | None = None,
) -> tuple[Visualization | Dream, Difference]:
    """Make the picture at ``path`` again.

    Args:
        path: A picture written by :func:`~impasto.inspection.visualize.visualize` or
            :func:`~impasto.inspection.dream.dream`.
        recipe: What it carries.
        load: From the name of a network, and a file of weights or none, to the network.
        search: Folders in which to look for inputs that have moved.
        progress: Called with (part done, a few words).

    Raises:
        UsageError: An interrupted picture, or an input that cannot be found.
    """
    if not recipe.finished:
        raise UsageError(f"{path} was interrupted: it is the picture at that moment, and cannot be made again")
    options = dict(recipe.options)
    found = places(recipe, search)
    options.pop("weights", None)
    network = load(options.pop("network"), found.get("weights"))
    made: Visualization | Dream
    if recipe.verb == "visualize":
        units, other = options.pop("units"), options.pop("compare", None)
        against = load(other, None) if other else None
        made = visualize(*units, network=network, compare=against, progress=progress, **options)
    else:
        if "guide" in found:
            options["guide"] = found["guide"]
        made = dream(found["content"], options.pop("objective"), network=network, progress=progress, **options)
    return made, compare(path, read(path), recipe, made)
