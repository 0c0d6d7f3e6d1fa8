"""Rerun: make a picture again from the recipe inside it, and say how far the two differ."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import UsageError
from impasto.images import Picture, read, read_recipe, require_format
from impasto.runs.options_file import validate
from impasto.runs.recipe import Recipe, find, parse
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.stylize import StyleTransferProgress, StyleTransferResult, result_size, stylize


@dataclass(frozen=True)
class Difference:
    """How far the picture made again is from the one there was, in the levels of its file (of 255 or 65535).

    Attributes:
        largest: The largest difference of any pixel in any channel; 0 means identical.
        mean: The mean absolute difference.
        levels: The white of the file, 255 or 65535.
        reasons: What is not as it was: version, device, threads, weights.
    """

    largest: int
    mean: float
    levels: int
    reasons: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every pixel is the same."""
        return self.largest == 0

    def __str__(self) -> str:
        if self.identical:
            return "identical to the picture it was made from"
        because = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"differs by {self.largest} of {self.levels} at most, {self.mean:.3g} on average{because}"


def rerun(
    path: Path | str,
    *,
    search: Sequence[Path | str] = (),
    progress: Callable[[StyleTransferProgress], object] | None = None,
    download: Callable[[int, int | None], object] | None = None,
) -> tuple[StyleTransferResult, Difference]:
    """Make the picture at ``path`` again.

    Args:
        path: A picture written by impasto.
        search: Folders in which to look for inputs that have moved; they are known by their hash.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: No recipe in the picture, an interrupted picture, or an input that cannot be found.
    """
    path = Path(path)
    recipe = parse(read_recipe(path), path)
    require_format(path)
    if recipe.verb != "stylize":
        raise UsageError(f"{path} was made by {recipe.verb!r}, which this version cannot rerun")
    if not all(one.path for one in recipe.inputs):
        raise UsageError(f"{path} was made from pictures in memory, not from files: its recipe cannot be rerun")
    if not recipe.finished:
        raise UsageError(f"{path} was interrupted: it is the best picture at that moment, and cannot be made again")
    places = find(recipe.inputs, [Path(folder) for folder in search])
    by_role: dict[str, list[Path]] = {}
    for one in recipe.inputs:
        by_role.setdefault(one.role, []).append(places[one.sha256])
    if "content" not in by_role or "style" not in by_role:
        raise UsageError(f"{path} was made from pictures in memory, not from files: its recipe cannot be rerun")
    options: dict[str, Any] = dict(recipe.options)
    for role in ("weights", "init"):
        if role in by_role:
            options[role] = str(by_role[role][0])
    before = read(path)
    checked = validate(StyleTransferOptions, options)
    size = result_size(read(by_role["content"][0]), checked)
    if (before.height, before.width) != size:
        raise UsageError(f"{path} has been resized since it was made: it cannot be compared")
    result = stylize(by_role["content"][0], by_role["style"], options=checked, progress=progress, download=download)
    return result, _compare(path, before, recipe, result)


def _compare(path: Path, before: Picture, recipe: Recipe, result: StyleTransferResult) -> Difference:
    with tempfile.TemporaryDirectory() as folder:
        after = read(result.save(Path(folder, "again" + path.suffix)))
    levels = 65535 if before.depth == 16 else 255
    apart = ((before.pixels - after.pixels).abs() * levels).round()
    now = result.recipe
    reasons = [
        f"{name} was {was}, is {now.made_with.get(name)}"
        for name, was in recipe.made_with.items()
        if now.made_with.get(name) != was
    ]
    reasons += [f"other weights of {n}" for n, digest in recipe.networks.items() if now.networks.get(n) != digest]
    return Difference(int(apart.max()), float(apart.mean()), levels, tuple(reasons))
