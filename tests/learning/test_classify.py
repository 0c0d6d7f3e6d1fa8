"""Training a classifier: the run it leaves, the same weights after any kill, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

import impasto
from impasto.errors import ImpastoError, UsageError
from impasto.learning import work as room
from impasto.learning.classifier import classifier
from impasto.learning.classify import classify, resume
from impasto.learning.manifest import Manifest
from impasto.learning.predict import classifier_of, predict
from impasto.learning.predictions import Predictions
from impasto.learning.scan import read_data
from impasto.learning.work import TrainedClassifier
from impasto.networks import Taps, load
from impasto.runs.directory import RunDirectory
from impasto.runs.progress import Progress

QUICK = {"network": "pocket", "size": 32, "stages": ("head:4", "all:1"), "batch_size": 16, "device": "cpu"}


class Stopped(Exception):
    """Stands for a kill."""


def stop_at(n: int) -> Callable[[Progress], None]:
    """A listener that ends the work at the n-th step of training."""
    seen = 0

    def listen(event: Progress) -> None:
        nonlocal seen
        if event.losses:
            seen += 1
            if seen == n:
                raise Stopped

    return listen


@pytest.fixture(scope="module")
def trained(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedClassifier:
    return classify(shapes, run=tmp_path_factory.mktemp("runs") / "one", **(QUICK | {"stages": ("head:20", "all:1")}))


def test_it_learns_what_it_can_see(trained: TrainedClassifier) -> None:
    assert trained.judged_on == "test"
    assert trained.scores.accuracy.value > 0.8
    assert trained.scores.n == 24


def test_the_run_holds_all_that_came_out(trained: TrainedClassifier) -> None:
    names = {path.name for path in trained.run.iterdir()}
    assert {
        "options.yaml", "manifest.json", "metrics.jsonl", "data.parquet", "model.safetensors", "predictions.parquet",
        "embeddings.safetensors", "baselines.json", "audit.json", "report", "events",
    } <= names  # fmt: skip
    assert "checkpoint.safetensors" not in names
    run = RunDirectory.open(trained.run)
    assert run.status == "finished"
    assert run.manifest["data"] == Manifest.load(trained.run / "data.parquet").sha256
    assert run.manifest["scores"]["accuracy"]["value"] == trained.scores.accuracy.value
    assert yaml.safe_load((trained.run / "options.yaml").read_text())["stages"] == ["head:20", "all:1"]
    assert "<html" in trained.report.read_text()


def test_predictions_and_embeddings_are_of_the_same_rows(trained: TrainedClassifier) -> None:
    predictions = Predictions.load(trained.run / "predictions.parquet")
    embeddings = load_file(trained.run / "embeddings.safetensors")["embeddings"]
    assert len(predictions) == len(embeddings) == 48 + 24
    assert {split: predictions.splits.count(split) for split in set(predictions.splits)}["test"] == 24
    again = predict(trained.run, read_data(trained.run / "data.parquet").where(split="test"))
    assert np.allclose(again.log_probabilities, predictions.split("test").log_probabilities, atol=1e-4)


def test_validation_pictures_are_taken_from_training_alone(trained: TrainedClassifier) -> None:
    data = Manifest.load(trained.run / "data.parquet")
    assert data.counts("split") == {"train": 39, "valid": 9, "test": 24}


def test_baselines_stand_beside_the_result(trained: TrainedClassifier) -> None:
    names = [row["name"] for row in json.loads((trained.run / "baselines.json").read_text())]
    assert names == ["majority", "linear on pixels"]  # pocket has no class scores


def test_the_metrics_name_stage_and_epoch(trained: TrainedClassifier) -> None:
    records = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert [(one["stage"], one["name"], one["epoch"]) for one in epochs[-2:]] == [(0, "head", 20), (1, "all", 1)]
    assert all({"train_loss", "valid_loss", "valid_accuracy", "learning_rate", "seconds"} <= set(one) for one in epochs)
    assert epochs[0]["train_loss"] == pytest.approx(np.log(3), abs=0.5)


def test_tensorboard_has_every_step(trained: TrainedClassifier) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained.run / "events"))
    events.Reload()
    assert len(events.Scalars("valid_accuracy")) == 21


def test_tensorboard_has_every_step_once_after_a_kill(shapes: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(Stopped):
        classify(shapes, run=tmp_path / "run", every=0, progress=stop_at(5), **QUICK)
    resume(tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "events"))
    events.Reload()
    steps = [event.step for event in events.Scalars("learning_rate")]
    assert steps == sorted(set(steps))
    assert len(steps) == (tmp_path / "run" / "metrics.jsonl").read_text().count("\n")


def test_the_weights_load_as_the_network_itself(trained: TrainedClassifier) -> None:
    tuned = load("pocket", weights=trained.run / "model.safetensors")
    fresh = load("pocket")
    photo = torch.rand(1, 3, 32, 32)
    tap = "relu3_2"
    difference = Taps(tuned, [tap])(photo)[tap] - Taps(fresh, [tap])(photo)[tap]
    assert 0 < difference.abs().max() < 1


def test_the_face_has_the_verb() -> None:
    assert impasto.classify is classify
    assert impasto.predict is predict


@pytest.mark.parametrize(
    ("stop", "fields"),
    [
        (3, {}),
        (9, {}),
        (14, {}),
        (2, {"stages": ("all:1", "head:3")}),
        (6, {"stages": ("all:1", "head:3")}),
        (5, {"stages": ("relu2_1:2",), "augment": ("flip", "rotate:20", "brightness"), "mixup": 0.4}),
        (5, {"stages": ("all:3",), "average": 0.9, "patience": 2, "label_smoothing": 0.1, "optimizer": "eve"}),
        (5, {"network": "scratch:residual", "stages": ("all:3",), "input_batch_norm": True, "sampling": "balanced"}),
        (4, {"learning_rate": "auto", "stages": ("head:3", "all:1"), "head": "pooled"}),
    ],
)
def test_a_stopped_training_ends_in_the_same_bits(
    stop: int, fields: dict[str, object], shapes: Path, tmp_path: Path
) -> None:
    options = QUICK | fields
    whole = classify(shapes, run=tmp_path / "whole", **options)
    with pytest.raises(Stopped):
        classify(shapes, run=tmp_path / "killed", every=0, progress=stop_at(stop), **options)
    assert RunDirectory.open(tmp_path / "killed").status == "interrupted"
    assert (tmp_path / "killed" / "checkpoint.safetensors").exists()
    again = resume(tmp_path / "killed")
    one, other = load_file(whole.run / "model.safetensors"), load_file(again.run / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (whole.run / "metrics.jsonl").read_text().count("\n") == (again.run / "metrics.jsonl").read_text().count(
        "\n"
    )
    assert again.scores.accuracy == whole.scores.accuracy


def test_a_run_that_was_stopped_before_its_data_were_written_is_resumed(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "save", stopped)
        with pytest.raises(Stopped):
            classify(shapes, run=tmp_path / "run", **QUICK)
    assert resume(tmp_path / "run").scores.n == 24


def test_a_finished_run_is_not_resumed(trained: TrainedClassifier) -> None:
    with pytest.raises(UsageError, match=r"is finished: its report is .*index\.html"):
        resume(trained.run)


def test_a_run_whose_pictures_have_changed_is_not_resumed(
    make_shapes: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_shapes(tmp_path / "data", per_class=6)
    with pytest.raises(Stopped):
        classify(folder, run=tmp_path / "run", progress=stop_at(1), **QUICK)
    (tmp_path / "run" / "data.parquet").unlink()
    make_shapes(folder, per_class=1, first=50)
    with pytest.raises(UsageError, match="are not those the run"):
        resume(tmp_path / "run")


def test_contest_test_pictures_judge_nothing(make_shapes: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_shapes(tmp_path / "data" / "train", per_class=8).parent
    (folder / "test").mkdir()
    for number in range(4):
        (folder / "test" / f"{number}.png").write_bytes((folder / "train/spots" / f"spots-{number}.png").read_bytes())
        Image.open(folder / "test" / f"{number}.png").rotate(3).save(folder / "test" / f"{number}.png")
    result = classify(folder, run=tmp_path / "run", **(QUICK | {"stages": ("head:1",)}))
    assert result.judged_on == "valid"
    assert Manifest.load(result.run / "data.parquet").counts("split")["unlabelled"] == 4


def test_the_head_stands_on_a_layer_without_positions(shapes: Path, tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "w.safetensors")
    options = QUICK | {
        "network": "timm:resnet10t",
        "weights": tmp_path / "w.safetensors",
        "stages": ("head:1", "all:1"),
    }
    flat = classify(shapes, run=tmp_path / "flat", tap="global_pool", **options)
    deep = classify(shapes, run=tmp_path / "deep", **options)
    assert flat.scores.n == deep.scores.n == 24
    with pytest.raises(UsageError, match="has no positions, which boxes need"):
        classifier(
            ("a", "b"), network="timm:resnet10t", weights=tmp_path / "w.safetensors", tap="global_pool", boxes=True
        )


@pytest.mark.slow
def test_metrics_go_to_mlflow_also_after_a_kill(shapes: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    options = QUICK | {"stages": ("head:6",)}
    with pytest.raises(Stopped):
        classify(shapes, run=tmp_path / "run", every=0, mlflow=uri, progress=stop_at(8), **options)
    result = resume(tmp_path / "run")
    client = MlflowClient(uri)
    run = client.get_run(RunDirectory.open(result.run).manifest["mlflow_run"])
    assert run.info.status == "FINISHED"
    assert run.data.params["network"] == "pocket"
    assert run.data.metrics["test_accuracy"] == result.scores.accuracy.value
    points = client.get_metric_history(run.info.run_id, "valid_loss")
    assert len(points) == 6
    assert len({point.step for point in points}) == 6
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"predictions.parquet", "options.yaml"}


def test_the_same_seed_gives_the_same_weights(trained: TrainedClassifier, shapes: Path, tmp_path: Path) -> None:
    from impasto.learning.rerun import rerun

    result, difference = rerun(trained.run, out=tmp_path / "again")
    assert difference.identical
    assert str(difference) == "identical: the same weights, bit for bit"
    assert result.scores.accuracy == trained.scores.accuracy


def test_precomputed_and_full_epochs_learn_the_same(shapes: Path, tmp_path: Path) -> None:
    options = QUICK | {"stages": ("head:6",), "augment": ()}
    quick = classify(shapes, run=tmp_path / "quick", **options)
    full = classify(shapes, run=tmp_path / "full", precompute=False, **options)
    assert quick.scores.log_loss.value == pytest.approx(full.scores.log_loss.value, abs=1e-3)
    assert quick.scores.accuracy.value == full.scores.accuracy.value


def test_progressive_resizing_and_stages_from_a_layer_on(shapes: Path, tmp_path: Path) -> None:
    result = classify(shapes, run=tmp_path / "run", **(QUICK | {"stages": ("head:2@16", "relu2_1:1@24", "all:1*1e-4")}))
    fresh, tuned = load("pocket").module.state_dict(), load_file(result.run / "model.safetensors")
    assert all(not torch.equal(fresh[name], tuned[name]) for name in fresh)


def test_a_stage_from_a_layer_on_leaves_the_layers_below(shapes: Path, tmp_path: Path) -> None:
    result = classify(shapes, run=tmp_path / "run", **(QUICK | {"stages": ("relu2_1:1",)}))
    fresh, tuned = load("pocket").module.state_dict(), load_file(result.run / "model.safetensors")
    moved = {name.rsplit(".", 1)[0] for name in fresh if not torch.equal(fresh[name], tuned[name])}
    assert moved == {"features.5", "features.8", "features.10", "features.13"}


def test_groups_are_not_torn_apart(make_shapes: Callable[..., Path], tmp_path: Path) -> None:
    for name, first in (("anna", 0), ("bert", 20), ("cleo", 40), ("dora", 60), ("emil", 80)):
        make_shapes(tmp_path / "data" / name, per_class=4, first=first)
    from impasto.learning.scan import scan

    scan(tmp_path / "data", layout="{group}/{label}").save(tmp_path / "data.parquet")
    result = classify(tmp_path / "data.parquet", run=tmp_path / "run", valid=0.4, **(QUICK | {"stages": ("head:2",)}))
    data = Manifest.load(result.run / "data.parquet")
    sides = {split: set(data.where(split=split).column("group")) for split in ("train", "valid")}
    assert not sides["train"] & sides["valid"]
    assert result.judged_on == "valid"
    assert result.scores.by_group


def test_boxes_are_learnt_beside_the_class(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    rows = ["image,label,xmin,ymin,xmax,ymax"]
    for number in range(60):
        pixels = np.full((64, 64, 3), 230, np.uint8)
        left, top = chance.integers(2, 34, 2)
        label = ("red", "blue")[number % 2]
        pixels[top : top + 26, left : left + 26] = (200, 30, 30) if label == "red" else (30, 30, 200)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{label},{left},{top},{left + 26},{top + 26}")
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    options = {"network": "pocket", "size": 64, "boxes": True, "stages": ("head:25",), "learning_rate": 2e-2}
    result = classify(tmp_path / "boxes.csv", run=tmp_path / "run", **options)
    baseline = json.loads((result.run / "baselines.json").read_text())[-1]
    assert baseline["name"] == "mean box"
    assert result.scores.iou is not None
    assert result.scores.iou.value > baseline["iou"][0] + 0.1
    assert Predictions.load(result.run / "predictions.parquet").boxes is not None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stages": ("head",)}, "'head' is no stage: write LAYERS:EPOCHS"),
        ({"stages": ("relu9_9:1",)}, "pocket has no layer 'relu9_9' to train from: write head, all, or one of"),
        ({"augment": ("flop",)}, "there is no augmentation 'flop'"),
        ({"network": "resnet9"}, "no network 'resnet9'"),
        ({"tap": "relu9_1"}, "pocket has no tap 'relu9_1'"),
        ({"learning_rate": -1.0}, "must be greater than 0"),
        ({"boxes": True}, "--boxes: no training picture has a box"),
        ({"distillation": 0.5}, "distillation needs a teacher"),
        ({"pseudo_share": 0.9}, "pseudo_share"),
        ({"epochs": 3}, "no option 'epochs'"),
    ],
)
def test_wrong_options_are_told_before_anything_begins(
    fields: dict[str, object], words: str, shapes: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        classify(shapes, run=tmp_path / "run", **(QUICK | fields))
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_learnt_from_are_refused(
    make_shapes: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_shapes(tmp_path / "one", labels=("spots",))
    with pytest.raises(UsageError, match=r"one class only \(spots\)"):
        classify(tmp_path / "one", **QUICK)
    folder = make_shapes(tmp_path / "two", per_class=6)
    make_shapes(folder / "test", per_class=2)
    make_shapes(tmp_path / "strange" / "train", per_class=6, labels=("spots", "lying"))
    make_shapes(tmp_path / "strange" / "test", per_class=2)
    with pytest.raises(UsageError, match="has the label 'standing', which no training picture has"):
        classify(tmp_path / "strange", **QUICK)
    broken = make_shapes(tmp_path / "broken", per_class=6) / "spots" / "spots-0.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(UsageError, match=r"spots-0\.png cannot be read as a picture"):
        classify(tmp_path / "broken", **QUICK)
    assert not (tmp_path / "runs").exists()


def test_a_full_disk_leaves_a_run_that_does_not_look_finished(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise ImpastoError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(room.classifiers, "save", full)
        with pytest.raises(ImpastoError, match="no space left"):
            classify(shapes, run=tmp_path / "run", **QUICK)
    assert RunDirectory.open(tmp_path / "run").status == "interrupted"
    with pytest.raises(UsageError, match="is not finished: go on with it by `impasto resume"):
        classifier_of(tmp_path / "run")
    assert resume(tmp_path / "run").scores.n == 24
