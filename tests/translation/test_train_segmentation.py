"""Training of segmentations: toys are learnt in seconds, runs are taken up after a kill, bad folders are one line."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from impasto.errors import UsageError
from impasto.runs.directory import RunDirectory
from impasto.runs.progress import Progress
from impasto.translation import model as models
from impasto.translation import work
from impasto.translation.masks import read_labels
from impasto.translation.options import SegmentationOptions
from impasto.translation.train_segmentation import find, resume, train_segmentation
from impasto.translation.work import TrainedModel

HOW = {
    "width": 16, "size": 32, "batch_size": 4, "crops": 4, "device": "cpu",
    "stages": ("decoder:3*1e-2", "all:2*3e-3"), "average": 0.5,
}  # fmt: skip
SHORT = HOW | {"stages": ("decoder:1", "all:1"), "width": 4, "crops": 1, "classes": ("ground", "blue")}


def draw(folder: Path, numbers: range, stem: str = "toy", side: int = 36) -> None:
    """Blue rectangles (1) on brown ground (0), noisy; a strip that is void (7)."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        chance = np.random.default_rng(number)
        labels = np.zeros((side, side + 4), "u1")
        top, left = chance.integers(0, side // 2, 2)
        labels[top : top + side // 2, left : left + side // 2] = 1
        colours = np.array([[150, 110, 60], [40, 80, 190]])[labels] + chance.normal(0, 12, (side, side + 4, 3))
        labels[:, :2] = 7
        Image.fromarray(colours.clip(0, 255).astype("u1")).save(folder / "images" / f"{stem}_{number}.png")
        Image.fromarray(labels).save(folder / "masks" / f"{stem}_{number}.png")


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toys")
    draw(folder / "train", range(8))
    draw(folder / "val", range(1000, 1002))
    draw(folder / "test", range(2000, 2002), "other")
    return folder


@pytest.fixture(scope="module")
def learnt(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return train_segmentation(
        toys, run=tmp_path_factory.mktemp("runs") / "learnt", void=7, classes=("ground", "blue"), **HOW
    )


@pytest.fixture(scope="module")
def short(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return train_segmentation(toys, run=tmp_path_factory.mktemp("runs") / "short", void=7, **SHORT)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take most of the time of so small a run; the run of `learnt` has drawn them."""
    monkeypatch.setattr(work, "draw_curves", lambda records, path: path.write_bytes(b"drawn"))


class Killed(BaseException):
    """What no code catches."""


def killed_after(events: int) -> Callable[[Progress], None]:
    seen = 0

    def listen(event: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen == events:
            raise Killed

    return listen


# What comes out


def test_two_colours_are_learnt_in_seconds(learnt: TrainedModel) -> None:
    assert learnt.scores["miou"] > 0.9 and learnt.scores["test_miou"] > 0.9, learnt.scores
    assert learnt.scores["test_accuracy"] > 0.95


def test_the_baseline_is_the_commonest_class_everywhere(learnt: TrainedModel, toys: Path) -> None:
    """By hand: what part of the counted test pixels is ground."""
    labels = torch.cat([read_labels(path).flatten() for path in sorted((toys / "test/masks").iterdir())])
    share = float((labels == 0).sum() / (labels != 7).sum())
    assert learnt.scores["test_accuracy_all_ground"] == pytest.approx(share, abs=1e-6)
    assert learnt.scores["test_miou_all_ground"] == pytest.approx(share / 2, abs=1e-6)


def test_the_run_and_the_model_say_how_good_it_is_and_at_what(learnt: TrainedModel) -> None:
    run, model = RunDirectory.open(learnt.run), models.load(learnt.run)
    assert run.verb == "train-segment" and run.status == "finished" and run.manifest["pictures"] == [8, 2, 2]
    assert run.manifest["scores"] == learnt.scores and run.manifest["iou"].keys() == {"ground", "blue"}
    assert model.task == "segment" and model.classes == ("ground", "blue") and model.scale == 1
    assert model.card["iou"] == run.manifest["iou"] and model.recipe is None
    assert model.card["scores"] == {name: value for name, value in learnt.scores.items() if name.startswith("test_")}
    assert model.card["validation"] == {name: learnt.scores[name] for name in ("loss", "miou", "accuracy")}
    assert model.card["trained_on"] == "8 pictures with masks"
    assert sum(run.manifest["iou"].values()) / 2 == pytest.approx(learnt.scores["test_miou"])
    with Image.open(learnt.sheet) as sheet, Image.open(learnt.run / "curves.png") as curves:
        assert sheet.height == 2 * (256 + 26 + 12) + 12 and curves.size == (360 * 4, 270)


def test_scores_of_classes_have_nothing_of_the_picture(learnt: TrainedModel) -> None:
    assert models.load(learnt.run).architecture["residual"] is False


def test_labels_give_the_classes_where_nobody_names_them(toys: Path, tmp_path: Path) -> None:
    made = train_segmentation(toys, run=tmp_path / "run", **SHORT | {"classes": (), "stages": "decoder:1"})
    assert models.load(made.run).classes == tuple("01234567"), "void is a class until it is called void"
    made = train_segmentation(
        toys, run=tmp_path / "more", **SHORT | {"classes": tuple("abc"), "stages": "decoder:1"}, void=7
    )
    assert models.load(made.run).module(torch.rand(1, 3, 9, 9)).shape == (1, 3, 9, 9)


def test_a_clip_out_of_a_training_film_is_said_aloud(
    toys: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near = Path(shutil.copytree(toys, tmp_path / "near"))
    for part in ("images", "masks"):
        for number in (1000, 1001):
            (near / "val" / part / f"toy_{number}.png").rename(near / "val" / part / f"toy_{number - 990}.png")
    with caplog.at_level(logging.WARNING, "impasto"):
        made = train_segmentation(near, run=tmp_path / "run", **SHORT | {"stages": "decoder:1"}, void=7)
    (said,) = caplog.messages
    assert said.startswith("2 of 2 validation pictures are from films that are learnt from, the nearest 3 frames away")
    assert RunDirectory.open(made.run).manifest["frames_to_training"] == [3, 4]


# How a folder is divided


def test_a_part_is_taken_out_where_no_folder_is_set_apart(toys: Path, tmp_path: Path) -> None:
    def names(part: Any) -> list[str]:
        assert [path.name for path in part.pictures] == [path.name for path in part.masks]
        return [path.name for path in part.pictures]

    data = find(toys, SegmentationOptions())
    assert [len(part) for part in (data.train, data.valid, data.test)] == [8, 2, 2]
    plain = find(toys / "train", SegmentationOptions(valid=0.25))
    assert len(plain.train) == 6 and len(plain.valid) == 2 and len(plain.test) == 0
    assert sorted(names(plain.train) + names(plain.valid)) == sorted(names(data.train))
    again, other = (find(toys / "train", SegmentationOptions(valid=0.25, seed=seed)) for seed in (0, 3))
    assert plain == again and plain != other
    most = find(toys / "train", SegmentationOptions(valid=0.99))
    assert len(most.train) == 1, "something is left to learn from"
    assert len(find(toys / "train", SegmentationOptions(valid=0)).valid) == 0
    shutil.copytree(toys / "train", tmp_path / "only/train")
    assert len(find(tmp_path / "only", SegmentationOptions(valid=0.25)).valid) == 2
    shutil.copytree(toys / "val", tmp_path / "only/valid")
    assert len(find(tmp_path / "only", SegmentationOptions(valid=0.25)).train) == 8


# Killed and taken up


def test_a_run_that_is_killed_after_every_step_ends_in_the_same_bits(
    short: TrainedModel, toys: Path, tmp_path: Path
) -> None:
    """Two steps frozen, two with the encoder, whose moments and averages are kept too; and before it is finished."""
    run = tmp_path / "run"
    with pytest.raises(Killed):
        train_segmentation(toys, run=run, every=0, progress=killed_after(1), void=7, **SHORT)
    for done in (2, 3, 4):
        with pytest.raises(Killed):
            resume(run, progress=killed_after(1))
        assert len(RunDirectory.open(run).read_log()) == done
    made = resume(run)
    mine, its = load_file(made.model), load_file(short.model)
    assert mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in its)
    assert made.scores == short.scores == RunDirectory.open(made.run).manifest["scores"]
    assert models.load(made.run).card == models.load(short.run).card


def test_a_run_that_cannot_be_taken_up_is_one_line(learnt: TrainedModel, toys: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(toys, tmp_path / "mine"))
    run = tmp_path / "run"
    with pytest.raises(Killed):
        train_segmentation(mine, run=run, every=0, progress=killed_after(2), void=7, **SHORT)
    for name in ("train/images", "train/masks", "val/images", "test/masks"):
        path = sorted((mine / name).iterdir())[0]
        there = path.read_bytes()
        changed = rf"missing or changed since: picture {path}; say where"
        path.write_bytes(there + b"more")
        with pytest.raises(UsageError, match=changed):
            resume(run)
        path.unlink()
        with pytest.raises(UsageError, match=changed):
            resume(run)
        path.write_bytes(there)
    for part in ("images", "masks"):  # what has come since is not learnt from
        shutil.copy(mine / "train" / part / "toy_3.png", mine / "train" / part / "toy_9.png")
    made = resume(run)
    its = train_segmentation(toys, run=tmp_path / "whole", void=7, **SHORT)
    assert all(
        torch.equal(a, b) for a, b in zip(load_file(made.model).values(), load_file(its.model).values(), strict=True)
    )
    with pytest.raises(UsageError, match="is finished: its model is"):
        resume(learnt.run)


# What is asked wrongly


def spoilt(toys: Path, folder: Path, how: str) -> Path:
    mine = Path(shutil.copytree(toys, folder))
    mask = mine / "train/masks/toy_3.png"
    if how == "missing":
        mask.unlink()
    elif how == "colours":
        Image.open(mask).convert("RGB").save(mask)
    elif how == "size":
        Image.open(mask).crop((0, 0, 8, 9)).save(mask)
    elif how == "void":
        for path in mine.rglob("masks/*.png"):
            Image.fromarray(np.full((36, 40), 255, "u1")).save(path)
    else:
        shutil.rmtree(mine / "train")
        shutil.rmtree(mine / "test")
    return mine


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", r"toy_3\.png has no mask of its name in"),
        ("colours", r"toy_3\.png is a picture of mode RGB, no mask"),
        ("size", r"toy_3\.png is 8×9 and its picture 40×36: make them agree"),
        ("void", "the masks hold nothing but void labels: is --void the right one"),
        ("empty", "has no images and masks folders"),
    ],
)
def test_a_folder_that_nothing_can_be_learnt_from_is_one_line(how: str, words: str, toys: Path, tmp_path: Path) -> None:
    mine = spoilt(toys, tmp_path / "mine", how)
    with pytest.raises(UsageError, match=words) as caught:
        train_segmentation(mine, run=tmp_path / "run", void=7, **SHORT)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"classes": ("ground",)}, "the masks hold labels up to 1, and --classes names 1: name all"),
        ({"stages": ("gan:1",)}, "'gan:1' is no stage: what learns is decoder or all"),
        ({"encoder": "pokcet"}, "no network 'pokcet'"),
        ({"blocks": 3}, "no option 'blocks'"),
        ({"init": "nowhere"}, "no model 'nowhere'"),
        ({"void": 300}, "void is 300"),
        ({"factored": True}, "no option 'factored'"),
    ],
    ids=str,
)
def test_what_is_asked_wrongly_is_one_line_and_nothing_is_begun(
    fields: dict[str, Any], words: str, toys: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        train_segmentation(toys, run=tmp_path / "run", **{"void": 7} | SHORT | fields)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
