"""Predictions in files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import UsageError
from impasto.learning.predictions import Predictions, joined

ONE = Predictions(
    classes=("<cat>", "dog"),
    log_probabilities=np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]], "f4")),
    paths=("/a/ü & <b>.jpg", "/a/1.jpg", "/digits.gz#7"),
    targets=np.array([0, -1, 1]),
    groups=("driver", None, None),
    splits=("test", None, "train"),
)


def same(one: Predictions, other: Predictions) -> bool:
    names = ("log_probabilities", "targets", "boxes", "true_boxes")
    for name in names:
        np.testing.assert_equal(getattr(one, name), getattr(other, name))
    empty: dict[str, None] = dict.fromkeys(names)
    return replace(one, **empty) == replace(other, **empty)  # type: ignore[arg-type]


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    boxes = np.random.default_rng(0).random((3, 4)).astype("f4")
    true = boxes.copy()
    true[1] = np.nan
    for one in (ONE, replace(ONE, boxes=boxes, true_boxes=true), replace(ONE, boxes=boxes)):
        one.save(tmp_path / "p.parquet")
        assert same(Predictions.load(tmp_path / "p.parquet"), one)


def test_none_at_all_are_read_too(tmp_path: Path) -> None:
    ONE.where(np.zeros(3, dtype=bool)).save(tmp_path / "p.parquet")
    found = Predictions.load(tmp_path / "p.parquet")
    assert len(found) == 0 and found.log_probabilities.shape == (0, 2)


def test_parts_are_taken_and_joined_again() -> None:
    assert ONE.split("test").paths == ("/a/ü & <b>.jpg",)
    parts = [ONE.where(np.array([True, False, False])), ONE.where(np.array([False, True, True]))]
    assert same(joined(parts), ONE)
    assert ONE.predicted.tolist() == [0, 1, 0]
    assert ONE.probabilities.sum(1) == pytest.approx(1)


def test_what_is_no_file_of_predictions_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has the run finished"):
        Predictions.load(tmp_path / "p.parquet")
    (tmp_path / "p.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UsageError, match="is no file of predictions"):
        Predictions.load(tmp_path / "p.parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "p.parquet")
    with pytest.raises(UsageError, match="is no file of predictions"):
        Predictions.load(tmp_path / "p.parquet")
