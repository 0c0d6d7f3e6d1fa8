"""Scan: a folder of pictures, a table or idx files become a manifest: one row a picture, measured and hashed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import ImpastoError, UsageError
from impasto.images import idx
from impasto.images.folder import pictures_below
from impasto.learning import phash
from impasto.learning.layout import rows_of_folder
from impasto.learning.manifest import Manifest
from impasto.learning.tables import Columns, rows_of_table

Progress = Callable[[float, str], object]

__all__ = ["Columns", "Look", "is_manifest", "list_pictures", "look", "look_at_all", "read_data", "scan"]

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")

OUTSIDE = 2  # pixels that a box may reach beyond its picture: some count from 1, or round


class Look(NamedTuple):
    """What one look at a picture's file tells; a picture that cannot be decoded has an error and no thumbnail.

    Attributes:
        width: Columns of the upright picture.
        height: Rows of it.
        sha256: Of the file's bytes, or of the pixels of a picture in an idx file; None if it cannot be read at all.
        thumbnail: (64, 64) uint8, see `impasto.learning.phash.thumbnail`.
        error: Why there is none, in one line.
    """

    width: int | None
    height: int | None
    sha256: str | None
    thumbnail: np.ndarray | None
    error: str | None


def read_data(source: Path | str, *, layout: str = "auto", progress: Progress | None = None) -> Manifest:
    """The manifest of whatever is given: a manifest's file is read, anything else is scanned as it is.

    Args:
        source: A manifest (Parquet), a folder, a CSV or Parquet table, or idx files.
        layout: What the levels of a folder are, as for :func:`scan`.
        progress: Called with the part that is done and a few words.

    Raises:
        UsageError: There is no such thing, or as :func:`scan`.
    """
    source = Path(source)
    return Manifest.load(source) if is_manifest(source) else scan(source, layout=layout, progress=progress)


def list_pictures(source: Path | str) -> Manifest:
    """The pictures of a manifest, a table, idx files, or of a folder, whatever folders they are in there; unopened.

    Raises:
        UsageError: There is no such thing, it holds no pictures, or those of a table are not there.
    """
    source = Path(source)
    if is_manifest(source):
        return Manifest.load(source)
    if not source.exists():
        raise UsageError(f"{source} does not exist: check the name")
    if files := idx.image_files(source):
        return _rows_of_idx(files)
    if source.is_dir():
        return Manifest.from_rows([{"path": path} for path in pictures_below(source)], source)
    if source.suffix.lower() in TABLES:
        return Manifest.from_rows(*rows_of_table(source, Columns(group="", split="")))
    raise UsageError(f"{source} holds no pictures that can be listed: a folder, a manifest, CSV or idx file does")


def scan(
    source: Path | str,
    *,
    layout: str = "auto",
    columns: Columns | None = None,
    root: Path | str | None = None,
    pictures: bool = True,
    progress: Progress | None = None,
) -> Manifest:
    """Make the manifest of a folder, a table or idx files; nothing is moved, copied or changed.

    Every picture is decoded to its end. One that cannot be is a row without size and hash, which `audit` lists and
    `train` refuses.

    Args:
        source: A folder of class folders, a CSV or Parquet file, or (a folder of) MNIST's idx files.
        layout: What the levels of a folder are: ``{label}``, ``{split}/{label}``, ``{group}/{label}`` …; see
            `impasto.learning.layout.rows_of_folder`.
        columns: Which columns of a table say what.
        root: The folder that a table's paths start from.
        pictures: Whether to open them; without, a table needs no pictures, and the rows have neither size nor hashes.
        progress: Called with the part that is done and a few words.

    Raises:
        UsageError: There are no pictures, a class is empty, the layout is not clear, paths are wrong.

    >>> import tempfile
    >>> from impasto.images import Picture, write
    >>> import torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for label in ("cat", "dog"):
    ...         (Path(folder) / label).mkdir()
    ...         write(Path(folder) / label / "1.png", Picture(torch.rand(1, 3, 8, 12)))
    ...     scan(folder).classes
    ('cat', 'dog')
    """
    source = Path(source)
    if not source.exists():
        raise UsageError(f"{source} does not exist: check the name")
    if files := idx.image_files(source):
        return _measured(_rows_of_idx(files), progress)
    if source.is_dir():
        rows, base = rows_of_folder(source, layout), source
    elif source.suffix.lower() in TABLES:
        rows, base = rows_of_table(source, columns, root=Path(root) if root else None, pictures=pictures)
    else:
        raise UsageError(f"{source} is no data that can be scanned: a folder, CSV, Parquet or idx file is")
    manifest = Manifest.from_rows(rows, base)
    if pictures:
        manifest = _measured(manifest, progress)
        _require_boxes_inside(manifest, source)
    return manifest


def look(path: Path | str) -> Look:
    """Read, hash and decode one picture's file, or ``FILE#N`` of an idx file."""
    from impasto.images import read

    try:
        if inside := idx.place(path):
            return _look_at_digit(idx.read_image(*inside))
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        return Look(None, None, None, None, f"{path} cannot be read: {error.strerror}")
    except UsageError as error:
        return Look(None, None, None, None, str(error))
    try:
        pixels = read(path).pixels
    except ImpastoError as error:
        return Look(None, None, digest, None, str(error))
    return Look(pixels.shape[-1], pixels.shape[-2], digest, phash.thumbnail(pixels), None)


def look_at_all(paths: Sequence[Path | str], progress: Progress | None = None) -> Iterator[Look]:
    """Look at many, some at once; in their order. Decoding leaves Python's lock, so threads do."""
    workers = min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for number, seen in enumerate(pool.map(look, paths), 1):
            if progress:
                progress(number / len(paths), f"reading picture {number} of {len(paths)}")
            yield seen


def files_of(manifest: Manifest) -> list[str]:
    """Where the pictures of a manifest lie, with ``#N`` behind those of idx files."""
    return [str(manifest.root / path) for path in manifest.paths]


def _measured(manifest: Manifest, progress: Progress | None) -> Manifest:
    seen, hashes = [], []
    for one in look_at_all(files_of(manifest), progress):
        hashes.append(None if one.thumbnail is None else _hash(one.thumbnail))
        seen.append(one._replace(thumbnail=None))  # not held for all
    return manifest.having(
        width=[one.width for one in seen],
        height=[one.height for one in seen],
        sha256=[one.sha256 for one in seen],
        phash=hashes,
    )


def _require_boxes_inside(manifest: Manifest, table: Path) -> None:
    sizes = zip(manifest.column("width"), manifest.column("height"), strict=True)
    for line, (box, (width, height)) in enumerate(zip(manifest.column("box"), sizes, strict=True), 2):
        if box is None or width is None:
            continue
        left, top, right, bottom = box
        if min(left, top, width - right, height - bottom) < -OUTSIDE:
            where = ", ".join(f"{side:g}" for side in box)
            raise UsageError(
                f"{table}, line {line}: the box {where} lies outside {manifest.paths[line - 2]}, "
                f"which is {width}×{height} pixels: mend it, or leave it empty"
            )


def _hash(thumbnail: np.ndarray) -> str:
    return phash.to_text(int(phash.hashes(phash.coefficients(thumbnail))))


def _look_at_digit(digit: np.ndarray) -> Look:
    import torch

    pixels = torch.from_numpy(digit.astype(np.float32) / 255).expand(1, 3, -1, -1)
    height, width = digit.shape
    return Look(width, height, hashlib.sha256(digit.tobytes()).hexdigest(), phash.thumbnail(pixels), None)


def _rows_of_idx(files: list[Path]) -> Manifest:
    """The pictures of idx files; the files' names are their splits, where there is more than one."""
    rows: list[dict[str, Any]] = []
    for path in files:
        labels = idx.labels(path)
        split = idx.split_of(path) if len(files) > 1 else None
        for number in range(len(idx.images(path))):
            label = labels[number] if labels else None
            rows.append({"path": f"{path.name}#{number}", "label": label, "split": split})
    if not rows:
        raise UsageError(f"{files[0]} holds no pictures: download it again")
    return Manifest.from_rows(rows, files[0].parent)


def is_manifest(source: Path) -> bool:
    """Whether a file is a Parquet file of impasto's, or at least is called one and cannot be read."""
    if source.suffix.lower() not in (".parquet", ".pq") or not source.is_file():
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return b"impasto.root" in (pq.read_schema(source).metadata or {})
    except (OSError, pa.ArrowException):
        return True  # its reader says what is wrong with it
