"""Shards: written whole, found by hash, read memory-mapped; damage costs only the shard."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from impasto.errors import ImpastoError
from impasto.learning.shards import Buffer, Column, free_bytes


def hashes(*numbers: int) -> list[str]:
    return [f"{number:064x}" for number in numbers]


def values(*numbers: float) -> np.ndarray:
    return np.array([[number, number + 0.5] for number in numbers], np.float16)


@pytest.fixture
def column(tmp_path: Path) -> Column:
    made = Column.open(tmp_path / "column")
    made.describe({"tap": "relu1_1"})
    made.add(hashes(1, 2, 3), values(1, 2, 3))
    made.add(hashes(4, 5), values(4, 5))
    return made


class TestColumn:
    def test_what_was_written_is_found_again(self, column: Column) -> None:
        assert column.folder
        again = Column.open(column.folder)
        rows = again.rows(hashes(5, 1, 3))
        assert np.array_equal(rows.read(np.array([0, 1, 2, 0])), values(5, 1, 3, 5))
        assert json.loads((column.folder / "column.json").read_text()) == {"tap": "relu1_1"}

    def test_values_are_memory_mapped_where_they_lie_together(self, column: Column) -> None:
        whole = column.rows(hashes(1, 2, 3)).array()
        assert isinstance(whole, np.memmap)
        assert np.array_equal(whole, values(1, 2, 3))
        assert np.array_equal(column.rows(hashes(3, 4)).array(), values(3, 4))

    def test_any_reader_of_safetensors_can_read_them(self, column: Column) -> None:
        assert column.folder
        files = sorted(column.folder.glob("00000-*.safetensors"))
        assert np.array_equal(load_file(files[0])["features"], values(1, 2, 3))

    @pytest.mark.parametrize("keep", [0, 5, 60, -3])
    def test_a_cut_shard_is_passed_over_with_a_warning(
        self, column: Column, keep: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert column.folder
        file = next(column.folder.glob("00001-*.safetensors"))
        file.write_bytes(file.read_bytes()[:keep])
        with caplog.at_level(logging.WARNING, "impasto"):
            again = Column.open(column.folder)
        assert sorted(again.places) == hashes(1, 2, 3)
        assert file.name in caplog.text

    def test_two_who_write_at_once_keep_both_shards(self, tmp_path: Path) -> None:
        (tmp_path / "column").mkdir()
        first, second = Column.open(tmp_path / "column"), Column.open(tmp_path / "column")
        first.add(hashes(1), values(1))
        second.add(hashes(2), values(2))
        assert sorted(Column.open(tmp_path / "column").places) == hashes(1, 2)

    def test_a_folder_that_cannot_be_made_is_said_in_a_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ImpastoError, match="another cache"):
            Column.open(tmp_path / "file" / "column").describe({})

    def test_no_rows_are_no_values(self, column: Column) -> None:
        assert column.rows([]).array().shape == (0, 2)


class TestBuffer:
    def test_a_shard_is_closed_when_it_is_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("impasto.learning.shards.SHARD_BYTES", 12)
        (tmp_path / "a").mkdir()
        column = Column.open(tmp_path / "a")
        buffer = Buffer({("a", 0): column}, {("a", 0): set(hashes(*range(10)))}, {("a", 0): {}})
        buffer.add(("a", 0), hashes(1, 2), values(1, 2))
        buffer.write(only_full=True)
        assert not column.parts
        buffer.add(("a", 0), hashes(3, 4, 77), values(3, 4, 77))
        buffer.write(only_full=True)
        assert [len(part) for part in column.parts] == [3, 1]
        assert sorted(column.places) == hashes(1, 2, 3, 4)

    def test_a_shard_is_closed_when_it_is_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("impasto.learning.shards.SHARD_SECONDS", 0.0)
        column = Column(None)
        buffer = Buffer({("a", 0): column}, {("a", 0): set(hashes(1))}, {("a", 0): {}})
        buffer.add(("a", 0), hashes(1), values(1))
        buffer.write(only_full=True)
        assert len(column.parts) == 1


def test_free_bytes_are_asked_of_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "there") > 0
