"""Manifests of data: one row a picture, with its label, group and split, in one Parquet file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from impasto.errors import UsageError
from impasto.images import idx
from impasto.images.replace import replace_file
from impasto.networks.names import nearest

SPLITS = ("train", "valid", "test", "unlabelled")

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # relative to the root, with / between; FILE#N is the N-th picture of an idx file
        ("label", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("width", pa.int32()),  # after orientation
        ("height", pa.int32()),
        ("sha256", pa.string()),  # of the file's bytes, or of the digit's pixels
        ("phash", pa.string()),  # 16 hexadecimal digits
        ("box", pa.list_(pa.float32(), 4)),  # left, top, right, bottom in pixels of the oriented picture
    ]
)

# In a file a box is a list of any length: Parquet's readers cannot read lists of a fixed length where some are null.
_STORED = pa.schema([field.with_type(pa.list_(pa.float32())) if field.name == "box" else field for field in SCHEMA])


@dataclass(frozen=True)
class Manifest:
    """The rows of a data set; a new one is made rather than a row changed.

    Attributes:
        table: The rows, with the columns of ``SCHEMA``; every column but ``path`` may hold nulls.
        root: The folder that the paths start from.
    """

    table: pa.Table
    root: Path

    @classmethod
    def from_rows(cls, rows: Iterable[dict[str, Any]], root: Path | str) -> Manifest:
        """A manifest of rows given as dictionaries; a column that a row does not name is null there."""
        return cls(pa.Table.from_pylist(list(rows), schema=SCHEMA), Path(root).absolute())

    @classmethod
    def load(cls, path: Path | str) -> Manifest:
        """The manifest of a Parquet file.

        Raises:
            UsageError: No such file, or not a manifest.
        """
        path = Path(path)
        try:
            table = pq.read_table(path)
        except FileNotFoundError as error:
            raise UsageError(f"no manifest {path}: make one with `impasto data scan FOLDER`") from error
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{path} is not a Parquet file: {' '.join(str(error).split())}") from error
        root = (table.schema.metadata or {}).get(b"impasto.root")
        if root is None or not set(SCHEMA.names) <= set(table.column_names):
            raise UsageError(f"{path} is no manifest of impasto's: make one of it with `impasto data scan {path}`")
        folder = Path(root.decode())
        return cls(table.select(SCHEMA.names).cast(SCHEMA), (path.absolute().parent / folder).resolve())

    def save(self, path: Path | str) -> None:
        """Write the manifest as Parquet, whole or not at all.

        Raises:
            ImpastoError: The disk is full, or the folder may not be written to.
        """
        buffer = io.BytesIO()
        metadata = {"impasto.root": str(self.root)}
        pq.write_table(self.table.cast(_STORED).replace_schema_metadata(metadata), buffer)
        replace_file(Path(path), buffer.getvalue())

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> list[Any]:
        """A column as Python values, None where there is nothing."""
        return self.table.column(name).to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def paths(self) -> list[str]:
        """The paths as they stand in the table."""
        return self.column("path")

    def file(self, index: int) -> Path:
        """The file of a row (of an idx file, the file that holds it)."""
        path = self.root / self.paths[index]
        inside = idx.place(path)
        return inside[0] if inside else path

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels that occur, sorted: numbers by value, else by name."""
        labels = {label for label in self.column("label") if label is not None}
        return tuple(sorted(labels, key=lambda label: (0, int(label), "") if label.isdecimal() else (1, 0, label)))

    def targets(self, classes: Sequence[str] | None = None) -> np.ndarray:
        """The index of each row's label among ``classes`` (int64), −1 where there is no label.

        Raises:
            UsageError: A label that is not among the classes.
        """
        classes = self.classes if classes is None else classes
        numbers = {label: number for number, label in enumerate(classes)} | {None: -1}
        labels = self.column("label")
        for path, label in zip(self.paths, labels, strict=True):
            if label not in numbers:
                known = nearest(label, list(classes))
                raise UsageError(
                    f"{path} has the label {label!r}, which no training picture has: give it one of those there are "
                    f"({known}), train on pictures of it too, or leave it out"
                )
        return np.array([numbers[label] for label in labels], dtype=np.int64)

    def where(self, **equal: Any) -> Manifest:
        """The rows in which columns have these values: ``where(split="train")``."""
        keep = np.ones(len(self), dtype=bool)
        for name, value in equal.items():
            keep &= np.array([one == value for one in self.column(name)], dtype=bool)
        return self.take(np.flatnonzero(keep))

    def take(self, indices: Sequence[int] | np.ndarray) -> Manifest:
        """The rows at these positions, in this order."""
        return replace(self, table=self.table.take(pa.array(np.asarray(indices, dtype=np.int64))))

    def having(self, **columns: Sequence[Any]) -> Manifest:
        """The same rows with other values in some columns."""
        table = self.table
        for name, values in columns.items():
            position = table.column_names.index(name)
            kind = SCHEMA.field(name)
            table = table.set_column(position, kind, pa.array(list(values), type=kind.type))
        return replace(self, table=table)

    def joined(self, other: Manifest) -> Manifest:
        """The rows of both; those of the other keep their files, by absolute path where the roots differ."""
        if other.root != self.root:
            other = other.having(path=[str(other.root / path) for path in other.paths])
        return replace(self, table=pa.concat_tables([self.table, other.table]))

    @cached_property
    def sha256(self) -> str:
        """Hash of what the rows say, whatever their order and wherever the folder lies."""
        rows = sorted(repr(tuple(row.items())) for row in self.table.to_pylist())
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def counts(self, column: str) -> dict[str | None, int]:
        """How many rows have each value of a column."""
        found = pc.value_counts(self.table.column(column).combine_chunks()).to_pylist()
        return {one["values"]: one["counts"] for one in found}
