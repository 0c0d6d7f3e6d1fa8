"""Tables of pictures: CSV and Parquet files that name a picture in each row, with its label, group, split and box."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from impasto.errors import UsageError
from impasto.images.folder import SUFFIXES
from impasto.learning.layout import SPLIT_NAMES
from impasto.networks.names import nearest

# Names that columns go by, the likeliest first; upper and lower case are the same.
_USUAL = {
    "path": ("path", "filepath", "file_path", "image_path", "image", "img", "file", "filename", "file_name", "id"),
    "label": ("label", "class", "classname", "class_name", "breed", "category", "species", "target"),
    "group": ("group", "subject", "driver", "patient", "person", "boat", "domain", "source"),
    "split": ("split", "subset", "partition"),
}
_BOXES = (("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"), ("x1", "y1", "x2", "y2"))


@dataclass(frozen=True)
class Columns:
    """Which columns of a table say what; None is found by the usual names, an empty string is not read at all.

    Attributes:
        path: The picture's file.
        label: Its class.
        group: What it has in common with others that must not be on two sides of a split: a driver, a patient.
        split: train, valid, test or unlabelled.
        box: The four columns of left, top, right, bottom in pixels of the upright picture.
    """

    path: str | None = None
    label: str | None = None
    group: str | None = None
    split: str | None = None
    box: tuple[str, str, str, str] | None = None


def rows_of_table(
    table: Path, columns: Columns | None = None, *, root: Path | None = None, pictures: bool = True
) -> tuple[list[dict[str, Any]], Path]:
    """The rows of a CSV or Parquet file, and the folder that their paths start from.

    Paths are looked for in ``root``, or in the table's folder, in ``images``, ``imgs`` or ``train`` beside it, and
    there in a folder of the label's name.

    Args:
        table: The file.
        columns: Which columns say what.
        root: The folder of the pictures.
        pictures: Whether there are pictures; if not, the paths are kept as they stand.

    Raises:
        UsageError: The file cannot be read, a column is missing, or pictures are not where it says.
    """
    names, records = _read(table)
    if not records:
        raise UsageError(f"{table} has no rows: is it the right file?")
    found = _columns(table, names, columns or Columns())
    rows = [_row(table, number, record, found) for number, record in enumerate(records, 2)]
    base = (root or table.parent).absolute()
    if not pictures:
        return rows, base
    return _located(table, rows, base, given=root is not None), base


def _read(table: Path) -> tuple[list[str], list[dict[str, Any]]]:
    if table.suffix.lower() in (".parquet", ".pq"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            content = pq.read_table(table)
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{table} is not a Parquet file: {' '.join(str(error).split())}") from error
        return content.column_names, content.to_pylist()
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            separator = max(",;\t", key=head.count)
            reader = csv.DictReader(file, delimiter=separator, strict=True)
            return list(reader.fieldnames or []), list(reader)
    except csv.Error as error:
        raise UsageError(
            f"{table}, line {reader.reader.line_num}: {error}; is a quotation mark not closed, or not doubled?"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{table} cannot be read as a CSV file in UTF-8: {error}") from error


def _columns(table: Path, names: Sequence[str], asked: Columns) -> dict[str, Any]:
    by_name = {name.strip().lower(): name for name in names if name}
    found: dict[str, Any] = {}
    for field in fields(asked):
        wanted = getattr(asked, field.name)
        if wanted:
            for one in [wanted] if isinstance(wanted, str) else wanted:
                if one not in names:
                    raise UsageError(f"{table} has no column {one!r}: there are {nearest(one, list(names))}")
            found[field.name] = wanted
        elif wanted is None and field.name == "box":
            usual = (box for box in _BOXES if all(one in by_name for one in box))
            if box := next(usual, None):
                found["box"] = tuple(by_name[one] for one in box)
        elif wanted is None and (usual_name := next((n for n in _USUAL[field.name] if n in by_name), None)):
            found[field.name] = by_name[usual_name]
    if "path" not in found:
        raise UsageError(f"{table} has no column of paths among {', '.join(names)}: name it with --path-column")
    return found


def _row(table: Path, line: int, record: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: _text(record.get(columns[name])) for name in ("path", "label", "group", "split") if name in columns
    }
    if row["path"] is None:
        raise UsageError(f"{table}, line {line}: there is no path; fill it in, or remove the line")
    row["path"] = row["path"].replace("\\", "/")
    if split := row.get("split"):
        row["split"] = SPLIT_NAMES.get(split.lower())
        if row["split"] is None:
            raise UsageError(f"{table}, line {line}: the split is {split!r}; {', '.join(SPLIT_NAMES)} are known")
    if "box" in columns:
        row["box"] = _box(table, line, [record.get(one) for one in columns["box"]])
    return row


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    return str(value).strip() or None


def _box(table: Path, line: int, values: list[Any]) -> list[float] | None:
    texts = [_text(value) for value in values]
    if all(text is None for text in texts):
        return None
    try:
        left, top, right, bottom = (float(text or "none") for text in texts)
        if not all(map(math.isfinite, (left, top, right, bottom))):
            raise ValueError
    except ValueError as error:
        raise UsageError(f"{table}, line {line}: the box {', '.join(map(str, values))} is not four numbers") from error
    if not (left < right and top < bottom):
        raise UsageError(f"{table}, line {line}: the box {left}, {top}, {right}, {bottom} is turned around or empty")
    return [left, top, right, bottom]


def _located(table: Path, rows: list[dict[str, Any]], base: Path, *, given: bool) -> list[dict[str, Any]]:
    """The rows with the paths where the pictures are found, from ``base``."""
    folders = [""] if given else ["", "images/", "imgs/", "train/", "images/train/", "imgs/train/"]
    patterns = [
        (folder, labelled, suffix) for folder in folders for labelled in (False, True) for suffix in _suffixes(rows)
    ]

    def there(row: dict[str, Any], pattern: tuple[str, bool, str]) -> str:
        folder, labelled, suffix = pattern
        return f"{folder}{row.get('label') or '' if labelled else ''}{'/' if labelled else ''}{row['path']}{suffix}"

    some = rows[:: max(1, len(rows) // 20)]
    best = max(patterns, key=lambda pattern: sum((base / there(row, pattern)).is_file() for row in some))
    located = [row | {"path": there(row, best)} for row in rows]
    missing = [row["path"] for row in located if not (base / row["path"]).is_file()]
    if missing:
        raise UsageError(
            f"{table}: {len(missing)} of {len(rows)} pictures are not there, the first is {base / missing[0]}: "
            "mend the paths, or say where the pictures lie with --root"
        )
    return located


def _suffixes(rows: list[dict[str, Any]]) -> list[str]:
    """What is put behind the paths: nothing where they have suffixes, else what pictures usually have."""
    bare = not any(Path(row["path"]).suffix.lower() in SUFFIXES for row in rows[:20])
    return ["", ".jpg", ".jpeg", ".png"] if bare else [""]
