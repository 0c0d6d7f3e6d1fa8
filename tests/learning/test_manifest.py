"""Manifests: rows in a file and out of it."""

from pathlib import Path

import numpy as np
import pytest

from impasto.errors import UsageError
from impasto.learning.manifest import SCHEMA, Manifest

ROWS = [
    {"path": "b/1.jpg", "label": "10", "group": "g", "split": "train", "box": [1, 2, 3, 4], "width": 5, "height": 6},
    {"path": "a/2.jpg", "label": "9", "split": "test"},
    {"path": "a/3.jpg"},
]


def test_boxes_in_some_rows_only_are_read_as_they_were_written(tmp_path: Path) -> None:
    one = Manifest.from_rows(ROWS, tmp_path)
    one.save(tmp_path / "m.parquet")
    found = Manifest.load(tmp_path / "m.parquet")
    assert found.table.equals(one.table) and found.table.schema.equals(SCHEMA)
    assert found.column("box") == [[1, 2, 3, 4], None, None] and found.root == tmp_path.resolve()


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS[1:]])
def test_no_rows_or_boxes_in_all_or_none_are_read_too(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    one = Manifest.from_rows(rows, tmp_path)
    one.save(tmp_path / "m.parquet")
    assert Manifest.load(tmp_path / "m.parquet").table.equals(one.table)


def test_classes_that_are_numbers_come_by_value() -> None:
    assert Manifest.from_rows(ROWS, "/").classes == ("9", "10")
    assert Manifest.from_rows([{"path": "1", "label": "b"}, {"path": "2", "label": "7"}], "/").classes == ("7", "b")


def test_targets_name_a_label_that_is_not_known() -> None:
    one = Manifest.from_rows(ROWS, "/")
    assert one.targets().tolist() == [1, 0, -1]
    with pytest.raises(UsageError, match=r"b/1.jpg has the label '10'"):
        one.targets(("9",))


def test_the_hash_is_that_of_the_rows_in_any_order_and_any_place() -> None:
    one = Manifest.from_rows(ROWS, "/here")
    assert one.sha256 == Manifest.from_rows(ROWS[::-1], "/there").sha256
    assert one.sha256 != one.having(label=["10", "10", None]).sha256


def test_rows_are_taken_and_joined(tmp_path: Path) -> None:
    one = Manifest.from_rows(ROWS, tmp_path)
    assert one.where(split="test").paths == ["a/2.jpg"]
    assert one.where(label=None).paths == ["a/3.jpg"]
    assert one.take(np.array([2, 0])).paths == ["a/3.jpg", "b/1.jpg"]
    both = one.joined(Manifest.from_rows(ROWS[:1], "/else"))
    assert both.file(3) == Path("/else/b/1.jpg") and both.file(0) == tmp_path / "b/1.jpg"
    assert one.counts("split") == {"train": 1, "test": 1, None: 1}


def test_what_is_no_manifest_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no manifest"):
        Manifest.load(tmp_path / "m.parquet")
    (tmp_path / "m.parquet").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="not a Parquet file"):
        Manifest.load(tmp_path / "m.parquet")
