"""impasto train enhance: from the command line, with flags and files, killed and taken up, and refused in one line."""

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from impasto.cli.app import run
from impasto.runs.directory import RunDirectory
from impasto.translation.model import load
from impasto.translation.train_enhancement import train_enhancement

Output = pytest.CaptureFixture[str]

QUICK = ["--width", "4", "--blocks", "1", "--size", "32", "--batch-size", "4", "--device", "cpu", "--valid", "0.3"]
SHORT = [*QUICK, "--recipe", "noise:10-30", "--stages", "all:1", "--crops", "2"]
HEAVY = (
    "impasto.translation.train_enhancement",
    "lightning_fabric",
    "matplotlib.figure",
    "impasto.translation.metrics",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(6):
        coarse = np.random.default_rng(number).integers(0, 256, (5, 6, 3)).astype("u1")
        Image.fromarray(coarse).resize((44, 40), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: Output, *arguments: str, code: int = 2) -> str:
    capsys.readouterr()
    assert run(list(arguments)) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("impasto: ") and "unexpected" not in err, err
    return err


def same(one: str, other: str) -> bool:
    first, second = (load_file(Path(name) / "model.safetensors") for name in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# What is said


def test_a_model_is_trained_and_its_run_is_named(photos: Path, capsys: Output) -> None:
    assert run(["train", "enhance", str(photos), *SHORT]) == 0
    (made,) = Path("runs").iterdir()
    said, sheet = capsys.readouterr().out.splitlines()
    assert made.name.endswith(f"-train-enhance-{photos.name}-restore")
    assert (
        said.startswith(f"{made.absolute()}  loss ") and ", psnr " in said and ", ssim " in said and said.endswith(" s")
    )
    assert Path(sheet).samefile(made / "sheet.png")


def test_flags_go_over_a_file_and_a_machine_is_told_in_json(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    values = {"scale": 2, "stages": ["all:2"], "width": 8, "seed": 5, "clip": 0.5, "valid": 0.0, "device": "cpu"}
    Path("mine.yaml").write_text(yaml.safe_dump(values))
    flags = ["--width", "4", "--blocks", "1", "--stages", "all:1@24", "all:1*1e-4", "--zooms", "0.8", "1", "--no-icnr"]
    assert (
        run(["train", "enhance", str(photos), "--options", "mine.yaml", *flags, "--crops", "1", "--run", "a", "--json"])
        == 0
    )
    options = RunDirectory.open("a").options
    assert (options["task"], options["scale"], options["size"], options["seed"]) == ("superres", 2, 96, 5)
    assert (options["width"], options["stages"], options["zooms"]) == (4, ["all:1@24", "all:1*1e-4"], [0.8, 1.0])
    assert options["icnr"] is False and options["clip"] == 0.5 and options["batch_size"] == 16
    out, err = capfd.readouterr()
    (line,) = out.splitlines()
    facts = json.loads(line)
    assert facts.keys() == {"run", "model", "scores", "sheet", "seconds"} and facts["scores"] == {} and err == ""
    assert Path(facts["model"]).samefile("a/model.safetensors")
    asked = {"task", "scale", "stages", "width", "blocks", "seed", "clip", "icnr", "valid", "zooms", "crops"}
    asked |= {"architecture", "pixel_loss"}  # what was left open, as it was decided
    assert load("a").card["options"].keys() == asked


def test_help_teaches_by_examples(capsys: Output) -> None:
    assert run(["train", "enhance", "--help"]) == 0
    said = capsys.readouterr().out
    assert "impasto train enhance photos/ --task colorize --features 0.1" in said and "--stages" in said


# What is asked wrongly


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--task", "colorise"], ["--task", "colorize"]),
        (["--scale", "9"], ["--scale", "8"]),
        (["--scale", "2", "--recipe", "down:4"], ["down:4", "4 times smaller", "--scale is 2"]),
        (["--task", "restore", "--scale", "2"], ["restore keeps the size"]),
        (["--recipe", "jepg:30"], ["no operation 'jepg'", "jpeg"]),
        (["--scale", "3", "--stages", "all:1@64"], ["64 pixels do not divide by 3", "63"]),
        (["--stages", "decoder:1"], ["only a U-Net has a decoder"]),
        (["--stages", "all"], ["'all' is no stage"]),
        (["--stages", "gans:1"], ["'gans:1' is no stage", "decoder or all or gan"]),
        (["--stages", "gan:1", "--valid", "0"], ["gan", "--valid", "--no-automatic-stop"]),
        (["--critic", "patch"], ["--critic changes nothing without a stage named gan"]),
        (["--no-automatic-stop", "--switch", "1"], ["--switch and --automatic-stop change nothing"]),
        (["--zooms", "2"], ["zooms", "0.05 to 1"]),
        (["--optimizer", "adamm"], ["--optimizer", "adamw"]),
        (["--learning-rate", "-1"], ["greater than 0"]),
        (["--init", "nowhere"], ["no model 'nowhere'"]),
        (["--epochs", "3"], ["--epochs"]),
        (["--run", "used"], ["used", "holds other things"]),
        (["--options", "no.yaml"], ["no.yaml", "cannot be read"]),
        (["--options", "bad.yaml"], ["bad.yaml", "no option 'epochs'"]),
    ],
    ids=lambda value: "-".join(value) if value[0].startswith("--") else None,
)
def test_wrong_flags_are_one_line_and_nothing_is_begun(
    flags: list[str], words: list[str], photos: Path, capsys: Output
) -> None:
    Path("used").mkdir()
    Path("used/mine.txt").write_text("mine")
    Path("bad.yaml").write_text("epochs: 3\n")
    line = refused(capsys, "train", "enhance", str(photos), "--width", "4", "--blocks", "1", "--device", "cpu", *flags)
    assert all(word in line for word in words), line
    assert {path.name for path in Path().iterdir()} == {"used", "bad.yaml"}
    assert [path.name for path in Path("used").iterdir() if path.name != ".lock"] == ["mine.txt"]


def test_folders_that_nothing_can_be_learnt_from_are_one_line(capsys: Output) -> None:
    Path("empty").mkdir()
    for name in ("empty", "nowhere"):
        assert name in refused(capsys, "train", "enhance", name, *SHORT)
    assert not Path("runs").exists()


# Stopped


def test_ctrl_c_says_how_to_go_on_and_leaves_no_model(
    photos: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    from impasto.runs.bar import ProgressBar

    def stop(bar: ProgressBar, event: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(ProgressBar, "__call__", stop)
        assert run(["train", "enhance", str(photos), *SHORT, "--run", "run"]) == 1
        out, err = capsys.readouterr()
        assert (
            out == "" and err == f"impasto: interrupted; go on with it by `impasto resume {Path('run').absolute()}`\n"
        )
        assert run(["resume", "run"]) == 1
        assert "impasto resume" in capsys.readouterr().err
    assert RunDirectory.open("run").status == "interrupted" and not Path("run/model.safetensors").exists()
    assert run(["resume", "run", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert Path(facts["run"]).samefile("run") and facts["scores"] == RunDirectory.open("run").manifest["scores"]
    assert run(["train", "enhance", str(photos), *SHORT, "--run", "whole"]) == 0
    assert same("run", "whole")
    assert "is finished: its model is" in refused(capsys, "resume", "run")


def test_a_picture_that_has_gone_is_named(photos: Path, capsys: Output) -> None:
    import shutil

    shutil.copytree(photos, "mine")

    def stop(event: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_enhancement("mine", run="run", progress=stop, width=4, blocks=1, stages="all:1", size=32, device="cpu")
    Path("mine/2.png").unlink()
    assert refused(capsys, "resume", "run").endswith(
        f"missing or changed since: picture {Path('mine/2.png').absolute()}; say where to look with --search DIR\n"
    )


def test_a_run_finds_its_pictures_where_they_have_gone(photos: Path, capsys: Output) -> None:
    shutil.copytree(photos, "mine")

    def stop(event: Any) -> None:
        raise KeyboardInterrupt

    fields = {"width": 4, "blocks": 1, "stages": "all:1", "size": 32, "crops": 2, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        train_enhancement("mine", run="run", progress=stop, **fields)
    Path("mine").rename("yours")
    assert "--preview is for pictures" in refused(capsys, "resume", "run", "--preview", "now.png")
    assert run(["resume", "run", "--search", "yours"]) == 0
    assert run(["rerun", "run", "--search", "yours", "--out", "again"]) == 0
    assert same("run", "again")
    capsys.readouterr()
    assert run(["runs", "list", "."]) == 0
    reached = f"{RunDirectory.open('run').manifest['scores']['psnr']:.2f} dB"
    assert capsys.readouterr().out.count(reached) == 2


def test_a_training_that_is_killed_again_and_again_ends_in_the_same_bits(
    photos: Path, start: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    """Two sizes in two stages, four steps in an epoch; a checkpoint at every step."""
    fields = {
        "width": 4, "blocks": 1, "size": 32, "crops": 4, "batch_size": 4, "device": "cpu", "valid": 0.3, "average": 0.9,
        "recipe": "noise:10-30 jpeg:30-90", "stages": ("all:1@16", "all:2"), "optimizer": "eve", "gray": 0.3,
    }  # fmt: skip
    whole = train_enhancement(photos, run="whole", **fields)

    def stop(event: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # whose manifest says that a checkpoint is kept of every step
        train_enhancement(photos, run="run", every=0, progress=stop, **fields)
    chance, log = random.Random(0), Path("run/metrics.jsonl")
    kills = 0

    def finished() -> bool:
        return RunDirectory.open("run").status == "finished"

    while not finished():
        process = start("resume", "run", imports=HEAVY)
        goal = log.read_bytes().count(b"\n") + chance.randint(1, 3)
        wait_until(lambda goal=goal: log.read_bytes().count(b"\n") >= goal or finished(), process.err)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        code, _, err = process.wait()
        assert code == -signal.SIGKILL or finished(), err
        kills += 1
    assert kills >= 3
    assert same("run", "whole")
    records = [
        [json.loads(line) for line in Path(name, "metrics.jsonl").read_text().splitlines()] for name in ("run", "whole")
    ]
    for record in [one for several in records for one in several]:
        record.pop("seconds", None)
    assert records[0] == records[1]
    assert RunDirectory.open("run").manifest["scores"] == whole.scores and not list(Path("run").rglob("*.part"))
    assert load("run").card["validation"] == whole.scores


# Made again


def test_a_run_is_made_again_to_the_bit(photos: Path, capsys: Output) -> None:
    assert run(["train", "enhance", str(photos), *SHORT, "--run", "one"]) == 0
    assert run(["rerun", "one", "--out", "again"]) == 0
    assert "again: identical: the same weights, bit for bit" in capsys.readouterr().out
    assert same("one", "again")
    assert run(["runs", "rerun", "again", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["identical"] and facts["weights"] == 0 and "again-again" in facts["run"]


def test_a_run_whose_pictures_have_gone_is_not_begun_again(photos: Path, capsys: Output) -> None:
    shutil.copytree(photos, "mine")
    assert run(["train", "enhance", "mine", *SHORT, "--run", "one"]) == 0
    Path("mine/3.png").unlink()
    refused(capsys, "rerun", "one", "--out", "again")
    assert not Path("again").exists()
