"""Sample: a mirror of all, and a folder of it where it is asked for."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import UsageError
from impasto.learning.manifest import Manifest
from impasto.learning.sample import materialise, sample


@pytest.fixture
def whole() -> Manifest:
    rows = [
        {"path": f"{n}.jpg", "label": "abc"[n % 3], "split": "valid" if n % 4 == 0 else "train", "group": str(n % 5)}
        for n in range(600)
    ]
    return Manifest.from_rows(rows, "/pictures")


def test_a_sample_has_the_same_part_of_every_split_and_class(whole: Manifest) -> None:
    few = sample(whole, fraction=0.1)
    counts = Counter(zip(few.column("split"), few.column("label"), strict=True))
    assert counts == {("train", one): 15 for one in "abc"} | {("valid", one): 5 for one in "abc"}
    by_group = sample(whole, count=120, grouped=True)
    assert set(Counter(zip(*(by_group.column(c) for c in ("split", "label", "group")))).values()) == {2, 6}


@pytest.mark.parametrize("count", [1, 7, 61, 599, 600])
def test_a_sample_has_as_many_as_asked(whole: Manifest, count: int) -> None:
    assert len(sample(whole, count=count)) == count


def test_it_depends_on_the_seed_and_not_on_the_order(whole: Manifest) -> None:
    few = sample(whole, count=60, seed=1)
    mixed = whole.take(np.random.default_rng(5).permutation(len(whole)))
    assert sorted(few.paths) == sorted(sample(mixed, count=60, seed=1).paths)
    assert few.paths != sample(whole, count=60, seed=2).paths


def test_a_smaller_sample_lies_in_a_larger(whole: Manifest) -> None:
    assert set(sample(whole, count=60).paths) <= set(sample(whole, count=120).paths)


def test_small_classes_are_in_it() -> None:
    rows = [{"path": f"{n}.jpg", "label": "rare" if n == 0 else "common"} for n in range(100)]
    assert sample(Manifest.from_rows(rows, "."), count=10).counts("label") == {"rare": 1, "common": 9}


@pytest.mark.parametrize(
    "how, words",
    [
        ({}, "either a number"),
        ({"count": 3, "fraction": 0.1}, "either a number"),
        ({"count": 601}, "ask for 1 to 600"),
        ({"fraction": 1.5}, "at most 1"),
        ({"count": 0}, "ask for 1 to 600"),
    ],
)
def test_wrong_sizes_are_one_line(whole: Manifest, how: dict, words: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UsageError, match=words):
        sample(whole, **how)


@pytest.fixture
def files(tmp_path: Path) -> Manifest:
    source = tmp_path / "source"
    rows = []
    for number, (split, label) in enumerate([("train", "cat"), ("train", "cat"), ("valid", "dog")]):
        path = source / f"place{number}" / "1.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % number)
        rows.append({"path": f"place{number}/1.jpg", "label": label, "split": split})
    return Manifest.from_rows(rows, source)


@pytest.mark.parametrize("how", ["copy", "link"])
def test_a_folder_is_made_by_split_and_label(files: Manifest, tmp_path: Path, how: str) -> None:
    made = materialise(files, tmp_path / "made", how=how)  # type: ignore[arg-type]
    found = {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*.jpg")}
    assert found == {"train/cat/1.jpg": b"0", "train/cat/1-1.jpg": b"1", "valid/dog/1.jpg": b"2"}
    assert all(path.is_symlink() == (how == "link") for path in made.rglob("*.jpg"))
    assert sorted(path.read_bytes() for path in files.root.rglob("*.jpg")) == [b"0", b"1", b"2"]


def test_nothing_is_written_over_or_into_the_source(files: Manifest, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(files.root)
    for place, words in (
        (tmp_path, "exists already"),
        (files.root / "new", "within"),
        (tmp_path / "link" / "x", "within"),
    ):
        with pytest.raises(UsageError, match=words):
            materialise(files, place)
    assert {path.name for path in files.root.iterdir()} == {"place0", "place1", "place2"}


def test_a_picture_that_is_gone_leaves_nothing_behind(files: Manifest, tmp_path: Path) -> None:
    files.file(2).unlink()
    with pytest.raises(UsageError, match="scan the pictures again"):
        materialise(files, tmp_path / "made")
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_a_number_sign_in_a_name_is_copied_and_missed_as_any(files: Manifest, tmp_path: Path) -> None:
    files.file(0).rename(files.root / "pic#1.jpg")
    named = files.having(path=["pic#1.jpg", *files.paths[1:]])
    assert (materialise(named, tmp_path / "made") / "train" / "cat" / "pic#1.jpg").is_file()
    (files.root / "pic#1.jpg").unlink()
    with pytest.raises(UsageError, match=r"pic#1\.jpg is not there any more"):
        materialise(named, tmp_path / "again")


def test_pictures_of_idx_files_are_no_files() -> None:
    with pytest.raises(UsageError, match="idx file"):
        materialise(Manifest.from_rows([{"path": "t10k-images-idx3-ubyte.gz#3"}], "/nowhere"), "/tmp/never-made")
