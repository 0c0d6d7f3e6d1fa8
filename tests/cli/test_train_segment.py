"""impasto train segment: from the command line, killed and taken up, used, and refused in one line."""

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from impasto.cli.app import run
from impasto.runs.directory import RunDirectory
from impasto.translation.masks import read_labels
from impasto.translation.train_segmentation import train_segmentation

Output = pytest.CaptureFixture[str]

QUICK = ["--width", "4", "--size", "32", "--batch-size", "2", "--device", "cpu", "--stages", "decoder:1"]
HEAVY = ("impasto.translation.train_segmentation", "lightning_fabric", "matplotlib.figure")


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark halves (0) and light halves (1), under train and test."""
    folder = tmp_path_factory.mktemp("toys")
    for number in range(8):
        part = folder / ("test" if number > 5 else "train")
        labels = np.zeros((32, 36), "u1")
        labels[:, 6 + 3 * number :] = 1
        labels[0] = 9
        levels = labels[..., None] * 120 + np.random.default_rng(number).integers(20, 80, (32, 36, 3))
        for name, pixels in (("images", levels.clip(0, 255).astype("u1")), ("masks", labels)):
            (part / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(part / name / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: Output, *arguments: str) -> str:
    capsys.readouterr()
    assert run(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("impasto: ") and "unexpected" not in err, err
    return err


def test_a_model_is_trained_judged_told_in_json_and_used(toys: Path, capsys: Output) -> None:
    command = ["train", "segment", str(toys), *QUICK, "--void", "9", "--classes", "dark", "light", "--valid", "0.3"]
    assert run([*command, "--json"]) == 0
    (made,) = Path("runs").iterdir()
    assert made.name.endswith(f"-train-segment-{toys.name}-pocket")
    facts = json.loads(capsys.readouterr().out)
    assert facts.keys() == {"run", "model", "scores", "sheet", "seconds"} and Path(facts["run"]).samefile(made)
    assert {"miou", "test_miou", "test_accuracy"} <= facts["scores"].keys()
    assert any(name.startswith("test_miou_all_") for name in facts["scores"])
    assert facts["scores"] == RunDirectory.open(made).manifest["scores"]
    picture = toys / "test/images/7.png"
    assert run(["segment", str(picture), "--model", str(made), "--out", "seen.png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shares"].keys() <= {"dark", "light"}
    assert read_labels(Path("seen.png")).shape == (32, 36)


def test_the_help_is_of_a_u_net_only(capsys: Output) -> None:
    assert run(["train", "segment", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--attention" in said and not any(flag in said for flag in ("--blocks", "--fold", "--factored"))


def test_a_person_is_told_in_words(toys: Path, capsys: Output) -> None:
    assert run(["train", "segment", str(toys), *QUICK, "--void", "9", "--run", "a", "--valid", "0"]) == 0
    said, sheet = capsys.readouterr().out.splitlines()
    assert said.startswith(f"{Path('a').absolute()}  test_miou ") and said.endswith(" s")
    assert Path(sheet).samefile("a/sheet.png")


def test_help_teaches_by_examples_that_are_not_refused(toys: Path, capsys: Output) -> None:
    assert run(["train", "segment", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "impasto train segment camvid/ --void 11" in said
    zooms = said.split("--zooms ")[1].split()[:3]
    assert [float(one) for one in zooms] == [0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--classes", "one"], ["labels up to 9", "--classes names 1"]),
        (["--void", "300"], ["--void", "255"]),
        (["--stages", "gan:1"], ["'gan:1' is no stage", "decoder or all"]),
        (["--architecture", "light"], ["--architecture"]),
        (["--encoder", "pokcet"], ["pokcet", "pocket"]),
        (["--batch-size", "1"], ["--batch-size"]),
        (["--recipe", "gray"], ["--recipe"]),
        (["--blocks", "2"], ["Unknown option: --blocks"]),
    ],
    ids=lambda value: "-".join(value) if value[0].startswith("--") else None,
)
def test_wrong_flags_are_one_line_and_nothing_is_begun(
    flags: list[str], words: list[str], toys: Path, capsys: Output
) -> None:
    line = refused(capsys, "train", "segment", str(toys), "--device", "cpu", *flags)
    assert all(word in line for word in words), line
    assert not list(Path().iterdir())


def test_a_folder_without_masks_is_one_line(toys: Path, capsys: Output) -> None:
    assert "has no images and masks folders" in refused(capsys, "train", "segment", str(toys / "train/images"), *QUICK)


def test_a_training_that_is_killed_again_and_again_ends_in_the_same_bits(
    toys: Path, start: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    fields = {
        "width": 4, "size": 32, "batch_size": 2, "crops": 2, "device": "cpu", "void": 9, "valid": 0.3, "average": 0.9,
        "stages": ("decoder:1", "all:2"), "zooms": (0.75, 1.0), "encoder": "pocket",
    }  # fmt: skip
    whole = train_segmentation(toys, run="whole", **fields)

    def stop(event: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # whose manifest says that a checkpoint is kept of every step
        train_segmentation(toys, run="run", every=0, progress=stop, **fields)
    chance, log = random.Random(1), Path("run/metrics.jsonl")
    kills = 0

    def finished() -> bool:
        return RunDirectory.open("run").status == "finished"

    while not finished():
        process = start("resume", "run", imports=HEAVY)
        goal = log.read_bytes().count(b"\n") + chance.randint(1, 4)
        wait_until(lambda goal=goal: log.read_bytes().count(b"\n") >= goal or finished(), process.err)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        code, _, err = process.wait()
        assert code == -signal.SIGKILL or finished(), err
        kills += 1
    assert kills >= 2
    mine, its = (load_file(Path(name, "model.safetensors")) for name in ("run", "whole"))
    assert mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in its)
    assert RunDirectory.open("run").manifest["scores"] == whole.scores and "test_miou" in whole.scores
