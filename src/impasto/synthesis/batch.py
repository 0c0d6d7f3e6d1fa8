"""A batch: many photographs in the same style; what is done is skipped, and a bad file does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from impasto.errors import ImpastoError, UsageError
from impasto.images import read_recipe, require_format
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Recipe, input_file, parse
from impasto.synthesis.calibration import Fitted
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.processes import world
from impasto.synthesis.run import carry_out
from impasto.synthesis.session import Listener, listening
from impasto.synthesis.stylize import prepare


@dataclass(frozen=True)
class BatchItem:
    """What became of one photograph.

    Attributes:
        content: The photograph.
        out: Its picture.
        status: ``painted``, ``skipped`` because it was there already, or ``failed``.
        error: Why it failed; else empty.
    """

    content: Path
    out: Path
    status: Literal["painted", "skipped", "failed"]
    error: str = ""


def stylize_batch(
    contents: Sequence[Path | str],
    styles: Sequence[Path | str],
    out: Path | str,
    *,
    options: StyleTransferOptions | None = None,
    suffix: str = ".png",
    progress: Listener | None = None,
    download: Download | None = None,
    **fields: Any,
) -> Iterator[BatchItem]:
    """Paint photographs in the same styles into a folder, each as CONTENT-STYLE with the suffix.

    A picture that is there with the same recipe is skipped, so that a batch that was stopped goes on where it was. The
    paintings' statistics are measured once for photographs of one size that follow each other. A large picture is made
    in a run under ``runs``, which a kill leaves for :func:`impasto.resume`.

    Args:
        contents: The photographs.
        styles: The paintings.
        out: The folder; it is made if need be.
        options: All options at once; ``fields`` go over it.
        suffix: The format of the pictures.
        progress: Called with every step of every picture.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`StyleTransferOptions`.

    Yields:
        What became of each photograph, in order.

    Raises:
        UsageError: Bad options, or two photographs of one name: before any work.
        ImpastoError: The folder cannot be made, or one of several processes has failed.
        KeyboardInterrupt: An interrupt (Ctrl-C); the picture that it interrupts is not written.
    """
    options = merge(StyleTransferOptions, options, fields)
    if not contents or not styles:
        raise UsageError("a batch needs photographs and a painting")
    folder = Path(out)
    places = [(Path(content), folder / f"{_stem(Path(content), styles)}{suffix}") for content in contents]
    require_format(places[0][1])
    names = [place.name for _, place in places]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two photographs would both become {folder / twice}: rename one, or paint them apart")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImpastoError(f"the folder {folder} cannot be made: {error.strerror}") from error
    if gone := next((style for style in styles if not Path(style).is_file()), None):
        raise UsageError(f"the style {gone} does not exist: check the name")
    fitted: Fitted = {}
    size = None
    for content, place in places:
        try:
            if _is_done(place, content, [Path(style) for style in styles], options):
                yield BatchItem(content, place, "skipped")
                continue
            with listening(progress, download) as (listener, downloading):
                craft = prepare(content, list(styles), options, downloading, fitted)
                if craft.size != size:
                    fitted.clear()  # it is of no use at another size, and would only grow
                    size = craft.size
                result = carry_out(craft, progress=listener, run="auto", out=place, unfinished=False)
            if not result.recipe.finished:
                raise KeyboardInterrupt
            del craft, result  # large pictures need not wait for the next ones to be read
        except ImpastoError as error:
            if world() > 1 and not isinstance(error, UsageError):
                raise  # the other processes have not failed, and wait for this one
            yield BatchItem(content, place, "failed", str(error))
        else:
            yield BatchItem(content, place, "painted")


def _stem(content: Path, styles: Sequence[Path | str]) -> str:
    return "-".join([content.stem, *(Path(style).stem for style in styles)])


def _is_done(place: Path, content: Path, styles: Sequence[Path], options: StyleTransferOptions) -> bool:
    """Whether the picture is there, made from the same files with the same options.

    Raises:
        UsageError: Something is there that impasto has not made.
    """
    if not place.exists():
        return False
    try:
        recipe: Recipe = parse(read_recipe(place), place)
    except UsageError as error:
        raise UsageError(
            f"{place} is there and was not made by impasto: move it away, or choose another --out"
        ) from error
    if not recipe.finished or recipe.options != options.model_dump(mode="json", exclude_defaults=True):
        return False
    files = [("content", content), *(("style", style) for style in styles)]
    if options.init not in ("content", "noise", "median"):
        files.append(("init", Path(options.init)))
    if options.weights:
        files.append(("weights", options.weights))
    files += [("mask", mask) for mask in options.masks] + [("style_mask", mask) for mask in options.style_masks]
    try:
        now = [(role, input_file(role, path).sha256) for role, path in files]
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error
    return [(one.role, one.sha256) for one in recipe.inputs] == now
