"""Folders: the pixels of many pictures labelled, the masks written into another folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from impasto.runs.options_file import merge
from impasto.translation.apply import Progress
from impasto.translation.batch import FolderItem, batch
from impasto.translation.model import TranslationModel
from impasto.translation.places import planned
from impasto.translation.segment import loaded, mended, recipe_of, segment
from impasto.translation.segment_options import SegmentOptions


def segment_folder(
    sources: Path | str | Sequence[Path | str],
    model: TranslationModel | Path | str,
    out: Path | str,
    *,
    options: SegmentOptions | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> Iterator[FolderItem]:
    """Label the pixels of all pictures below folders, and of single ones, into a folder, which gets the same folders.

    A mask has its picture's name, as `impasto train segment` wants it. What is done is skipped, as
    :func:`~impasto.translation.batch.batch` says, and so are masks that were mended by hand.

    >>> [item.status for item in segment_folder("streets", "runs/CAMVID", "masks")]  # doctest: +SKIP
    ['segmented', 'segmented', 'failed']

    Args:
        sources: Folders and pictures.
        model: A model of segmentation, the run that made it, or its file.
        out: The folder; it is made if need be.
        options: All options at once; ``fields`` go over it.
        progress: Called with (part done of all, a few words).
        fields: Any field of :class:`~impasto.translation.segment_options.SegmentOptions`.

    Yields:
        What became of each picture, in order.

    Raises:
        UsageError: Bad options, no pictures, or no such model: before any work.
        ImpastoError: The folder cannot be made.
    """
    how = merge(SegmentOptions, options, fields)
    plan = planned(sources, out)
    labels = loaded(model)
    yield from batch(
        plan,
        "segmented",
        lambda source, place, tell: segment(source, labels, options=how, progress=tell).save(place),
        lambda files: recipe_of(labels, how, files),
        progress,
        keep=mended,
    )
