"""Rerun: make a picture again from the recipe inside it, and say how far the two differ."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from impasto.errors import UsageError
from impasto.images import Picture, read, read_recipe, require_format
from impasto.networks.weights import Download
from impasto.runs.directory import RunDirectory
from impasto.runs.recipe import Recipe, causes, parse
from impasto.synthesis.crafts import rebuild
from impasto.synthesis.session import Listener, SynthesisResult, listening, make


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
    progress: Listener | None = None,
    download: Download | None = None,
) -> tuple[SynthesisResult, Difference]:
    """Make the picture at ``path`` again.

    Args:
        path: A picture written by impasto, or the directory of a finished run.
        search: Folders in which to look for inputs that have moved; they are known by their hash.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: No recipe in the picture, an interrupted picture, or an input that cannot be found.
    """
    path = _picture_of(Path(path))
    recipe = parse(read_recipe(path), path)
    require_format(path)
    if not recipe.finished:
        raise UsageError(f"{path} was interrupted: it is the picture at that moment, and cannot be made again")
    with listening(progress, download) as (progress, download):
        craft = rebuild(recipe.verb, recipe.options, recipe.inputs, name=path, search=search, download=download)
        before = read(path)
        require_size(path, before, craft.size)
        result = make(craft, progress=progress)
    return result, compare(path, before, recipe, result)


def _picture_of(path: Path) -> Path:
    """The picture that a finished run has written; a picture itself as it is."""
    if not path.is_dir():
        return path
    output = RunDirectory.open(path).manifest.get("output")
    if not output:
        raise UsageError(f"the run {path} is not finished: `impasto resume {path}` goes on with it")
    return path / output


class Made(Protocol):
    """A picture made again, as every craft gives it."""

    @property
    def recipe(self) -> Recipe:
        """How it was made."""

    def save(self, path: Path | str) -> Path:
        """Write it."""


def require_size(path: Path, picture: Picture, size: tuple[int, int]) -> None:
    """Refuse a picture that is not of the (height, width) that it was made with."""
    if (picture.height, picture.width) != size:
        raise UsageError(f"{path} has been resized since it was made: it cannot be compared")


def compare(path: Path, before: Picture, recipe: Recipe, result: Made) -> Difference:
    """How far what was made again, written as the file was, is from what the file holds.

    Raises:
        UsageError: They are not of one size.
    """
    with tempfile.TemporaryDirectory() as folder:
        after = read(result.save(Path(folder, "again" + path.suffix)))
    require_size(path, before, (after.height, after.width))
    levels = 65535 if before.depth == 16 else 255
    apart = ((before.pixels - after.pixels).abs() * levels).round()
    return Difference(int(apart.max()), float(apart.mean()), levels, tuple(causes(recipe, result.recipe)))
