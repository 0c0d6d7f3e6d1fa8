"""--run and impasto resume: work that is killed, interrupted, or taken up wrongly."""

import json
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from impasto.cli.app import run
from impasto.images import Picture, read, read_recipe
from impasto.runs import checkpoint
from impasto.runs.directory import RunDirectory
from impasto.synthesis import invert, stylize, texture
from impasto.synthesis.options import InversionOptions, StyleTransferOptions, TextureOptions
from impasto.synthesis.painting import Craft
from impasto.synthesis.run import make_in_run

Output = pytest.CaptureFixture[str]
FAST = ["--size", "64", "--quality", "draft"]
CRAFTS: dict[str, Callable[[], Craft]] = {
    "stylize": lambda: stylize.prepare("photo.png", ["painting.png"], StyleTransferOptions(size=192, steps=4)),
    "adam": lambda: stylize.prepare(
        "photo.png", ["painting.png"], StyleTransferOptions(size=64, steps=20, optimizer="adam", average=0.8, tile=32)
    ),
    "texture": lambda: texture.prepare(["painting.png"], TextureOptions(size="96x64", tileable=True, steps=20)),
    "invert": lambda: invert.prepare("photo.png", InversionOptions(size=64, steps=150, taps="relu2_1")),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, size in (("photo.png", (96, 72)), ("painting.png", (80, 80))):
        Image.frombytes("RGB", size, random.Random(name).randbytes(3 * size[0] * size[1])).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stop_at(step: int) -> Callable[[object], None]:
    """A listener that interrupts the work."""
    told = []

    def listen(event: object) -> None:
        told.append(1)
        if len(told) == step:
            raise KeyboardInterrupt

    return listen


def begun(craft: str = "stylize", *, every: float = 0, steps: int = 2) -> Path:
    """A run that was interrupted."""
    make_in_run(CRAFTS[craft](), "run", out="out.png", every=every, progress=stop_at(steps))
    return Path("run")


def contents(directory: Path) -> dict[str, bytes]:
    """What a run and its picture hold, but for the note that somebody was at it."""
    files = {
        path.name: path.read_bytes() for path in directory.iterdir() if path.name not in (".lock", "manifest.json")
    }
    return files | {"out.png": Path("out.png").read_bytes()}


def refused(capsys: Output, *arguments: str) -> str:
    capsys.readouterr()
    assert run(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("impasto: ") and "unexpected" not in err, err
    return err


# What a run keeps


@pytest.mark.parametrize(
    "arguments",
    [
        ["stylize", "photo.png", "painting.png", *FAST],
        ["texture", "painting.png", "--size", "48x64", "--quality", "draft"],
        ["invert", "photo.png", "--size", "48", "--steps", "10"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_run_keeps_options_manifest_metrics_and_the_picture(arguments: list[str], capsys: Output) -> None:
    assert run([*arguments, "--run", "a/run", "--out", "out.png", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {path.name for path in Path("a/run").iterdir()} - {".lock"} == {
        "options.yaml",
        "manifest.json",
        "metrics.jsonl",
    }
    manifest = json.loads(Path("a/run/manifest.json").read_text())
    assert manifest["status"] == "finished" and manifest["verb"] == arguments[0]
    assert Path(manifest["output"]).samefile("out.png")
    options = yaml.safe_load(Path("a/run/options.yaml").read_text())
    assert options.items() >= json.loads(read_recipe("out.png") or "")["options"].items()
    records = RunDirectory.open("a/run").read_log()
    assert len(records) == facts["steps"] and {"stage", "step", "total"} <= records[-1].keys()
    assert run(["rerun", "a/run"]) == 0
    assert "identical" in capsys.readouterr().out


def test_a_run_of_large_pictures_is_kept_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.synthesis import run as runs

    assert runs.automatic_directory(CRAFTS["stylize"]()) is None
    monkeypatch.setattr(runs, "PRECIOUS", 64 * 48)
    assert run(["stylize", "photo.png", "painting.png", *FAST]) == 0
    (made,) = Path("runs").iterdir()
    assert made.name.endswith("-stylize-photo-painting") and RunDirectory.open(made).status == "finished"


@pytest.mark.parametrize("what", ["a run", "other things", "a file"])
def test_a_directory_that_is_used_is_refused(what: str, capsys: Output) -> None:
    if what == "a run":
        assert run(["stylize", "photo.png", "painting.png", *FAST, "--run", "used", "--out", "out.png"]) == 0
        Path("out.png").unlink()
    elif what == "other things":
        Path("used").mkdir()
        Path("used/mine.txt").write_text("mine")
    else:
        Path("used").write_text("mine")
    before = sorted((str(path), path.stat().st_mtime_ns) for path in Path().rglob("*") if path.name != ".lock")
    assert "used" in refused(capsys, "stylize", "photo.png", "painting.png", *FAST, "--run", "used", "--out", "out.png")
    assert sorted((str(path), path.stat().st_mtime_ns) for path in Path().rglob("*") if path.name != ".lock") == before


# Killed


@pytest.mark.parametrize("craft", CRAFTS)
def test_a_run_that_is_killed_again_and_again_makes_the_same_picture(
    craft: str, start: Callable[..., Any], wait_until: Callable[..., None], folder: Path
) -> None:
    whole = make_in_run(CRAFTS[craft](), "whole", every=0)
    begun(craft, steps=1)
    chance, log = random.Random(craft), Path("run/metrics.jsonl")

    def finished() -> bool:
        return RunDirectory.open("run").status == "finished"

    for number in range(12):
        before = log.read_bytes()
        process = start("resume", "run")
        if number % 2 == 0:  # after a step, or at any moment from the process's first on
            wait_until(lambda before=before: log.read_bytes() != before or finished(), process.err)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        code, _, err = process.wait()
        assert code == -signal.SIGKILL or finished(), err
        assert read("out.png").pixels.isfinite().all(), "the picture is whole at any moment"
        if finished():
            break
    else:
        assert run(["resume", "run"]) == 0
    assert number >= 2
    assert torch.equal(read("out.png").pixels, read("whole/picture.png").pixels)
    assert Path("run/metrics.jsonl").read_bytes() == Path("whole/metrics.jsonl").read_bytes()
    assert json.loads(read_recipe("out.png") or "")["losses"] == whole.losses
    assert not Path("run/checkpoint.safetensors").exists() and RunDirectory.open("run").status == "finished"
    assert not list(Path("run").glob("*.part"))


def test_a_run_killed_before_its_first_checkpoint_begins_again() -> None:
    make_in_run(CRAFTS["stylize"](), "whole")
    begun(every=1000, steps=5)
    assert len(RunDirectory.open("run").read_log()) == 5 and not Path("run/checkpoint.safetensors").exists()
    assert run(["resume", "run"]) == 0
    assert torch.equal(read("out.png").pixels, read("whole/picture.png").pixels)
    assert Path("run/metrics.jsonl").read_bytes() == Path("whole/metrics.jsonl").read_bytes()


def test_a_run_killed_between_its_picture_and_its_last_note_is_finished_by_resuming() -> None:
    make_in_run(CRAFTS["stylize"](), "whole")
    begun(steps=10**6)  # never interrupted: finished
    last = []
    craft = CRAFTS["stylize"]()
    from impasto.synthesis.painting import paint

    for event in paint(craft):
        last = [event.checkpoint(), {"stage": event.stage, "step": event.step} | event.losses]
    manifest = json.loads(Path("run/manifest.json").read_text())
    del manifest["output"], manifest["sha256"]
    Path("run/manifest.json").write_text(json.dumps(manifest | {"status": "running"}))
    history = RunDirectory.open("run").read_log()
    assert history[-1] == last[1]
    state = replace(last[0], facts=last[0].facts | {"history": history})
    checkpoint.save("run/checkpoint.safetensors", state)
    assert run(["resume", "run"]) == 0
    assert torch.equal(read("out.png").pixels, read("whole/picture.png").pixels)
    assert RunDirectory.open("run").read_log() == history


def test_a_picture_is_written_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.synthesis.session import SynthesisResult

    written, save = [], SynthesisResult.save

    def counted(self: SynthesisResult, path: Path | str) -> Path:
        written.append(str(path))
        return save(self, path)

    monkeypatch.setattr(SynthesisResult, "save", counted)
    for flags in (["--out", "one.png"], ["--out", "two.png", "--run", "run"]):
        assert run(["stylize", "photo.png", "painting.png", "--steps", "2", *flags]) == 0
    assert written == ["one.png", str(folder / "two.png")]


# Interrupted


def test_ctrl_c_writes_the_best_picture_and_resuming_finishes_it(
    start: Callable[..., Any], wait_until: Callable[..., None], folder: Path
) -> None:
    options = ["--size", "200", "--steps", "30", "--out", "out.png"]
    process = start("stylize", "photo.png", "painting.png", *options, "--run", "run")
    wait_until(Path("run/metrics.jsonl").exists, process.err)
    process.kill(signal.SIGINT)
    code, out, err = process.wait()
    assert code == 1 and err == "impasto: interrupted: this is the picture so far\n" and out.startswith("out.png")
    assert (read("out.png").width, read("out.png").height) == (200, 150)
    assert json.loads(read_recipe("out.png") or "")["finished"] is False
    assert RunDirectory.open("run").status == "interrupted"
    assert run(["rerun", "run"]) == 2
    assert run(["resume", "run"]) == 0
    options[-1] = "whole.png"
    assert run(["stylize", "photo.png", "painting.png", *options]) == 0
    assert torch.equal(read("out.png").pixels, read("whole.png").pixels)
    assert json.loads(read_recipe("out.png") or "").get("finished", True) is True


def test_two_processes_in_one_run_are_refused(start: Callable[..., Any], capsys: Output) -> None:
    begun()
    run_lock = RunDirectory.open("run")
    with run_lock.lock():
        code, out, err = start("resume", "run").wait()
    assert (code, out) == (2, "") and "another process is at work" in err and err.count("\n") == 1
    assert run(["resume", "run"]) == 0


# Taken up wrongly


def test_a_finished_run_is_not_resumed(capsys: Output) -> None:
    begun(steps=10**6)
    before = contents(Path("run")) | {"manifest": Path("run/manifest.json").read_bytes()}
    line = refused(capsys, "resume", "run")
    assert "finished" in line and "out.png" in line
    assert contents(Path("run")) | {"manifest": Path("run/manifest.json").read_bytes()} == before


@pytest.mark.parametrize("name", [".", "none", "photo.png"])
def test_a_directory_without_a_run_is_not_resumed(name: str, folder: Path, capsys: Output) -> None:
    before = sorted(folder.iterdir())
    assert "no run in" in refused(capsys, "resume", name)
    assert sorted(folder.iterdir()) == before


def test_a_changed_input_is_not_resumed_with_and_found_when_moved(capsys: Output) -> None:
    whole = make_in_run(CRAFTS["stylize"](), "whole")
    run_directory = begun()
    before = contents(run_directory)
    Path("painting.png").rename("moved.png")
    Path("painting.png").write_bytes(Path("photo.png").read_bytes())
    line = refused(capsys, "resume", "run")
    assert "painting.png" in line and "photo.png" not in line and "--search" in line
    assert contents(run_directory) == before
    assert run(["resume", "run", "--search", "."]) == 0
    assert (read("out.png").pixels - whole.tensor).abs().max() <= 0.5 / 255 + 1e-6


def test_a_checkpoint_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    directory = begun()
    state = checkpoint.load(directory / "checkpoint.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "VERSION", 99)
        checkpoint.save(directory / "checkpoint.safetensors", state)
    before = contents(directory)
    line = refused(capsys, "resume", "run")
    assert "another version" in line and "99" in line
    assert contents(directory) == before


def test_a_damaged_checkpoint_is_refused(capsys: Output) -> None:
    directory = begun()
    path = directory / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    before = contents(directory)
    assert "damaged" in refused(capsys, "resume", "run")
    assert contents(directory) == before


def test_changed_options_are_not_resumed_with(capsys: Output) -> None:
    directory = begun()
    path = directory / "options.yaml"
    path.write_text(path.read_text().replace("strength: 0.5", "strength: 0.9"))
    before = contents(directory)
    assert "options.yaml was changed" in refused(capsys, "resume", "run")
    assert contents(directory) == before


def test_what_is_not_as_it_was_is_one_warning(capfd: pytest.CaptureFixture[str]) -> None:
    directory = begun()
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["made_with"]["torch"] = "1.0"
    (directory / "manifest.json").write_text(json.dumps(manifest))
    assert run(["resume", "run"]) == 0
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and err.startswith("impasto: torch was 1.0 when the run began")


def test_a_run_needs_files_and_a_place_for_its_picture() -> None:
    from impasto import ImpastoError, UsageError
    from impasto.synthesis.stylize import stylize as paint

    picture = Picture(torch.rand(1, 3, 32, 32))
    with pytest.raises(UsageError, match="files"):
        paint(picture, "painting.png", run="run")
    with pytest.raises(UsageError, match="docx"):
        paint("photo.png", "painting.png", run="run", out="out.docx")
    with pytest.raises(ImpastoError, match="nowhere"):
        paint("photo.png", "painting.png", run="run", out="nowhere/out.png")
    assert not Path("run").exists()
