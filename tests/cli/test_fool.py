"""impasto fool, from the command line."""

import json
import random
from pathlib import Path

import pytest
from PIL import Image

from impasto.cli.app import run
from impasto.images import read_recipe
from impasto.runs.recipe import parse

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Image.frombytes("RGB", (64, 48), random.Random(1).randbytes(3 * 64 * 48)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.realdata
def test_the_picture_and_a_sheet_lie_beside_the_original(shared: Path, folder: Path, capsys: Output) -> None:
    how = ["--weights", str(shared / "weights/squeezenet1_0.safetensors"), "--size", "64"]
    assert run(["fool", "photo.png", *how, "--target", "goldfish", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["reached"] and facts["after"][0]["name"] == "goldfish"
    assert {path.name for path in folder.iterdir()} == {"photo.png", "photo-fooled.png", "photo-fooled-sheet.png"}
    assert parse(read_recipe("photo-fooled.png"), Path("photo-fooled.png")).options["target"] == "goldfish"


@pytest.mark.realdata
def test_what_does_not_fool_is_not_written(shared: Path, folder: Path, capsys: Output) -> None:
    how = ["--weights", str(shared / "weights/squeezenet1_0.safetensors"), "--size", "64"]
    assert run(["fool", "photo.png", *how, "--target", "goldfish", "--steps", "1", "--rate", "0.001"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "photo.png is not taken for goldfish after 1 steps: that has" in err and "leads with" in err
    assert err.count("\n") == 1 and {path.name for path in folder.iterdir()} == {"photo.png"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photo.png", "--network", "pocket"], "pocket is no classifier"),
        (["photo.png", "--out", "a.jpg"], "would lose what fools"),
        (["missing.png"], "missing.png does not exist"),
        (["photo.png", "--confidence", "2"], "--confidence"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], words: str, folder: Path, capsys: Output) -> None:
    assert run(["fool", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1
    assert {path.name for path in folder.iterdir()} == {"photo.png"}
