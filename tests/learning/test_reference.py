"""The reference: baselines on the rows that the classifier is judged on, and where the class scores are."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from impasto import networks
from impasto.learning.baselines import baselines
from impasto.learning.classifier import Classifier, classifier
from impasto.learning.lesson import Lesson, make_lesson, prepare
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions
from impasto.learning.pictures import Pictures
from impasto.learning.reference import class_scores_tap, reference
from impasto.learning.scan import read_data
from impasto.networks.scratch import scratch

CPU = torch.device("cpu")


def begun(data: Manifest, **fields: object) -> tuple[Lesson, Classifier]:
    options = ClassifierOptions(**({"network": "pocket", "size": 32} | fields))  # type: ignore[arg-type]
    rows = prepare(data, options)
    model = classifier(
        rows.where(split="train").classes,
        network=options.network,
        weights=options.weights,
        size=options.size,
        boxes=options.boxes,
    )
    return make_lesson(rows, options, preprocessing=model.description.preprocessing), model


@pytest.fixture(scope="module")
def timm_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("timm") / "resnet.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), path)
    return path


def test_baselines_are_on_the_rows_that_judge(shapes: Path) -> None:
    lesson, model = begun(read_data(shapes))
    found = {one.name: one for one in reference(lesson, model, cache=None, device=CPU)}
    assert list(found) == ["majority", "linear on pixels"]
    assert found["majority"].accuracy.value == pytest.approx(1 / 3)
    without_test = read_data(shapes).where(split="train")
    lesson, model = begun(without_test)
    assert len(lesson.test) == 0
    judged = reference(lesson, model, cache=None, device=CPU)[0]
    assert judged.accuracy.value == pytest.approx(1 / 3)


def test_class_scores_are_the_networks_own(shapes: Path, timm_weights: Path, tmp_path: Path) -> None:
    lesson, model = begun(read_data(shapes), network="timm:test_resnet", weights=timm_weights)
    body = {name: value.clone() for name, value in model.body.state_dict().items()}
    found = reference(lesson, model, cache=tmp_path, device=CPU)
    assert [one.name for one in found] == ["majority", "linear on pixels", "linear on class scores"]
    assert all(torch.equal(value, body[name]) for name, value in model.body.state_dict().items())
    images = Pictures(lesson.judged, model.description.preprocessing).get(np.arange(72)).float() / 255
    with torch.no_grad():
        scores = model.network.module(model.network.normalise(images)).numpy()
    n, held = lesson.labelled, 72 - len(lesson.test)
    targets = lesson.judged.targets(lesson.classes)
    same = baselines(targets[:n], targets[held:], lesson.classes, class_scores=(scores[:n], scores[held:]))
    assert same[-1].name == "linear on class scores"
    assert found[-1].accuracy.value == pytest.approx(same[-1].accuracy.value, abs=1.5 / 24)  # float16 in the cache


def test_the_layer_of_class_scores_is_found_where_there_is_one(timm_weights: Path) -> None:
    assert class_scores_tap(networks.load("timm:test_resnet", weights=timm_weights)) == "fc"
    assert class_scores_tap(networks.load("pocket")) is None
    assert class_scores_tap(scratch("plain")) is None


@pytest.mark.realdata
def test_squeezenet_has_class_scores_and_a_vgg_that_was_cut_has_none(shared: Path) -> None:
    weights = shared / "weights"
    assert class_scores_tap(
        networks.load("squeezenet1_0", weights=weights / "squeezenet1_0.safetensors")
    ) == "classifier"  # fmt: skip
    assert class_scores_tap(networks.load("vgg19", weights=weights / "vgg19_to_conv3_4.safetensors")) is None


def test_with_boxes_there_is_the_mean_box(shapes: Path) -> None:
    rows = read_data(shapes)
    boxed = rows.having(box=[[10, 10, 30, 30]] * len(rows))
    lesson, model = begun(boxed, boxes=True)
    last = reference(lesson, model, cache=None, device=CPU)[-1]
    assert last.name == "mean box" and last.iou is not None and last.iou.value == pytest.approx(1, abs=1e-5)
