"""Predictions: what a classifier says of each picture, beside what is true, in one Parquet file."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from impasto.errors import UsageError
from impasto.images.replace import replace_file


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of n pictures and k classes.

    Attributes:
        classes: The k labels, in the order of the columns.
        log_probabilities: (n, k) float32, log of the softmax.
        paths: The pictures' paths, absolute (``FILE#N`` for those of idx files).
        targets: (n,) int64, the true class, −1 where it is not known.
        groups: The pictures' groups, None where there is none.
        splits: The split each picture belongs to, None where there is none.
        boxes: (n, 4) float32 or None: left, top, right, bottom as the classifier has them, as parts of width, height.
        true_boxes: (n, 4) float32 or None: the true ones, likewise; NaN where there is none.
    """

    classes: tuple[str, ...]
    log_probabilities: np.ndarray
    paths: tuple[str, ...]
    targets: np.ndarray
    groups: tuple[str | None, ...]
    splits: tuple[str | None, ...]
    boxes: np.ndarray | None = None
    true_boxes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def probabilities(self) -> np.ndarray:
        """(n, k) float64, each row adding up to one."""
        p = np.exp(self.log_probabilities.astype(np.float64))
        return p / p.sum(1, keepdims=True)

    @property
    def predicted(self) -> np.ndarray:
        """(n,) int64, the most probable class."""
        return self.log_probabilities.argmax(1)

    def where(self, keep: np.ndarray) -> Predictions:
        """The pictures at which ``keep`` (n, bool) is true."""
        return self.take(np.flatnonzero(keep))

    def take(self, at: np.ndarray) -> Predictions:
        """The pictures at these positions, in this order."""
        return replace(
            self,
            log_probabilities=self.log_probabilities[at],
            paths=tuple(self.paths[i] for i in at),
            targets=self.targets[at],
            groups=tuple(self.groups[i] for i in at),
            splits=tuple(self.splits[i] for i in at),
            boxes=None if self.boxes is None else self.boxes[at],
            true_boxes=None if self.true_boxes is None else self.true_boxes[at],
        )

    def split(self, name: str) -> Predictions:
        """Those of one split."""
        return self.where(np.array([one == name for one in self.splits], dtype=bool))

    def save(self, path: Path | str) -> None:
        """Write them as Parquet, whole or not at all; the columns read well in any tool.

        Raises:
            ImpastoError: The disk is full.
        """
        labels = [*self.classes, None]
        columns = {
            "path": pa.array(self.paths, pa.string()),
            "split": pa.array(self.splits, pa.string()),
            "group": pa.array(self.groups, pa.string()),
            "label": pa.array([labels[t] for t in self.targets], pa.string()),
            "predicted": pa.array([labels[t] for t in self.predicted], pa.string()),
            "log_probabilities": _rows(self.log_probabilities),
        }
        for name, boxes in (("box", self.boxes), ("true_box", self.true_boxes)):
            if boxes is not None:
                columns[name] = _rows(boxes)
        table = pa.table(columns).replace_schema_metadata({"impasto.classes": json.dumps(self.classes)})
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        replace_file(Path(path), buffer.getvalue())

    @classmethod
    def load(cls, path: Path | str) -> Predictions:
        """Read what :meth:`save` wrote.

        Raises:
            UsageError: No such file, or none of predictions.
        """
        try:
            table = pq.read_table(path)
            classes = tuple(json.loads((table.schema.metadata or {})[b"impasto.classes"]))
        except FileNotFoundError as error:
            raise UsageError(f"no predictions {path}: has the run finished?") from error
        except (OSError, KeyError, pa.ArrowException) as error:
            raise UsageError(f"{path} is no file of predictions: {' '.join(str(error).split())}") from error
        numbers = {label: number for number, label in enumerate(classes)} | {None: -1}
        return cls(
            classes=classes,
            log_probabilities=_matrix(table, "log_probabilities"),
            paths=tuple(table.column("path").to_pylist()),
            targets=np.array([numbers[label] for label in table.column("label").to_pylist()], dtype=np.int64),
            groups=tuple(table.column("group").to_pylist()),
            splits=tuple(table.column("split").to_pylist()),
            boxes=_matrix(table, "box") if "box" in table.column_names else None,
            true_boxes=_matrix(table, "true_box") if "true_box" in table.column_names else None,
        )


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Those of several parts, one after the other; they must have the same classes."""
    first = parts[0]

    def stack(name: str) -> np.ndarray | None:
        found = [getattr(part, name) for part in parts]
        return None if any(one is None for one in found) else np.concatenate(found)

    return Predictions(
        classes=first.classes,
        log_probabilities=np.concatenate([part.log_probabilities for part in parts]),
        paths=tuple(path for part in parts for path in part.paths),
        targets=np.concatenate([part.targets for part in parts]),
        groups=tuple(group for part in parts for group in part.groups),
        splits=tuple(split for part in parts for split in part.splits),
        boxes=stack("boxes"),
        true_boxes=stack("true_boxes"),
    )


def _rows(matrix: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])


def _matrix(table: pa.Table, name: str) -> np.ndarray:
    column = table.column(name).combine_chunks()
    return (
        column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size).astype(np.float32)
    )
