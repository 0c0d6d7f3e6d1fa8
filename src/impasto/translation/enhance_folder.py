"""Folders: many pictures enhanced into another folder; what is done is skipped, a bad file does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from impasto.errors import ImpastoError, UsageError
from impasto.images import read_recipe, require_format
from impasto.runs.options_file import validate
from impasto.runs.parts import remove_parts
from impasto.runs.recipe import input_file, parse
from impasto.translation.apply import Progress
from impasto.translation.choice import Chosen, choose
from impasto.translation.enhance import enhance, recipe_of
from impasto.translation.enhance_options import EnhanceOptions
from impasto.translation.places import gathered, places

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
    plan = planned([Path(source) for source in many], out, suffix)
    chosen = choose(options)
    for folder in {place.parent for _, place in plan}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImpastoError(f"the folder {folder} cannot be made: {error.strerror}") from error
        remove_parts(folder, before=time.time() - STALE)
    for number, (source, place) in enumerate(plan):

        def tell(done: float, words: str, number: int = number, name: str = source.name) -> None:
            if progress:
                progress((number + done) / len(plan), f"{number + 1} of {len(plan)}, {name}, {words}")

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


def planned(sources: Sequence[Path], out: Path, suffix: str = ".png") -> list[tuple[Path, Path]]:
    """Each picture, and where its result goes.

    Raises:
        UsageError: There are none, or one would be written over.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: several pictures need a folder")
    found = gathered(sources, out)
    made = places([name for _, name in found], out, suffix)
    if not {place.parent.resolve() for place in made}.isdisjoint(source.parent.resolve() for source, _ in found):
        raise UsageError(f"--out {out} is where the pictures are: name another folder")
    return [(source, place) for (source, _), place in zip(found, made, strict=True)]


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
