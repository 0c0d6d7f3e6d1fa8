"""Predictions: of one classifier and of several, in any order and batch, and of the runs that can be asked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.errors import UsageError
from impasto.learning.classifier import classifier
from impasto.learning.classify import classify
from impasto.learning.pooling import pooled
from impasto.learning.predict import averaged, classifier_of, look, predict
from impasto.learning.predictions import Predictions
from impasto.learning.scan import read_data
from impasto.learning.work import TrainedClassifier
from impasto.runs.directory import RunDirectory

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedClassifier:
    options = {"network": "pocket", "size": 32, "stages": ("head:6",), "device": "cpu"}
    return classify(shapes, run=tmp_path_factory.mktemp("runs") / "one", **options)


def test_a_picture_is_judged_by_itself(trained: TrainedClassifier, shapes: Path) -> None:
    rows = read_data(shapes).where(split="test")
    whole = predict(trained.run, rows)
    order = [5, 0, 11]
    some = predict(str(trained.run), rows.take(order))
    assert np.allclose(some.log_probabilities, whole.log_probabilities[order], atol=1e-5)
    assert some.paths == tuple(whole.paths[at] for at in order)
    assert all(Path(path).is_file() for path in some.paths)
    small, _ = look(classifier_of(trained.run), rows, device=CPU, batch_size=5)
    assert np.allclose(small.log_probabilities, whole.log_probabilities, atol=1e-5)


def test_pictures_without_labels_have_none(trained: TrainedClassifier, shapes: Path) -> None:
    rows = read_data(shapes).where(split="test")
    said = predict(trained.run, rows.having(label=[None] * len(rows)))
    assert (said.targets == -1).all()
    assert np.allclose(said.log_probabilities, predict(trained.run, rows).log_probabilities)


def test_embeddings_are_what_the_head_stands_on(trained: TrainedClassifier, shapes: Path) -> None:
    rows = read_data(shapes).where(split="test")
    model = classifier_of(trained.run)
    said, embeddings = look(model, rows, device=CPU)
    assert embeddings.dtype == torch.float16
    with torch.no_grad():
        logits = model.head(embeddings.float()).log_softmax(1).numpy()
    assert np.allclose(logits, said.log_probabilities, atol=2e-2)
    from impasto.learning.pictures import Pictures

    images = Pictures(rows, model.description.preprocessing).get(np.arange(3)).float() / 255
    with torch.no_grad():
        assert torch.allclose(pooled(model.activations(images)), embeddings[:3].float(), rtol=2e-3, atol=2e-3)


def test_nothing_is_said_of_nothing(trained: TrainedClassifier, shapes: Path) -> None:
    nothing = read_data(shapes).take([])
    said = predict(trained.run, nothing)
    assert len(said) == 0 and said.log_probabilities.shape == (0, 3)


def test_progress_goes_from_run_to_run(trained: TrainedClassifier, shapes: Path) -> None:
    told: list[float] = []
    predict([trained.run, trained.run], read_data(shapes), progress=lambda part, _: told.append(part))
    assert told == sorted(told) and told[-1] == 1 and any(part <= 0.5 for part in told)


def test_a_mean_of_opinions_is_of_probabilities_and_of_boxes() -> None:
    def opinion(p: float, box: list[float] | None) -> Predictions:
        logs = np.log(np.array([[p, 1 - p]], "f4"))
        boxes = None if box is None else np.array([box], "f4")
        return Predictions(("a", "b"), logs, ("x",), np.array([0]), (None,), (None,), boxes)

    both = averaged([opinion(0.9, [0, 0, 1, 1]), opinion(0.5, [0, 0, 0.5, 0.5])])
    assert np.allclose(both.probabilities, [[0.7, 0.3]]) and np.allclose(both.boxes, [[0, 0, 0.75, 0.75]])
    assert averaged([opinion(0.9, [0, 0, 1, 1]), opinion(0.5, None)]).boxes is None
    with np.errstate(divide="ignore"):
        certain = averaged([opinion(1.0, None), opinion(1.0, None)])
    assert np.isfinite(certain.log_probabilities).all()
    one = opinion(0.3, None)
    assert averaged([one]) is one


def test_boxes_come_as_parts_of_the_picture(shapes: Path) -> None:
    rows = read_data(shapes).where(split="test").take(range(4))
    boxed = rows.having(box=[[0, 12, 24, 48], None, [0, 0, 48, 48], [24, 24, 48, 48]])
    model = classifier(rows.classes, network="pocket", size=32, boxes=True)
    said, _ = look(model, boxed, device=CPU)
    assert said.boxes is not None and said.boxes.shape == (4, 4)
    assert said.true_boxes is not None and np.allclose(said.true_boxes[0], [0, 0.25, 0.5, 1])
    assert np.isnan(said.true_boxes[1]).all()
    without, _ = look(model, rows, device=CPU)
    assert without.true_boxes is None and without.boxes is not None


def test_runs_that_cannot_be_asked_are_told_in_a_line(
    trained: TrainedClassifier, shapes: Path, tmp_path: Path, make_shapes: Callable[..., Path]
) -> None:
    rows = read_data(shapes)
    other = RunDirectory.create(tmp_path / "painting", verb="stylize", options={}, manifest={})
    unfinished = tmp_path / "unfinished"
    shutil.copytree(trained.run, unfinished)
    manifest = json.loads((unfinished / "manifest.json").read_text())
    (unfinished / "manifest.json").write_text(json.dumps(manifest | {"status": "interrupted"}))
    for run, words in (
        (tmp_path / "nowhere", "no run in"),
        (other.path, "is a run of `impasto stylize`: give one of `impasto train classify`"),
        (unfinished, "is not finished: go on with it by `impasto resume"),
    ):
        with pytest.raises(UsageError, match=words):
            predict(run, rows)
    with pytest.raises(UsageError, match="no run to ask"):
        predict([], rows)
    strange = rows.having(label=["zebra", *rows.column("label")[1:]])
    with pytest.raises(UsageError, match="has the label 'zebra', which no training picture has"):
        predict(trained.run, strange)
    broken = make_shapes(tmp_path / "broken", per_class=1)
    (broken / "spots" / "spots-0.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"spots-0\.png"):
        predict(trained.run, read_data(broken))
