"""Training of enhancements: from a folder to a run with a model, taken up after a kill, and refused in one line."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from impasto import networks
from impasto.errors import UsageError
from impasto.losses.pixel import PIXEL_LOSSES
from impasto.runs.directory import RunDirectory
from impasto.runs.progress import Progress
from impasto.translation import degrade, work
from impasto.translation import model as models
from impasto.translation.make import make
from impasto.translation.options import EnhancementOptions
from impasto.translation.pairs import PairTask, validation_pairs
from impasto.translation.pictures import Pictures, split
from impasto.translation.train_enhancement import resume, train_enhancement
from impasto.translation.training_recipe import recipe_of
from impasto.translation.work import TrainedModel

room = importlib.import_module("impasto.translation.train_enhancement")  # the package has a verb of this name
TINY = {"architecture": "light", "width": 4, "blocks": 1, "size": 32, "crops": 2, "batch_size": 4, "device": "cpu"}
HOW = TINY | {"recipe": "noise:10-20 jpeg:40-90", "stages": ("all:1@16", "all:1"), "valid": 0.3, "average": 0.9}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven pictures of soft colours, of which two are kept for validation; each epoch has two steps."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(7):
        coarse = np.random.default_rng(number).integers(0, 256, (5, 6, 3)).astype("u1")
        Image.fromarray(coarse).resize((48 + number, 40), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A run that nothing has interrupted."""
    return train_enhancement(photos, run=tmp_path_factory.mktemp("runs") / "whole", **HOW)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take most of the time of so small a run; the run of `whole` has drawn them."""
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


def begun(photos: Path, run: Path, events: int, **fields: Any) -> Path:
    """A run that was killed after some events, and keeps a checkpoint of each."""
    with pytest.raises(Killed):
        train_enhancement(photos, run=run, every=0, progress=killed_after(events), **HOW | fields)
    return run


def same(one: Path, other: Path) -> bool:
    first, second = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# What comes out


def test_a_run_says_what_it_did_with_what(whole: TrainedModel, photos: Path) -> None:
    run = RunDirectory.open(whole.run)
    assert run.verb == "train-enhance" and run.status == "finished"
    assert {path.name for path in whole.run.iterdir()} - {".lock"} == {
        "options.yaml", "manifest.json", "metrics.jsonl", "model.safetensors", "sheet.png", "curves.png",
    }  # fmt: skip
    parts = split(photos, 0.3, 0)
    for name, paths in (("train", parts.train), ("valid", parts.valid)):
        assert [one["path"] for one in run.manifest[name]] == [str(path) for path in paths]
        assert all(
            one["size"] == Path(one["path"]).stat().st_size and len(one["sha256"]) == 64 for one in run.manifest[name]
        )
    assert run.manifest["source"] == str(photos) and run.manifest["seed"] == 0 and run.manifest["networks"] == {}
    assert run.manifest["recipe"] == degrade.parse("noise:10-20 jpeg:40-90").to_json()
    options = yaml.safe_load((whole.run / "options.yaml").read_text())
    assert (
        options["width"] == 4
        and options["optimizer"] == "adamw"
        and options.keys() == set(EnhancementOptions.model_fields)
        and (options["architecture"], options["pixel_loss"]) == ("light", "charbonnier")  # nothing is left open
    )
    kinds = [(one["stage"], one["kind"]) for one in run.read_log()]
    assert kinds == [(0, "step"), (0, "epoch"), (1, "step"), (1, "epoch")]


def test_the_model_knows_its_task_its_recipe_and_what_it_was_asked(whole: TrainedModel) -> None:
    model = models.load(whole.run)
    assert (model.name, model.task, model.scale, model.classes) == ("whole", "restore", 1, ())
    assert model.recipe == degrade.parse("noise:10-20 jpeg:40-90").to_json()
    assert model.architecture == {"kind": "light", "scale": 1, "icnr": True, "fold": 2, "width": 4, "blocks": 1}
    assert model.card["trained_on"] == "5 pictures, 2 for validation"
    given = {"task", "scale", "architecture", "pixel_loss", *HOW} - {"device"}  # these two were left open, and decided
    assert model.card["options"].keys() == given, "what was given, not all there is, and nothing of the machine"
    assert model.card["validation"] == whole.scores and whole.scores.keys() == {"loss", "psnr", "ssim", "psnr_b"}
    assert model.sha256 == RunDirectory.open(whole.run).manifest["sha256"]


def test_its_scores_are_those_of_the_model_that_is_kept(whole: TrainedModel, photos: Path) -> None:
    pictures = Pictures(split(photos, 0.3, 0).valid, memory=1)
    recipe = degrade.parse("noise:10-20 jpeg:40-90")
    pairs = validation_pairs(pictures, recipe, 0)
    found = PairTask(pictures, recipe, PIXEL_LOSSES["charbonnier"], torch.device("cpu"), 32, valid=pairs).evaluate(
        models.load(whole.run).module
    )
    assert found == pytest.approx(whole.scores, rel=1e-4)


def test_the_sheet_shows_bad_enhanced_and_good_in_a_row_for_each(whole: TrainedModel) -> None:
    with Image.open(whole.sheet) as sheet:
        assert sheet.height == 2 * (256 + 26 + 12) + 12 and sheet.width > 3 * 256


def test_progress_is_told_in_parts_and_words(photos: Path, tmp_path: Path) -> None:
    heard: list[Progress] = []
    train_enhancement(photos, run=tmp_path / "run", progress=heard.append, **HOW)
    assert [one.done for one in heard] == pytest.approx([0.99 / 4, 0.99 / 2, 0.99 * 3 / 4, 0.99])
    assert heard[1].losses.keys() == {"loss", "psnr", "ssim", "psnr_b"} and heard[2].where == "all epoch 1/1"


def test_a_model_that_enlarges_learns_from_small_pictures(photos: Path, tmp_path: Path) -> None:
    made = train_enhancement(
        photos, run=tmp_path / "run", **TINY | {"size": 24}, scale=3, stages="all:1", valid=0.2, zooms=[0.8, 1]
    )
    model = models.load(made.run)
    assert (model.task, model.scale) == ("superres", 3) and model.recipe == degrade.parse("bicubic:3").to_json()
    assert model.module(torch.rand(1, 3, 7, 9)).shape == (1, 3, 21, 27)
    assert made.scores["psnr"] > 25, "no worse than bicubic of so soft a picture"


def test_without_validation_pictures_there_are_no_scores_and_yet_a_sheet(photos: Path, tmp_path: Path) -> None:
    made = train_enhancement(photos, run=tmp_path / "run", **HOW | {"valid": 0.0, "stages": "all:1"})
    assert made.scores == {} and RunDirectory.open(made.run).manifest["valid"] == []
    with Image.open(made.sheet) as sheet:
        assert sheet.height == 6 * (256 + 26 + 12) + 12


def test_options_may_come_at_once_with_fields_over_them(photos: Path, tmp_path: Path) -> None:
    given = EnhancementOptions(**HOW | {"stages": ("all:1",), "seed": 5})
    made = train_enhancement(photos, options=given, run=tmp_path / "run", seed=6, recipe="gray")
    options = RunDirectory.open(made.run).options
    assert (options["seed"], options["recipe"], options["stages"], options["width"]) == (6, "gray", ["all:1"], 4)


def test_a_frozen_encoder_is_kept_until_it_is_trained(photos: Path, tmp_path: Path) -> None:
    fields = {"architecture": "unet", "width": 8, "blocks": None, "features": 0.1, "gram": 0.1, "crops": 1}
    run = tmp_path / "run"
    with pytest.raises(Killed):
        train_enhancement(
            photos, run=run, every=0, progress=killed_after(1), **HOW | fields | {"stages": ("decoder:1", "all:1")}
        )
    pretrained = make(EnhancementOptions(architecture="unet", width=8))[0].state_dict()
    names = [name for name in pretrained if name.startswith("encoder.")]
    kept = load_file(run / "checkpoint.safetensors")
    assert len(names) == 12 and all(torch.equal(kept[f"model.{name}"], pretrained[name]) for name in names)
    assert not torch.equal(kept["model.last.0.0.weight"], pretrained["last.0.0.weight"])
    resume(run)
    trained = load_file(run / "model.safetensors")
    assert not any(torch.equal(trained[name], pretrained[name]) for name in names)
    assert RunDirectory.open(run).manifest["networks"] == {"pocket": networks.load("pocket").sha256}


def test_a_model_that_enlarges_more_begins_with_one_that_enlarges_less(photos: Path, tmp_path: Path) -> None:
    fields = TINY | {"size": 16, "stages": "all:1*1e-12", "valid": 0.0, "average": 0, "weight_decay": 0}
    first = train_enhancement(photos, run=tmp_path / "x2", scale=2, **fields)
    second = train_enhancement(photos, run=tmp_path / "x4", scale=4, init=str(first.run), seed=1, **fields)
    mine, its = load_file(second.model), load_file(first.model)
    for name in its.keys() - {"tail.weight", "tail.bias"}:
        assert torch.allclose(mine[name], its[name], atol=1e-6), name


def test_a_card_tells_how_many_pictures_were_looked_at(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(pictures: Pictures, recipe: degrade.Recipe, seed: int, most: int = 1) -> Any:
        return validation_pairs(pictures, recipe, seed, most=min(most, 1))

    monkeypatch.setattr(room, "validation_pairs", few)
    made = train_enhancement(photos, run=tmp_path / "run", **HOW | {"stages": ("all:1",)})
    assert models.load(made.run).card["trained_on"] == "5 pictures, 2 for validation, of which 1 are looked at"


def test_a_card_tells_a_recipe_s_steps_not_its_file(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("- noise:10-20\n- jpeg:30-95\n")
    made = train_enhancement(
        photos, run=tmp_path / "run", **HOW | {"stages": ("all:1",), "recipe": str(tmp_path / "mine.yaml")}
    )
    card = models.load(made.run).card
    assert card["options"]["recipe"] == "noise:10-20 jpeg:30-95"
    assert str(tmp_path) not in json.dumps(card), "nothing of the maker's own machine"


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({"features": 0.1}, {"psnr", "ssim", "psnr_b", "feature_distance"}),
        ({"stages": ("gan:1",), "critic": "patch"}, {"psnr", "ssim", "psnr_b", "feature_distance"}),
        ({"task": "colorize", "recipe": None}, {"psnr_chroma", "colourfulness"}),
    ],
    ids=["features", "gan", "colorize"],
)
def test_what_is_learnt_is_what_is_judged(fields: dict[str, Any], more: set[str], photos: Path, tmp_path: Path) -> None:
    made = train_enhancement(photos, run=tmp_path / "run", **HOW | {"stages": ("all:1",)} | fields)
    assert made.scores.keys() == {"loss"} | more == models.load(made.run).card["validation"].keys() | {"loss"}


# Killed and taken up


def test_a_run_that_is_killed_after_every_step_ends_in_the_same_bits(
    whole: TrainedModel, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(photos, tmp_path / "run", 1)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for done in (2, 3, 4):
        with pytest.raises(Killed):
            resume(run, progress=killed_after(1))
        assert len(RunDirectory.open(run).read_log()) == done
    made = resume(run)
    assert same(made.run, whole.run) and made.scores == whole.scores
    one, other = (
        [
            {key: value for key, value in record.items() if key != "seconds"}
            for record in RunDirectory.open(path).read_log()
        ]
        for path in (made.run, whole.run)
    )
    assert one == other and not (made.run / "checkpoint.safetensors").exists()
    assert models.load(made.run).card == models.load(whole.run).card
    assert not list((tmp_path / "elsewhere").iterdir())


def test_another_seed_is_another_model(whole: TrainedModel, photos: Path, tmp_path: Path) -> None:
    again = train_enhancement(photos, run=tmp_path / "again", **HOW)
    other = train_enhancement(photos, run=tmp_path / "other", **HOW, seed=1)
    assert same(again.run, whole.run) and not same(other.run, whole.run)


def test_a_stage_against_a_critic_is_taken_up_too(whole: TrainedModel, photos: Path, tmp_path: Path) -> None:
    fields = {"stages": ("all:1", "gan:1"), "critic": "patch", "switch": None, "automatic_stop": False}
    made = train_enhancement(photos, run=tmp_path / "whole", **HOW | fields)
    records = RunDirectory.open(made.run).read_log()
    kinds = [record["kind"] for record in records if record["name"] == "gan"]
    assert kinds == ["critic", "critic", "watch", "step", "step", "watch"]
    begun(photos, tmp_path / "run", len(records) - 2, **fields)  # between the critic's turn and the other's
    assert same(resume(tmp_path / "run").run, made.run)


def test_a_run_begins_anew_with_the_model_it_was_to_begin_with(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = train_enhancement(photos, run=tmp_path / "first", **HOW | {"stages": ("all:1",)})
    made = train_enhancement(photos, run=tmp_path / "whole", init="first", **HOW)
    with pytest.raises(Killed):
        train_enhancement(photos, run=tmp_path / "run", progress=killed_after(2), init=str(first.run), **HOW)
    assert not (tmp_path / "run/checkpoint.safetensors").exists()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert same(resume(tmp_path / "run").run, made.run)
    assert RunDirectory.open(made.run).options["init"] == str(first.run)


def test_a_run_that_cannot_be_taken_up_is_one_line(whole: TrainedModel, photos: Path, tmp_path: Path) -> None:
    import shutil

    def refused() -> str:
        with pytest.raises(UsageError) as caught:
            resume(run)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    mine = Path(shutil.copytree(photos, tmp_path / "mine"))
    run = begun(mine, tmp_path / "run", 2)
    picture = mine / "3.png"
    there = picture.read_bytes()
    picture.unlink()
    assert refused() == f"missing or changed since: picture {picture}; say where to look with --search DIR"
    picture.write_bytes(there + b"more")
    assert refused().startswith(f"missing or changed since: picture {picture}")
    picture.write_bytes(there)
    with RunDirectory.open(run).lock():
        assert "another process is at work" in refused()
    checkpoint = run / "checkpoint.safetensors"
    kept = checkpoint.read_bytes()
    checkpoint.write_bytes(kept[:-10])
    assert "damaged" in refused()
    checkpoint.write_bytes(kept)
    assert same(resume(run).run, train_enhancement(mine, run=tmp_path / "whole", **HOW).run)
    run = begun(mine, tmp_path / "felt", 1, features=0.1)
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"networks": {"pocket": "0" * 64}}))
    assert refused() == f"the weights of pocket are not those that the run {run} began with"
    run = whole.run
    assert refused() == f"the run {run} is finished: its model is {run / 'model.safetensors'}"
    run = tmp_path / "nowhere"
    assert "no run in" in refused()


# What is asked wrongly


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"task": "superres", "scale": 2, "recipe": "down:4"},
            "the recipe 'down:4' makes pictures 4 times smaller, but --scale is 2",
        ),
        (
            {"task": "superres", "scale": 2, "recipe": "jpeg:30"},
            "the recipe 'jpeg:30' keeps the size, but --scale is 2",
        ),
        ({"recipe": "down:2"}, "makes pictures 2 times smaller, but --scale is 1: make them agree"),
        ({"recipe": "jepg:30"}, "there is no operation 'jepg'"),
        ({"recipe": "nowhere.yaml"}, "nowhere.yaml cannot be read"),
        ({"task": "colorise"}, "task is 'colorise'"),
        ({"stages": ("decoder:1",)}, "only a U-Net has a decoder"),
        ({"scale": 3, "recipe": None, "stages": ("all:1@64",)}, "crops of 64 pixels do not divide by 3: take 63"),
        ({"stages": ("all:1", "gna:2")}, "'gna:2' is no stage: what learns is decoder or all or gan"),
        ({"stages": ("all:1", "gan:2@64"), "valid": 0.0}, "a stage named gan stops by validation pictures"),
        (
            {"stages": ("all:1", "gan:2"), "size": 32},
            "crops of 32 pixels are too small for the critic course: it needs 64",
        ),
        ({"architecture": "unet"}, "a U-Net has no blocks"),
        ({"attention": True}, "--attention changes nothing of a light network"),
        ({"recipe": "min-side:40 enlarge"}, "min-side:40 does nothing to crops of 16 pixels"),
        ({"scale": 2, "recipe": None, "architecture": "unet", "blocks": None}, "a U-Net keeps the size"),
        ({"features": 1.0, "feature_taps": ("relu9_9",)}, "no tap 'relu9_9'"),
        ({"init": "nowhere"}, "no model 'nowhere'"),
        ({"batch_size": 0}, "batch_size"),
        ({"device": "tpu"}, "device"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_what_is_asked_wrongly_is_one_line_and_nothing_is_begun(
    fields: dict[str, Any], words: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        train_enhancement(photos, run=tmp_path / "run", **HOW | fields)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_folder_that_nothing_can_be_learnt_from_is_one_line(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/a.png").write_bytes((photos / "0.png").read_bytes())
    for folder, words in (("one", "holds 1 picture"), ("nowhere", "nowhere cannot be listed")):
        with pytest.raises(UsageError, match=words):
            train_enhancement(tmp_path / folder, run=tmp_path / "run", **HOW)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other things"):
        train_enhancement(photos, run=tmp_path / "run", **HOW)
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name != ".lock"] == ["mine.txt"]


def test_the_task_s_recipe_is_taken_where_none_is_given() -> None:
    assert recipe_of(EnhancementOptions(task="colorize")) == degrade.parse("colorize")
    assert recipe_of(EnhancementOptions()) == degrade.parse("jpeg-denoise")
    assert recipe_of(EnhancementOptions(scale=4)) == degrade.parse("bicubic:4")


def test_a_recipe_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("- down:2\n- jpeg:30-95\n")
    options = EnhancementOptions(scale=2, recipe=str(tmp_path / "mine.yaml"))
    assert recipe_of(options).steps == degrade.parse("down:2 jpeg:30-95").steps
