"""Tiles of one picture spread over the processes that torchrun starts."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from impasto.cli.app import run
from impasto.images import read, read_recipe


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, size in (("photo.png", (128, 96)), ("painting.png", (100, 80))):
        Image.frombytes("RGB", size, random.Random(name).randbytes(3 * size[0] * size[1])).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    # without the dashes, torchrun takes --run for its own
    return subprocess.run([*command, "-m", "--", "impasto", *arguments], capture_output=True, text=True, timeout=200)


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        ["--tile", "64", "--scales", "1", "--steps", "4"],
        ["--steps", "2", "--masks", "mask.png", "--loss", "wasserstein", "--run", "run", "--color", "keep"],
    ],
    ids=["tiles", "a run with a mask"],
)
def test_two_processes_make_the_picture_of_one(folder: Path, flags: list[str]) -> None:
    Image.frombytes("L", (128, 96), random.Random(1).randbytes(128 * 96)).save("mask.png")
    done = torchrun("stylize", "photo.png", "painting.png", "--json", *flags, "--out", "two.png")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["out"] == "two.png" and json.loads(line)["finished"] is True
    made = {path.name for path in folder.iterdir()}
    assert made - {"run"} == {"photo.png", "painting.png", "mask.png", "two.png"}
    alone = ["one" if flag == "run" else flag for flag in flags]
    assert run(["stylize", "photo.png", "painting.png", *alone, "--out", "one.png"]) == 0
    one, two = read("one.png").pixels, read("two.png").pixels
    assert (one - two).abs().max() <= 1.5 / 255
    assert json.loads(read_recipe("two.png") or "")["options"] == json.loads(read_recipe("one.png") or "")["options"]


@pytest.mark.slow
def test_what_was_asked_wrongly_is_said_once() -> None:
    done = torchrun("stylize", "none.png", "painting.png")
    assert done.returncode != 0 and done.stdout == ""
    assert done.stderr.count("none.png does not exist") == 1
