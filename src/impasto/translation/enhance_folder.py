"""Folders: many pictures enhanced into another folder; what is done is skipped, a bad file does not stop the others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from impasto.errors import ImpastoError, UsageError
from impasto.images import read_recipe, require_format
from impasto.images.folder import pictures_below
from impasto.images.write import FORMATS
from impasto.runs.options_file import validate
from impasto.runs.parts import remove_parts
from impasto.runs.recipe import input_file, parse
from impasto.translation.apply import Progress
from impasto.translation.choice import Chosen, choose
from impasto.translation.enhance import enhance, recipe_of
from impasto.translation.enhance_options import EnhanceOptions

STALE = 60.0  # seconds without a byte after which a half-written file is nobody's any more


@dataclass(frozen=True)
class FolderItem:
    """What became of one picture.

    Attributes:
        source: The picture.
        out: Where its result is.
        status: ``enhanced``, ``skipped`` because it was done already, or ``failed``.
        error: Why it failed; else empty.
    """

    source: Path
    out: Path
    status: Literal["enhanced", "skipped", "failed"]
    error: str = ""


def enhance_folder(
    sources: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    options: EnhanceOptions | None = None,
    suffix: str = ".png",
    progress: Progress | None = None,
    **fields: Any,
) -> Iterator[FolderItem]:
    """Enhance all pictures below folders, and single ones, into a folder, which gets the same folders.

    A result that is there, of the same picture by the same options and weights, is skipped: a batch that was stopped or
    killed goes on where it was, and one whose pictures or options have changed makes those anew. Results are written
    whole or not at all.

    >>> [item.status for item in enhance_folder("photos", "enhanced", scale=2)]  # doctest: +SKIP
    ['enhanced', 'enhanced', 'failed']

    Args:
        sources: Folders and pictures.
        out: The folder; it is made if need be.
        options: All options at once; ``fields`` go over it.
        suffix: Format of the results: ``.png``, ``.jpg`` …, or ``same`` as the picture's own.
        progress: Called with (part done of all, a few words).
        fields: Any field of :class:`~impasto.translation.enhance_options.EnhanceOptions`.

    Yields:
        What became of each picture, in order.

    Raises:
        UsageError: Bad options, no pictures, or no such model: before any work.
        ImpastoError: The folder cannot be made.
    """
    base = options.model_dump(exclude_unset=True) if options else {}
    options = validate(EnhanceOptions, base | fields)
    if suffix != "same":
        require_format(f"a{suffix}")
    out = Path(out)
    many = [sources] if isinstance(sources, str | Path) else sources
    places = _places([Path(source) for source in many], out, suffix)
    chosen = choose(options)
    for folder in {place.parent for _, place in places}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImpastoError(f"the folder {folder} cannot be made: {error.strerror}") from error
        remove_parts(folder, before=time.time() - STALE)
    for number, (source, place) in enumerate(places):

        def tell(done: float, words: str, number: int = number, name: str = source.name) -> None:
            if progress:
                progress((number + done) / len(places), f"{number + 1} of {len(places)}, {name}, {words}")

        try:
            if _is_done(place, source, chosen, options):
                yield FolderItem(source, place, "skipped")
                continue
            tell(0, "reading")
            enhance(source, options=options, chosen=chosen, out=place, progress=tell)
        except ImpastoError as error:
            yield FolderItem(source, place, "failed", str(error))
        except MemoryError:
            yield FolderItem(source, place, "failed", f"{source}: not enough memory")
        else:
            yield FolderItem(source, place, "enhanced")


def _places(sources: Sequence[Path], out: Path, suffix: str) -> list[tuple[Path, Path]]:
    """Each picture, and where its result goes."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: several pictures need a folder")
    found: list[tuple[Path, Path]] = []  # a picture, and its place below the folder
    for source in sources:
        if not source.is_dir():
            found.append((source, Path(source.name)))
            continue
        inside = [(source / path, Path(path)) for path in pictures_below(source)]
        found += [pair for pair in inside if not pair[0].absolute().is_relative_to(out.absolute())]
    if not found:
        raise UsageError("no pictures to enhance: name some, or folders of some")
    if any(source.parent.absolute() == out.absolute() for source, _ in found):
        raise UsageError(f"--out {out} is where the pictures are: name another folder")

    def named(path: Path, kept: str = "") -> Path:
        own = path.suffix.lower() if path.suffix.lower() in FORMATS else ".png"
        return path.with_name(path.stem + kept + (own if suffix == "same" else suffix))

    # two that differ in their suffix only, a photograph and its raw copy, keep it in their names
    count = Counter(named(place) for _, place in found)
    places = [named(place, place.suffix if count[named(place)] > 1 else "") for _, place in found]
    if twice := next((place for place, many in Counter(places).items() if many > 1), None):
        raise UsageError(f"two pictures would both become {out / twice}: enhance them apart")
    return [(source, out / place) for (source, _), place in zip(found, places, strict=True)]


def _is_done(place: Path, source: Path, chosen: Chosen, options: EnhanceOptions) -> bool:
    """Whether the result is there, made of the same files with the same options.

    Raises:
        UsageError: Something is there that impasto has not made, or the picture cannot be read.
    """
    if not place.exists():
        return False
    try:
        recipe = parse(read_recipe(place), place)
    except UsageError as error:
        raise UsageError(f"{place} is there and was not made by impasto: move it, or choose another --out") from error
    try:
        now = recipe_of(chosen, options, [input_file("content", source)])
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}") from error

    def facts(of: Any) -> tuple[Any, ...]:
        return of.verb, of.options, of.networks, [(one.role, one.sha256) for one in of.inputs]

    return recipe.finished and facts(recipe) == facts(now)
