"""impasto train classify, resume and rerun: from the command line, with flags, files, Ctrl-C and SIGKILL."""

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from impasto.cli.app import run
from impasto.learning.classify import classify
from impasto.learning.manifest import Manifest
from impasto.runs import checkpoint as checkpoints
from impasto.runs.directory import RunDirectory

Output = pytest.CaptureFixture[str]

QUICK = ["--network", "pocket", "--size", "32", "--batch-size", "16", "--device", "cpu"]
SHORT = [*QUICK, "--stages", "head:6", "--augment", "flip"]
HEAVY = ("impasto.learning.classify", "sklearn.linear_model", "lightning_fabric", "matplotlib.figure", "tensorboard")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and light pictures, twenty of each to learn from and six to judge by."""
    folder = tmp_path_factory.mktemp("pets")
    for number in range(52):
        dark, part = number % 2, "train" if number < 40 else "test"
        path = folder / part / ("dark" if dark else "light") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 120, (40, 40, 3)) + (20 if dark else 110)
        Image.fromarray(pixels.astype("u1")).save(path)
    return folder


@pytest.fixture(scope="module")
def teacher(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    options = {"network": "pocket", "size": 32, "batch_size": 16, "device": "cpu", "stages": ("head:6",)}
    return classify(pets, run=tmp_path_factory.mktemp("runs") / "one", **options).run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_FEATURES", str(tmp_path_factory.getbasetemp() / "features"))
    return tmp_path


def weights(directory: str | Path) -> dict[str, torch.Tensor]:
    return load_file(Path(directory) / "model.safetensors")


def same(one: str | Path, other: str | Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def refused(capsys: Output, *arguments: str, code: int = 2) -> str:
    capsys.readouterr()
    assert run(list(arguments)) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("impasto: ") and "unexpected" not in err, err
    return err


# What is said


def test_a_classifier_is_trained_and_its_run_is_named(pets: Path, capsys: Output) -> None:
    assert run(["train", "classify", str(pets), *SHORT]) == 0
    (made,) = Path("runs").iterdir()
    said, page = capsys.readouterr().out.splitlines()
    assert made.name.endswith(f"-train-{pets.name}-pocket") and said.startswith(f"{made.absolute()}  test: accuracy ")
    assert said.endswith(" s") and "log loss" in said and Path(page).is_file()
    assert Path(page).resolve() == (made / "report" / "index.html").resolve()


def test_flags_go_over_a_file_and_a_machine_is_told_in_json(pets: Path, capfd: pytest.CaptureFixture[str]) -> None:
    values = {"network": "pocket", "size": 24, "stages": ["head:1", "all:1"], "augment": [], "seed": 5, "device": "cpu"}
    Path("mine.yaml").write_text(yaml.safe_dump(values))
    flags = ["--size", "32", "--stages", "head:2", "all:1*1e-4", "--no-precompute", "--json"]
    assert run(["train", "classify", str(pets), "--options", "mine.yaml", *flags, "--run", "a"]) == 0
    options = RunDirectory.open("a").options
    assert (options["size"], options["stages"], options["seed"]) == (32, ["head:2", "all:1*1e-4"], 5)
    assert options["augment"] == [] and options["precompute"] is False
    out, err = capfd.readouterr()
    (line,) = out.splitlines()
    facts = json.loads(line)
    assert facts.keys() == {"run", "judged_on", "scores", "report", "seconds"}
    assert facts["judged_on"] == "test" and facts["scores"]["n"] == 12
    assert facts["scores"]["accuracy"] == RunDirectory.open("a").manifest["scores"]["accuracy"]
    assert all(set(json.loads(warning)) == {"warning"} for warning in err.splitlines())


def test_help_teaches_by_examples(capsys: Output) -> None:
    assert run(["train", "classify", "--help"]) == 0
    said = capsys.readouterr().out
    assert "impasto train classify pets.csv --boxes" in said and "--stages" in said


# What is asked wrongly


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--stages", "head"], ["'head' is no stage", "head:10"]),
        (["--stages", "all:3*1e999"], ["is no stage"]),
        (["--stages", "relu9_9:1"], ["no layer 'relu9_9'", "relu"]),
        (["--augment", "flop"], ["no augmentation 'flop'", "flip"]),
        (["--network", "pokcet"], ["pokcet", "pocket"]),
        (["--tap", "relu9_1"], ["relu9_1"]),
        (["--size", "4"], ["--size", "8"]),
        (["--batch-size", "1"], ["--batch-size"]),
        (["--optimizer", "adamm"], ["--optimizer", "adamw"]),
        (["--learning-rate", "fast"], ["--learning-rate", "fast"]),
        (["--learning-rate", "-1"], ["greater than 0"]),
        (["--valid", "1"], ["--valid"]),
        (["--boxes"], ["no training picture has a box", "xmin"]),
        (["--distillation", "0.5"], ["teachers"]),
        (["--teachers", "nowhere", "--distillation", "0.5"], ["nowhere"]),
        (["--unlabelled", "nowhere", "--teachers", "other"], ["nowhere"]),
        (["--weights", "no.safetensors"], ["no.safetensors"]),
        (["--epochs", "3"], ["--epochs"]),
        (["--run", "used"], ["used", "holds other things"]),
        (["--options", "no.yaml"], ["no.yaml", "cannot be read"]),
        (["--options", "bad.yaml"], ["bad.yaml", "no option 'epochs'"]),
    ],
    ids=lambda value: "-".join(value) if value[0].startswith("--") else None,
)
def test_wrong_flags_are_one_line_and_nothing_is_begun(
    flags: list[str], words: list[str], pets: Path, capsys: Output
) -> None:
    Path("used").mkdir()
    Path("used/mine.txt").write_text("mine")
    Path("bad.yaml").write_text("epochs: 3\n")
    network = [] if "--network" in flags else ["--network", "pocket"]
    line = refused(capsys, "train", "classify", str(pets), *network, *flags)
    assert all(word in line for word in words), line
    assert {path.name for path in Path().iterdir()} == {"used", "bad.yaml"}
    assert [path.name for path in Path("used").iterdir() if path.name != ".lock"] == ["mine.txt"]


def test_data_that_nothing_can_be_learnt_from_are_one_line(pets: Path, capsys: Output) -> None:
    Path("empty").mkdir()
    Path("one/cat").mkdir(parents=True)
    Path("rows.csv").write_text("path,label\nhere.png,cat\nthere.png,dog\n")
    for name in ("a", "b"):
        (Path("one/cat") / f"{name}.png").write_bytes((pets / "train" / "dark" / "1.png").read_bytes())
    for data, words in (("nowhere", "nowhere"), ("empty", "empty"), ("rows.csv", "here.png")):
        assert words in refused(capsys, "train", "classify", data, *SHORT)
    assert run(["train", "classify", "one", *SHORT]) == 2
    *warnings, error = capsys.readouterr().err.splitlines()
    assert error.endswith("has one class only (cat): a classifier needs two at least") and len(warnings) <= 1
    assert not Path("runs").exists()


# Stopped


def begun(pets: Path, *, every: float = 0, steps: int = 1, **fields: Any) -> Path:
    """A run that was interrupted after some steps, and keeps a checkpoint of every step."""
    seen = 0

    def listen(event: Any) -> None:
        nonlocal seen
        seen += bool(event.losses)
        if seen == steps:
            raise KeyboardInterrupt

    options = {"network": "pocket", "size": 32, "batch_size": 16, "device": "cpu"} | fields
    with pytest.raises(KeyboardInterrupt) as caught:
        classify(pets, run="run", every=every, progress=listen, **options)
    assert caught.value.__notes__ == [f"go on with it by `impasto resume {Path('run').absolute()}`"]
    return Path("run")


def test_a_training_that_is_killed_again_and_again_ends_in_the_same_bits(
    pets: Path, start: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    fields = {"stages": ("head:5", "relu2_1:3", "all:3"), "optimizer": "eve", "average": 0.9, "augment": ("rotate:10",)}
    options = {"network": "pocket", "size": 32, "batch_size": 16, "device": "cpu"} | fields
    whole = classify(pets, run="whole", **options)
    begun(pets, **fields)  # whose manifest says that a checkpoint is kept of every step
    chance, log = random.Random(0), Path("run/metrics.jsonl")
    kills = 0

    def trained() -> bool:
        return Path("run/model.safetensors").exists()

    while True:
        process = start("resume", "run", imports=HEAVY)
        goal = log.read_bytes().count(b"\n") + chance.randint(0, 14)
        wait_until(lambda goal=goal: log.read_bytes().count(b"\n") >= goal or trained(), process.err)
        time.sleep(chance.uniform(0, 0.05))
        if trained() and kills >= 3:
            break  # its report may be made
        process.kill()
        code, _, err = process.wait()
        assert code == -signal.SIGKILL, err
        kills += 1
    code, _, err = process.wait()
    assert code == 0, err
    assert same("run", whole.run)
    records = [
        [json.loads(line) for line in Path(name, "metrics.jsonl").read_text().splitlines()] for name in ("run", "whole")
    ]
    for record in [one for several in records for one in several]:
        record.pop("seconds", None)
    assert records[0] == records[1]
    facts = RunDirectory.open("run")
    assert facts.status == "finished" and facts.manifest["scores"] == RunDirectory.open("whole").manifest["scores"]
    assert not list(Path("run").rglob("*.part"))


def test_a_killed_command_is_gone_on_with_interrupted_and_finished_elsewhere(
    teacher: Path, start: Callable[..., Any], wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(teacher.parent)
    here, log = Path("run").absolute(), Path("run/metrics.jsonl").absolute()

    def trains() -> bool:
        return log.exists() and log.stat().st_size > 0

    # the teacher's own splits, so that it has not learnt from what judges
    flags = ["one/data.parquet", *QUICK, "--stages", "head:2", "all:8", "--teachers", "one", "--distillation", "0.5"]
    process = start("train", "classify", *flags, "--run", "run", imports=HEAVY)
    wait_until(trains, process.err)
    process.kill()
    assert process.wait()[0] == -signal.SIGKILL
    assert RunDirectory.open("run").status == "running"
    log.write_bytes(b"")
    process = start("resume", "run")
    wait_until(trains, process.err)
    process.kill(signal.SIGINT)
    code, out, err = process.wait()
    assert code == 1 and out == "" and "Traceback" not in err
    assert err.splitlines()[-1] == f"impasto: interrupted; go on with it by `impasto resume {here}`"
    assert RunDirectory.open("run").status == "interrupted" and not Path("run/model.safetensors").exists()
    assert run(["train", "classify", *flags, "--run", "whole"]) == 0
    (here.parent / "elsewhere").mkdir()
    monkeypatch.chdir(here.parent / "elsewhere")
    assert run(["resume", str(here)]) == 0, "the teacher is found from anywhere"
    assert same(here, here.parent / "whole")
    assert not list(Path().iterdir())


def test_a_run_that_cannot_be_taken_up_is_one_line(pets: Path, teacher: Path, capsys: Output) -> None:
    begun(pets, stages=("head:3",), steps=2)
    with RunDirectory.open("run").lock():
        assert "another process is at work" in refused(capsys, "resume", "run")
    checkpoint = Path("run/checkpoint.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-10])
    assert "damaged" in refused(capsys, "resume", "run")
    assert "is not finished" in refused(capsys, "rerun", "run")
    assert "is finished: its report is" in refused(capsys, "resume", str(teacher))


# Again


def test_a_run_made_again_is_the_same(teacher: Path, capsys: Output) -> None:
    assert run(["rerun", str(teacher)]) == 0
    (made,) = (path for path in teacher.parent.iterdir() if path.name.endswith("-train-one-again"))
    assert capsys.readouterr().out.startswith(f"{made}: identical: the same weights, bit for bit, ")
    assert same(teacher, made)


def test_a_run_that_differs_exits_with_one(teacher: Path, capsys: Output) -> None:
    shutil.copytree(teacher, "one")
    model = checkpoints.load("one/model.safetensors")
    model.tensors["features.0.weight"] += 1e-3
    checkpoints.save("one/model.safetensors", model)
    assert run(["runs", "rerun", "one", "--out", "two", "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["identical"] is False and facts["weights"] == pytest.approx(1e-3, rel=0.01)
    assert facts["reasons"] == [] and all(one["first"] == one["again"] for one in facts["scores"].values())
    assert Path(facts["run"]).samefile("two") and same("two", teacher)


def test_a_run_whose_pictures_have_changed_is_not_made_again(pets: Path, teacher: Path, capsys: Output) -> None:
    shutil.copytree(teacher, "one")
    shutil.copytree(pets, "mine")
    replace(Manifest.load("one/data.parquet"), root=Path("mine").absolute()).save("one/data.parquet")
    victim = Path("mine/train/dark/1.png")
    victim.write_bytes(Path("mine/train/dark/3.png").read_bytes())
    assert "1.png has changed since the run" in refused(capsys, "rerun", "one", "--out", "three")
    victim.unlink()
    assert "1.png, a picture of the run, is gone" in refused(capsys, "rerun", "one", "--out", "three")
    assert not Path("three").exists()
