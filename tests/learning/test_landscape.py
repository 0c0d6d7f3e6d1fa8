"""Landscapes of runs: their own weights, pictures and criterion; snapshots along the way; and what is refused."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from impasto.errors import UsageError
from impasto.inspection.landscape.options import LandscapeOptions
from impasto.learning.classifier import classifier
from impasto.learning.classify import classify, resume
from impasto.learning.landscape import landscape
from impasto.learning.predict import classifier_of
from impasto.learning.predictions import Predictions
from impasto.learning.snapshots import keep_snapshot, snapshots
from impasto.losses.classification import cross_entropy
from impasto.runs.progress import Progress

QUICK = {"network": "pocket", "size": 16, "stages": ("head:2", "all:3"), "batch_size": 16, "device": "cpu",
         "augment": (), "audit": False}  # fmt: skip
SMALL = {"points": 5, "pictures": 12, "device": "cpu"}


@pytest.fixture(scope="module")
def trained(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "one"
    return classify(shapes / "train", run=run, snapshots=True, label_smoothing=0.1, **QUICK).run


@pytest.fixture(scope="module")
def other(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without snapshots, of another seed."""
    return classify(shapes / "train", run=tmp_path_factory.mktemp("runs") / "two", **(QUICK | {"seed": 1})).run


@pytest.fixture(scope="module")
def unlike(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of another network."""
    options = QUICK | {"network": "scratch:residual-8x4", "stages": ("all:1",)}
    return classify(shapes / "train", run=tmp_path_factory.mktemp("runs") / "unlike", **options).run


def test_the_centre_is_the_run_s_own_loss(trained: Path, tmp_path: Path) -> None:
    found = landscape(trained, out=tmp_path, pictures=1000, split="both", dimensions=1, points=3, device="cpu")
    predictions = Predictions.load(trained / "predictions.parquet")
    expected = cross_entropy(
        torch.from_numpy(predictions.log_probabilities), torch.from_numpy(predictions.targets).long(), 0.1
    )
    (chart,) = found.charts
    assert chart.facts["pictures"] == 48
    assert chart.values["loss"][0, 1] == pytest.approx(float(expected), abs=1e-4)
    right = predictions.log_probabilities.argmax(1) == predictions.targets
    assert chart.values["accuracy"][0, 1] == pytest.approx(right.mean())


def test_a_plane_comes_out_as_numbers_drawings_and_a_page(trained: Path) -> None:
    before = (trained / "model.safetensors").read_bytes()
    found = landscape(trained, **SMALL)
    assert found.folder == trained / "landscape"
    names = {path.name for path in found.folder.iterdir()} - {".lock"}
    assert names == {"surface.json", "contours.png", "relief.png", "index.html"}
    held = json.loads((found.folder / "surface.json").read_text())
    assert np.shape(held["surfaces"][0]["values"]["loss"]) == (5, 5)
    assert held["options"]["points"] == 5
    assert set(held["surfaces"][0]["roughness"]) == {"loss", "accuracy", "log loss"}
    assert "<canvas" in found.page.read_text()
    assert (trained / "model.safetensors").read_bytes() == before


def test_the_same_options_give_the_same_surface_and_another_seed_another(trained: Path, tmp_path: Path) -> None:
    one, again, another = (
        landscape(trained, out=tmp_path / name, seed=seed, **SMALL).charts[0].values["loss"]
        for name, seed in (("one", 0), ("again", 0), ("another", 1))
    )
    assert np.array_equal(one, again) and not np.allclose(one, another)


def test_stopped_and_called_again_it_goes_on(trained: Path, tmp_path: Path) -> None:
    straight = landscape(trained, out=tmp_path / "straight", **SMALL).charts[0].values["loss"]

    class Stopped(Exception):
        pass

    def stop(part: float, words: str) -> None:
        if part > 0.4:
            raise Stopped

    with pytest.raises(Stopped):
        landscape(trained, out=tmp_path / "stopped", every=0, progress=stop, **SMALL)
    assert (tmp_path / "stopped" / "points-0.safetensors").exists()
    parts: list[float] = []
    again = landscape(trained, out=tmp_path / "stopped", progress=lambda part, words: parts.append(part), **SMALL)
    assert min(parts) > 0.4
    assert np.array_equal(again.charts[0].values["loss"], straight)
    assert not (tmp_path / "stopped" / "points-0.safetensors").exists()


def test_snapshots_are_of_every_epoch_and_the_last_is_the_classifier(trained: Path) -> None:
    found = snapshots(trained)
    assert [(one.stage, one.epoch) for one in found] == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 3)]
    final = classifier_of(trained).state_dict()
    last = found[-1].state()
    assert last.keys() == final.keys()
    assert all(torch.equal(last[name], final[name]) for name in final)
    new = classifier(("lying", "spots", "standing"), network="pocket", size=16).state_dict()
    first = found[0].state()
    assert all(torch.equal(first[name], new[name]) for name in new)
    # the head's stage leaves the network alone
    assert torch.equal(found[2].state()["body.features.0.weight"], first["body.features.0.weight"])
    assert not torch.equal(found[2].state()["head.weight" if "head.weight" in first else list(first)[-1]],
                           first["head.weight" if "head.weight" in first else list(first)[-1]])  # fmt: skip


@pytest.mark.parametrize("step", [2, 6, 9])
def test_a_resumed_run_has_the_same_snapshots_without_gaps_or_doubles(
    shapes: Path, trained: Path, tmp_path: Path, step: int
) -> None:
    class Stopped(Exception):
        pass

    seen = 0

    def stop(event: Progress) -> None:
        nonlocal seen
        seen += bool(event.losses)
        if seen == step:
            raise Stopped

    with pytest.raises(Stopped):
        classify(shapes / "train", run=tmp_path / "run", every=0, progress=stop, snapshots=True, label_smoothing=0.1, **QUICK)  # fmt: skip
    resume(tmp_path / "run")
    ours, theirs = snapshots(tmp_path / "run"), snapshots(trained)
    assert [one.path.name for one in ours] == [one.path.name for one in theirs]
    for one, two in zip(ours, theirs, strict=True):
        expected = two.state()
        assert all(torch.equal(value, expected[name]) for name, value in one.state().items())


def test_snapshots_are_off_by_default_and_readable_by_the_library(other: Path, trained: Path) -> None:
    assert not (other / "snapshots").exists()
    assert load_file(snapshots(trained)[0].path)


def test_the_way_of_a_training_lies_in_its_plane(trained: Path, tmp_path: Path) -> None:
    (chart,) = landscape(trained, out=tmp_path, directions="trajectory", **SMALL).charts
    assert chart.way
    assert chart.way.points.shape == (6, 2)
    assert chart.way.points[-1] == pytest.approx([0, 0], abs=1e-9)
    assert 0.5 < chart.way.explained <= 1
    assert chart.way.labels[0] == "before training" and chart.way.labels[-1] == "stage 2, epoch 3"
    assert chart.grid.x[0] < chart.way.points[:, 0].min() and chart.grid.x[-1] > chart.way.points[:, 0].max()
    assert chart.way.losses[-1] < chart.way.losses[0]


def test_sized_principal_components_hold_less_of_the_way(trained: Path, tmp_path: Path) -> None:
    plain, sized = (
        landscape(trained, out=tmp_path / str(how), directions="trajectory", normalise=how, **SMALL).charts[0].way
        for how in (None, "filter")
    )
    assert plain and sized and sized.explained < plain.explained


def test_between_two_runs_both_ends_are_the_runs(trained: Path, other: Path, tmp_path: Path) -> None:
    one = {"dimensions": 1, "pictures": 12, "device": "cpu"}
    (line,) = landscape(trained, out=tmp_path / "line", directions=str(other), points=5, **one).charts
    assert line.grid.x.tolist() == [-0.5, 0, 0.5, 1, 1.5]
    end = landscape(other, out=tmp_path / "end", points=3, **one).charts[0].values["accuracy"][0, 1]
    assert line.values["accuracy"][0, 3] == pytest.approx(end)


def test_two_runs_are_mapped_on_the_same_pictures(trained: Path, unlike: Path, tmp_path: Path) -> None:
    found = landscape(trained, out=tmp_path, compare=unlike, **SMALL)
    assert [chart.title for chart in found.charts] == ["one", "unlike"]
    assert found.page.read_text().count("<canvas") == 2


def test_batch_norm_can_be_recomputed_at_every_point(unlike: Path, tmp_path: Path) -> None:
    kept, recomputed = (
        landscape(unlike, out=tmp_path / how, batch_norm=how, **SMALL).charts[0].values["loss"]
        for how in ("kept", "recomputed")
    )
    assert not np.allclose(kept, recomputed)


def test_what_cannot_be_mapped_is_refused(
    trained: Path, other: Path, unlike: Path, shapes: Path, make_shapes: Callable[..., Path], tmp_path: Path
) -> None:
    def refused(message: str, run: Path = trained, **fields: object) -> None:
        with pytest.raises(UsageError, match=message):
            landscape(run, out=tmp_path / "out", **(SMALL | fields))  # type: ignore[arg-type]
        assert not list((tmp_path / "out").glob("*.json"))

    refused("no run in .*manifest.json is not there", tmp_path)
    refused("has no snapshots of its way: train again with --snapshots", other, directions="trajectory")
    refused("has not the architecture of", directions=str(unlike))
    refused("no run in", directions=str(tmp_path / "nowhere"))
    refused("draws two runs apart", directions=str(other), compare=other)
    refused("points is 2: it should be greater than or equal to 3", points=2)
    refused("no option 'zoom'", zoom=3)
    unfinished = shutil.copytree(trained, tmp_path / "unfinished")
    text = (unfinished / "manifest.json").read_text()
    (unfinished / "manifest.json").write_text(text.replace('"finished"', '"interrupted"'))
    refused("is not finished: go on with it by `impasto resume", unfinished)
    (unfinished / "manifest.json").write_text(text.replace('"verb": "train"', '"verb": "stylize"'))
    refused("is a run of `impasto stylize`: give one of `impasto train classify`", unfinished)
    two = make_shapes(tmp_path / "two", labels=("lying", "spots"))
    fewer = classify(two, run=tmp_path / "fewer", **(QUICK | {"stages": ("head:1",)})).run
    refused("know different classes", compare=fewer)


def test_a_way_of_two_points_is_no_plane(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    for one in snapshots(run)[2:]:
        one.path.unlink()
    with pytest.raises(UsageError, match="the 2 snapshots of the weights do not span 2 directions"):
        landscape(run, directions="trajectory", **SMALL)
    model = classifier(("a", "b"), network="scratch:plain", size=16)
    keep_snapshot(run, model, stage=0, epoch=2)
    with pytest.raises(UsageError, match="no weights of this run's network"):
        landscape(run, directions="trajectory", **SMALL)


def test_the_options_state_the_defaults_of_the_field() -> None:
    options = LandscapeOptions()
    assert (options.points, options.dimensions, options.directions) == (25, 2, "random")


def test_stopped_in_the_second_run_it_keeps_the_first(trained: Path, other: Path, tmp_path: Path) -> None:
    def stop(part: float, words: str) -> None:
        if part > 0.7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        landscape(trained, out=tmp_path, compare=other, every=1000, progress=stop, **SMALL)
    parts: list[float] = []
    landscape(trained, out=tmp_path, compare=other, progress=lambda part, words: parts.append(part), **SMALL)
    assert min(parts) > 0.5
    assert not list(tmp_path.glob("points-*"))


def test_points_of_snapshots_that_were_written_over_are_not_taken(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    how = {"directions": "trajectory", "dimensions": 1, **SMALL}

    for again in (False, True):
        if again:
            os.utime(snapshots(run)[1].path, ns=(1, 1))
        parts: list[float] = []

        def stop(part: float, words: str, parts: list[float] = parts) -> None:
            parts.append(part)
            if part > 0.5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            landscape(run, out=tmp_path / "out", every=0, progress=stop, **how)
        assert min(parts) == pytest.approx(0.2)
