"""Folders: many pictures enhanced into another folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from impasto.images import require_format
from impasto.runs.options_file import merge
from impasto.translation.apply import Progress
from impasto.translation.batch import FolderItem, batch
from impasto.translation.choice import choose
from impasto.translation.enhance import enhance, recipe_of
from impasto.translation.enhance_options import EnhanceOptions
from impasto.translation.places import planned


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
    how = merge(EnhanceOptions, options, fields)
    if suffix != "same":
        require_format(f"a{suffix}")
    plan = planned(sources, out, suffix)
    chosen = choose(how)
    yield from batch(
        plan,
        "enhanced",
        lambda source, place, tell: enhance(source, options=how, chosen=chosen, out=place, progress=tell),
        lambda files: recipe_of(chosen, how, files),
        progress,
    )
