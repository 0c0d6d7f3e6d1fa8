"""Rerun: enhance or label a picture again by the recipe in what was made of it, and say how far the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import UsageError
from impasto.images import read
from impasto.runs.options_file import validate
from impasto.runs.recipe import Recipe, causes, places
from impasto.synthesis.rerun import Difference, compare
from impasto.translation.apply import Progress
from impasto.translation.enhance import Enhanced, enhance
from impasto.translation.enhance_options import EnhanceOptions
from impasto.translation.masks import read_labels
from impasto.translation.segment import Segmented, mended, segment
from impasto.translation.segment_options import SegmentOptions


@dataclass(frozen=True)
class LabelDifference:
    """How far the labels made again are from those of a file.

    Attributes:
        pixels: How many pixels have another label; 0 means identical.
        share: The part of the picture that they are.
        reasons: What is not as it was: version, device, threads, weights, or that the mask was mended by hand.
    """

    pixels: int
    share: float
    reasons: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every label is the same."""
        return self.pixels == 0

    def __str__(self) -> str:
        if self.identical:
            return "identical: every label is the same"
        because = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"{self.pixels} pixels, {100 * self.share:.3g} %, have another label{because}"


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
    found = _places(path, recipe, search)
    files = {role: str(found[role]) for role in ("model", "companion") if role in found}
    made = enhance(found["content"], options=validate(EnhanceOptions, recipe.options | files), progress=progress)
    return made, compare(path, read(path), recipe, made)


def rerun_mask(
    path: Path, recipe: Recipe, *, search: Sequence[Path] = (), progress: Progress | None = None
) -> tuple[Segmented, LabelDifference]:
    """Label the picture of the mask at ``path`` again.

    Args:
        path: A mask written by :class:`~impasto.translation.segment.Segmented`.
        recipe: What it carries.
        search: Folders in which to look for the picture and the model if they have moved.
        progress: Called with (part done, a few words).

    Raises:
        UsageError: Made of a picture or by a model in memory, one that cannot be found, or a mask that was resized.
    """
    found = _places(path, recipe, search)
    if "model" not in found:
        raise UsageError(f"{path} was labelled by a model in memory, not by one of a file: it cannot be made again")
    options = validate(SegmentOptions, recipe.options)
    made = segment(found["content"], found["model"], options=options, progress=progress)
    before = read_labels(path)
    if before.shape != made.labels.shape:
        raise UsageError(f"{path} has been resized since it was made: it cannot be compared")
    reasons = ["mended by hand since"] if mended(path) else []
    apart = before != made.labels
    return made, LabelDifference(
        int(apart.sum()), float(apart.float().mean()), (*reasons, *causes(recipe, made.recipe))
    )


def _places(path: Path, recipe: Recipe, search: Sequence[Path]) -> dict[str, Path]:
    """Where the files are that went in, the picture among them."""
    found = places(recipe, search)
    if "content" not in found:
        raise UsageError(f"{path} was made from a picture in memory, not from a file: it cannot be made again")
    return found
