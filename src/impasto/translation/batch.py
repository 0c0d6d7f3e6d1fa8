"""Batch: many pictures worked into a folder; what is done is skipped, a bad file does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from impasto.errors import ImpastoError, UsageError
from impasto.images import read_recipe
from impasto.runs.parts import remove_parts
from impasto.runs.recipe import Input, Recipe, input_file, parse
from impasto.translation.apply import Progress

STALE = 60.0  # seconds without a byte after which a half-written file is nobody's any more

Done = Literal["enhanced", "segmented"]


@dataclass(frozen=True)
class FolderItem:
    """What became of one picture.

    Attributes:
        source: The picture.
        out: Where its result is.
        status: What was done, ``enhanced`` or ``segmented``; ``skipped`` because it was done already; or ``failed``.
        error: Why it failed; else empty.
    """

    source: Path
    out: Path
    status: Literal[Done, "skipped", "failed"]
    error: str = ""


def batch(
    plan: Sequence[tuple[Path, Path]],
    done: Done,
    make: Callable[[Path, Path, Progress], object],
    recipe: Callable[[list[Input]], Recipe],
    progress: Progress | None = None,
    *,
    keep: Callable[[Path], bool] = lambda place: False,
) -> Iterator[FolderItem]:
    """Work pictures, each into a file that carries its recipe.

    A result that is there with the recipe that it would get now is skipped: a batch that was stopped or killed goes on
    where it was, and one whose pictures or options have changed makes those anew.

    Args:
        plan: The pictures, and where their results go, as :func:`~impasto.translation.places.planned` has them.
        done: What is done to them.
        make: Called with a picture, where its result goes, and what is told of the progress.
        recipe: How the result of these files is made.
        progress: Called with (part done of all, a few words).
        keep: Whether what is at a result's place is to stay there, whatever it was made of.

    Yields:
        What became of each picture, in order.

    Raises:
        ImpastoError: A folder of the results cannot be made.
    """
    for folder in {place.parent for _, place in plan}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImpastoError(f"the folder {folder} cannot be made: {error.strerror}") from error
        remove_parts(folder, before=time.time() - STALE)
    for number, (source, place) in enumerate(plan):

        def tell(part: float, words: str, number: int = number, name: str = source.name) -> None:
            if progress:
                progress((number + part) / len(plan), f"{number + 1} of {len(plan)}, {name}, {words}")

        try:
            if (place.exists() and keep(place)) or _is_done(place, source, recipe):
                yield FolderItem(source, place, "skipped")
                continue
            tell(0, "reading")
            make(source, place, tell)
        except ImpastoError as error:
            yield FolderItem(source, place, "failed", str(error))
        except MemoryError:
            yield FolderItem(source, place, "failed", f"{source}: not enough memory")
        else:
            yield FolderItem(source, place, done)


def _is_done(place: Path, source: Path, recipe: Callable[[list[Input]], Recipe]) -> bool:
    """Whether the result is there, made of the same files with the same options.

    Raises:
        UsageError: Something is there that impasto has not made, or the picture cannot be read.
    """
    if not place.exists():
        return False
    try:
        made = parse(read_recipe(place), place)
    except UsageError as error:
        raise UsageError(f"{place} is there and was not made by impasto: move it, or choose another --out") from error
    try:
        now = recipe([input_file("content", source)])
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}") from error

    content = {one.sha256 for one in now.inputs}
    for one in made.inputs:
        another = one.role == "content" and one.sha256 not in content
        if another and (other := Path(one.path)).exists() and not other.samefile(source):
            raise UsageError(f"{place} is there and was made of {other}: move it, or choose another --out")

    def facts(of: Recipe) -> tuple[Any, ...]:
        return of.verb, of.options, sorted(of.networks.values()), [(one.role, one.sha256) for one in of.inputs]

    return made.finished and facts(made) == facts(now) and all(now.networks.values())  # a hash may not be known
