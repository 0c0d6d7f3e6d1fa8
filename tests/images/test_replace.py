"""Replacing: a file is replaced whole or not at all, by one who writes it piece by piece too."""

import os

import pytest

from impasto.errors import ImpastoError, UsageError
from impasto.images.replace import replace_file, replacing, require_writable


def test_what_was_written_piece_by_piece_takes_the_files_place_at_the_end(tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"earlier")
    with replacing(path) as file:
        file.write(b"la__r")
        file.seek(2)
        file.write(b"te")
        assert file.seek(0) == 0 and file.read() == b"later"
        assert path.read_bytes() == b"earlier"
    assert path.read_bytes() == b"later" and os.listdir(tmp_path) == ["out"]
    replace_file(path, b"last")
    assert path.read_bytes() == b"last" and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ImpastoError, RuntimeError])
def test_an_error_while_writing_leaves_the_earlier_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "out"
    path.write_bytes(b"earlier")
    with pytest.raises(error), replacing(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"earlier" and os.listdir(tmp_path) == ["out"]


def test_the_systems_errors_become_one_line_that_names_the_file(tmp_path):
    with pytest.raises(ImpastoError, match="missing does not exist"), replacing(tmp_path / "missing" / "out"):
        pass
    with pytest.raises(ImpastoError, match="is a folder"), replacing(tmp_path):
        pass
    with pytest.raises(ImpastoError, match="out was not written, the disk is full"), replacing(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["missing/out", "file/out", "folder", "n" * 300, "nul\0"])
def test_a_place_that_was_named_wrongly_is_an_error_of_usage_before_the_work(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError):
        require_writable(tmp_path / name)
    require_writable(tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
