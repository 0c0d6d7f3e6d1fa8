"""Pseudo-labels, distillation and ensembles: learning from other runs without being judged by what was learnt."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import UsageError
from impasto.learning.classify import classify, resume
from impasto.learning.lesson import make_lesson, prepare
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions
from impasto.learning.pictures import Preprocessing
from impasto.learning.predict import predict
from impasto.learning.scan import read_data
from impasto.learning.work import TrainedClassifier
from impasto.runs.progress import Progress

QUICK = {"network": "pocket", "size": 32, "stages": ("head:10",), "batch_size": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def data(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One manifest for all, so that nobody is judged by what another has learnt."""
    from impasto.learning.split import split

    path = tmp_path_factory.mktemp("data") / "data.parquet"
    split(read_data(shapes), valid=0.2).save(path)
    return path


@pytest.fixture(scope="module")
def teacher(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedClassifier:
    return classify(data, run=tmp_path_factory.mktemp("teachers") / "one", **QUICK)


@pytest.fixture(scope="module")
def second(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedClassifier:
    return classify(data, run=tmp_path_factory.mktemp("teachers") / "two", **(QUICK | {"seed": 1, "head": "pooled"}))


def unlabelled(make_shapes: Callable[..., Path], folder: Path, first: int = 300) -> Path:
    """A flat folder of new pictures."""
    made = make_shapes(folder / "made", per_class=8, first=first)
    flat = folder / "flat"
    flat.mkdir()
    for path in made.rglob("*.png"):
        path.rename(flat / path.name)
    return flat


def test_an_ensemble_is_the_mean_of_its_probabilities(
    teacher: TrainedClassifier, second: TrainedClassifier, data: Path
) -> None:
    rows = read_data(data).where(split="test")
    both = predict([teacher.run, second.run], rows)
    each = [predict(run, rows).probabilities for run in (teacher.run, second.run)]
    assert np.allclose(both.probabilities, np.mean(each, axis=0), atol=1e-6)


def test_flips_average_a_picture_with_its_mirror(teacher: TrainedClassifier, data: Path) -> None:
    rows = read_data(data).where(split="test")
    plain, both = predict(teacher.run, rows), predict(teacher.run, rows, flips=True)
    assert np.allclose(both.probabilities.sum(1), 1)
    assert 0 < np.abs(plain.probabilities - both.probabilities).max() < 0.9


def test_runs_on_other_classes_are_no_ensemble(
    teacher: TrainedClassifier, data: Path, make_shapes: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_shapes(tmp_path / "two", labels=("lying", "spots"))
    other = classify(folder, run=tmp_path / "run", **QUICK)
    with pytest.raises(UsageError, match="only runs on the same classes can be asked together"):
        predict([other.run, teacher.run], read_data(folder))


def test_pseudo_labels_have_their_share_of_every_batch(
    teacher: TrainedClassifier, data: Path, make_shapes: Callable[..., Path], tmp_path: Path
) -> None:
    flat = unlabelled(make_shapes, tmp_path)
    options = ClassifierOptions(**QUICK, unlabelled=flat, teachers=(teacher.run,))
    lesson = make_lesson(prepare(read_data(data), options), options, preprocessing=Preprocessing(32))
    assert len(lesson.train) == lesson.labelled + 24
    soft = lesson.truth.labels[lesson.labelled :]
    assert np.allclose(soft.sum(1), 1, atol=1e-5)
    said = predict(teacher.run, lesson.train.take(range(lesson.labelled, len(lesson.train))))
    assert np.allclose(soft.numpy(), said.probabilities, atol=1e-5)
    result = classify(data, options=options, run=tmp_path / "run")
    assert result.scores.n == 24
    assert set(result.predictions.splits) == {"train", "valid", "test"}


def test_a_test_picture_among_the_unlabelled_is_refused(
    teacher: TrainedClassifier, data: Path, shapes: Path, make_shapes: Callable[..., Path], tmp_path: Path
) -> None:
    flat = unlabelled(make_shapes, tmp_path)
    judge = shapes / "test" / "spots" / "spots-100.png"
    (flat / "renamed.png").write_bytes(judge.read_bytes())
    with pytest.raises(UsageError, match=r"renamed\.png is the test picture .*spots-100\.png: what is learnt from"):
        classify(data, run=tmp_path / "run", unlabelled=flat, teachers=(teacher.run,), **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.realdata
def test_a_near_copy_of_a_test_picture_is_refused(shared: Path, tmp_path: Path) -> None:
    from PIL import Image

    from impasto.learning.lesson import refuse_evaluation_rows

    held = read_data(shared / "data" / "dogs-vs-cats").where(split="test").take(range(40))
    Image.open(held.file(7)).resize((150, 144)).save(tmp_path / "smaller.jpg", quality=70)
    other = next((shared / "data" / "dogs-vs-cats" / "train" / "dog").glob("*.jpg"))
    Image.open(other).save(tmp_path / "other.jpg")
    with pytest.raises(UsageError, match=r"smaller\.jpg is a near copy of the test picture"):
        refuse_evaluation_rows(read_data(tmp_path), held, "take it out")
    (tmp_path / "smaller.jpg").unlink()
    refuse_evaluation_rows(read_data(tmp_path), held, "take it out")


def test_a_teacher_that_has_learnt_from_what_judges_is_refused(
    teacher: TrainedClassifier, data: Path, make_shapes: Callable[..., Path], tmp_path: Path
) -> None:
    rows = read_data(data)
    splits = ["train" if split == "test" else "test" if split == "train" else split for split in rows.column("split")]
    swapped = tmp_path / "swapped.parquet"
    rows.having(split=splits).save(swapped)
    with pytest.raises(UsageError, match="cannot judge; the teacher .* has learnt from it: split the data once"):
        classify(swapped, run=tmp_path / "run", teachers=(teacher.run,), distillation=0.5, **QUICK)


def test_a_student_agrees_with_its_teachers(
    teacher: TrainedClassifier, second: TrainedClassifier, data: Path, tmp_path: Path
) -> None:
    options = {**QUICK, "stages": ("head:30",), "augment": (), "dropout": 0.0}
    runs = (teacher.run, second.run)
    alone = classify(data, run=tmp_path / "alone", **options)
    taught = classify(data, run=tmp_path / "taught", teachers=runs, distillation=1.0, temperature=2.0, **options)
    rows = Manifest.load(taught.run / "data.parquet").where(split="train")
    said = predict(list(runs), rows)

    def distance(student: TrainedClassifier) -> float:
        p, q = said.probabilities, predict(student.run, rows).probabilities
        return float((p * (np.log(p + 1e-9) - np.log(q + 1e-9))).sum(1).mean())

    assert distance(taught) < 0.5 * distance(alone)


def test_teachers_of_other_classes_are_refused(
    teacher: TrainedClassifier, make_shapes: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_shapes(tmp_path / "two", labels=("lying", "spots"), first=500)
    with pytest.raises(UsageError, match="the teachers know the classes lying, spots, standing, not lying, spots"):
        classify(folder, run=tmp_path / "run", teachers=(teacher.run,), distillation=0.5, **QUICK)


def test_what_a_teacher_learnt_by_pseudo_labels_does_not_judge_its_student(
    teacher: TrainedClassifier, data: Path, make_shapes: Callable[..., Path], tmp_path: Path
) -> None:
    flat = unlabelled(make_shapes, tmp_path)
    middle = classify(data, run=tmp_path / "middle", unlabelled=flat, teachers=(teacher.run,), **QUICK)
    judged = make_shapes(tmp_path / "other" / "train", per_class=6, first=700).parent
    make_shapes(judged / "test", per_class=8, first=300)  # the pictures of the flat folder, with labels
    with pytest.raises(UsageError, match="is the test picture .*: what is learnt from cannot judge; the teacher"):
        classify(judged, run=tmp_path / "run", teachers=(middle.run,), distillation=0.5, **QUICK)


def test_pseudo_labelled_training_resumes_to_the_same_bits_without_the_folder(
    teacher: TrainedClassifier, data: Path, make_shapes: Callable[..., Path], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    flat = unlabelled(make_shapes, tmp_path)
    options = QUICK | {"unlabelled": flat, "teachers": (teacher.run,)}
    whole = classify(data, run=tmp_path / "whole", **options)

    class Stopped(Exception):
        pass

    seen: list[Progress] = []

    def listen(event: Progress) -> None:
        seen.extend([event] if event.losses else [])
        if len(seen) == 5:
            raise Stopped

    with pytest.raises(Stopped):
        classify(data, run=tmp_path / "killed", every=0, progress=listen, **options)
    make_shapes(tmp_path / "more", per_class=1, first=900)
    (tmp_path / "more" / "spots" / "spots-900.png").rename(flat / "new.png")  # too late to be learnt
    again = resume(tmp_path / "killed")
    one, other = load_file(whole.run / "model.safetensors"), load_file(again.run / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
