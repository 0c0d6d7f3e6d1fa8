"""A piece is there whole or not at all, and its key names all it depends on."""

import os
from pathlib import Path

import numpy as np
import pytest

from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.inspection.atlas.cache import Piece, Tell, Work, clear, fingerprint, folder_key, key_of, make, site_folder
from impasto.inspection.atlas.workers import carry_out
from impasto.inspection.folder.pictures import find_pictures


def write(work: Work, into: Path, tell: Tell) -> None:
    (into / "file").write_text("whole")


def fail(work: Work, into: Path, tell: Tell) -> None:
    (into / "file").write_text("half")
    raise ImpastoError("no more")


def refuse(work: Work, into: Path, tell: Tell) -> None:
    raise AssertionError("made twice")


def piece(job: object = write, key: str = "k") -> Piece:
    return Piece("pictures", key, "a piece", "group", 1.0, job)  # type: ignore[arg-type]


def silent(_part: float, _words: str) -> None:
    pass


def test_a_piece_appears_whole(tmp_path: Path) -> None:
    work = Work((), tmp_path)
    assert not piece().there(tmp_path)
    make(piece(), work, silent)
    assert piece().there(tmp_path)
    assert (tmp_path / "pictures" / "k" / "file").read_text() == "whole"


def test_a_piece_that_another_has_made_meanwhile_stays(tmp_path: Path) -> None:
    def meanwhile(work: Work, into: Path, tell: Tell) -> None:
        write(work, into, tell)
        make(piece(), work, silent)

    make(piece(meanwhile), Work((), tmp_path), silent)
    assert [folder.name for folder in (tmp_path / "pictures").iterdir()] == ["k"]


def test_of_two_pieces_with_one_key_one_is_made(tmp_path: Path) -> None:
    made = carry_out([piece(), piece(refuse)], Work((), tmp_path), lambda _piece: [], 1, silent)
    assert made == 1


def test_a_piece_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match="no more"):
        make(piece(fail), Work((), tmp_path), silent)
    assert list((tmp_path / "pictures").iterdir()) == []


def test_what_a_kill_left_half_made_is_removed(tmp_path: Path) -> None:
    with site_folder(tmp_path / "site"):
        pass
    left = tmp_path / "site" / "pictures" / ".part-0123"
    left.mkdir()
    with site_folder(tmp_path / "site"):
        assert not left.exists()


def test_two_builds_at_once_are_refused(tmp_path: Path) -> None:
    with site_folder(tmp_path), pytest.raises(UsageError, match="another process"), site_folder(tmp_path):
        pass


def test_other_peoples_folders_and_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageError, match="holds other things"), site_folder(tmp_path):
        pass
    with pytest.raises(UsageError, match="is a file"), site_folder(tmp_path / "thesis.txt"):
        pass


def test_what_is_no_longer_used_can_be_cleared(tmp_path: Path) -> None:
    work = Work((), tmp_path)
    with site_folder(tmp_path):
        for key in ("old", "new"):
            make(piece(key=key), work, silent)
        assert clear(tmp_path, [piece(key="new")]) == 1
    assert [folder.name for folder in (tmp_path / "pictures").iterdir()] == ["new"]


def test_a_folders_key_changes_with_its_files_and_not_with_their_reading(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    before = folder_key(find_pictures(tmp_path))
    (tmp_path / "a.png").read_bytes()
    assert folder_key(find_pictures(tmp_path)) == before
    (tmp_path / "b.png").write_bytes(b"1")
    assert folder_key(find_pictures(tmp_path)) != before
    (tmp_path / "b.png").unlink()
    os.utime(tmp_path / "a.png", (1, 1))
    assert folder_key(find_pictures(tmp_path)) != before


def test_a_folders_key_does_not_depend_on_how_its_path_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = np.zeros((3, 2, 2), dtype=np.uint8)
    (tmp_path / "#1").mkdir()
    (tmp_path / "#1" / "a.png").write_bytes(b"1")
    (tmp_path / "idx").mkdir()
    header = bytes([0, 0, 8, 3]) + np.array(digits.shape, ">i4").tobytes()
    (tmp_path / "idx" / "t10k-images-idx3-ubyte").write_bytes(header + digits.tobytes())
    monkeypatch.chdir(tmp_path)
    for name in ("#1", "idx"):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(name)
        spelled = [name, tmp_path / name, Path("..", tmp_path.name, name), "link"]
        assert len({folder_key(find_pictures(path)) for path in spelled}) == 1


def test_a_folder_that_may_not_be_written_to_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / ".atlas" / "lock").mkdir(parents=True)  # opening it fails, for root as well
    with pytest.raises(ImpastoError, match=r"no site can be built in .*choose another folder"), site_folder(tmp_path):
        pass


def test_a_network_is_known_by_its_weights() -> None:
    from dataclasses import replace

    pocket = networks.load("pocket")
    assert fingerprint(pocket) == fingerprint(networks.load("pocket"))
    unnamed = replace(pocket, sha256="")
    before = fingerprint(unnamed)
    assert before == fingerprint(replace(networks.load("pocket"), sha256=""))
    unnamed.module.features[0].weight.data[0, 0, 0, 0] += 1
    assert fingerprint(unnamed) != before


def test_keys_do_not_depend_on_the_order_of_mappings() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": 2, "b": 1})
