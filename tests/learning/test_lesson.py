"""The lesson: rows with their splits, what is true of them, and what is kept from learning."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from impasto.errors import UsageError
from impasto.learning.lesson import make_lesson, prepare, refuse_evaluation_rows
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions
from impasto.learning.pictures import Preprocessing
from impasto.learning.scan import read_data

OPTIONS = ClassifierOptions(size=32)
SIZE = Preprocessing(32)


@pytest.fixture
def data(make_shapes: Callable[..., Path], tmp_path: Path) -> Manifest:
    """Ten pictures of each of three classes, without splits."""
    return read_data(make_shapes(tmp_path / "data", per_class=10))


def splits(data: Manifest, *parts: str) -> Manifest:
    return data.having(split=[parts[row % len(parts)] for row in range(len(data))])


def test_a_part_of_every_class_is_kept_for_validation(data: Manifest) -> None:
    rows = prepare(data, ClassifierOptions(valid=0.3))
    assert rows.counts("split") == {"train": 21, "valid": 9}
    assert rows.where(split="valid").counts("label") == {"lying": 3, "spots": 3, "standing": 3}
    again = prepare(data, ClassifierOptions(valid=0.3))
    assert again.sha256 == rows.sha256
    assert prepare(data, ClassifierOptions(valid=0.3, seed=1)).sha256 != rows.sha256


def test_splits_that_are_there_are_left_as_they_are(data: Manifest) -> None:
    given = splits(data, "train", "train", "valid", "test", "train")
    assert prepare(given, OPTIONS).sha256 == given.sha256
    trained = splits(data, "train", "train", "test", "train", "train")
    rows = prepare(trained, OPTIONS)
    kept = [(before, after) for before, after in zip(trained.column("split"), rows.column("split"), strict=True)]
    assert ("test", "test") in kept and not {("test", "train"), ("test", "valid"), ("train", "test")} & set(kept)
    assert ("train", "valid") in kept


def test_truth_is_one_for_the_label(data: Manifest) -> None:
    given = splits(data, "train", "train", "valid", "test", "train")
    lesson = make_lesson(given, OPTIONS, preprocessing=SIZE)
    assert lesson.classes == ("lying", "spots", "standing")
    assert (lesson.labelled, len(lesson.train), len(lesson.valid), len(lesson.test)) == (18, 18, 6, 6)
    assert torch.equal(lesson.truth.labels.sum(1), torch.ones(18))
    named = [lesson.classes[k] for k in lesson.truth.labels.argmax(1)]
    assert named == lesson.train.column("label")
    assert lesson.truth.boxes is None and lesson.truth.teacher is None
    assert lesson.judged.column("split") == ["train"] * 18 + ["valid"] * 6 + ["test"] * 6


def test_boxes_are_true_where_they_are_drawn(data: Manifest) -> None:
    given = splits(data, "train", "valid").having(box=[[12, 0, 36, 48] if i % 4 == 0 else None for i in range(30)])
    lesson = make_lesson(given, ClassifierOptions(size=32, boxes=True), preprocessing=SIZE)
    assert lesson.truth.boxes is not None and lesson.valid_truth.boxes is not None
    assert lesson.truth.boxes[0].tolist() == [0.25, 0, 0.75, 1]
    assert lesson.truth.boxes.isnan().any(1).sum() == 7 and lesson.valid_truth.boxes.isnan().all()


def test_what_nothing_can_be_learnt_from_is_told_in_a_line(data: Manifest) -> None:
    labels, given = data.column("label"), splits(data, "train", "train", "valid")
    lone = [label if label != "spots" or row == labels.index("spots") else "lying" for row, label in enumerate(labels)]
    for rows, words in (
        (given.having(label=[None] * 30), "has no labels to learn from: put the pictures"),
        (given.having(label=[None, *labels[1:]]), "is to be trained on but has no label"),
        (given.having(label=["spots"] * 30), r"one class only \(spots\)"),
        (given.having(label=lone, split=["train"] * 29 + ["valid"]), "the class 'spots' has 1 training picture"),
        (given.having(label=[*labels[:2], "zebra", *labels[3:]]), "label 'zebra', which no training picture has"),
        (given.having(width=[None, *data.column("width")[1:]]), r"lying-0\.png cannot be read as a picture"),
        (given.having(width=[None] * 3 + data.column("width")[3:]), "and 2 more cannot be read"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            prepare(rows, OPTIONS)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no training picture has a box"):
        prepare(given, ClassifierOptions(boxes=True))


def test_rows_without_a_label_may_stand_apart(data: Manifest) -> None:
    parts = ["unlabelled" if row % 5 == 0 else ("train", "valid")[row % 2] for row in range(30)]
    given = data.having(
        split=parts, label=[None if row % 5 == 0 else label for row, label in enumerate(data.column("label"))]
    )
    lesson = make_lesson(prepare(given, OPTIONS), OPTIONS, preprocessing=SIZE)
    assert len(lesson.train) + len(lesson.valid) == 24


def test_a_test_row_without_a_label_judges_nothing_and_a_validation_row_must_have_one(data: Manifest) -> None:
    given = splits(data, "train", "train", "valid", "test", "train")
    labels = data.column("label")
    bare = [
        None if name == "test" and row > 15 else one
        for row, (name, one) in enumerate(zip(given.column("split"), labels, strict=True))
    ]
    rows = prepare(given.having(label=bare), OPTIONS)
    assert rows.counts("split") == {"train": 18, "valid": 6, "test": 3, "unlabelled": 3}
    bare = [None if row == 2 else label for row, label in enumerate(labels)]
    with pytest.raises(UsageError, match=r"lying-2\.png is to judge \(valid\) but has no label"):
        prepare(given.having(label=bare), OPTIONS)


def test_a_copy_of_what_judges_is_refused_by_its_bytes_and_others_are_not(data: Manifest, tmp_path: Path) -> None:
    held = splits(data, "valid", "test")
    (tmp_path / "new").mkdir()
    shutil.copy(held.file(4), tmp_path / "new" / "other-name.png")
    learnt = read_data(tmp_path / "new")
    with pytest.raises(UsageError, match=r"other-name\.png is the valid picture lying/lying-4\.png: .*; take it out"):
        refuse_evaluation_rows(learnt, held, "take it out")
    rest = held.take([row for row in range(30) if row != 4])
    refuse_evaluation_rows(learnt, rest, "take it out")
    refuse_evaluation_rows(learnt, held.take([]), "take it out")
    refuse_evaluation_rows(learnt.take([]), held, "take it out")
