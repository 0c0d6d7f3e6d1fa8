"""impasto invert: what a layer still knows of a picture."""

import json
import random
from pathlib import Path

import pytest
from PIL import Image

from impasto import networks
from impasto.cli.app import run
from impasto.images import read, read_recipe

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Image.frombytes("RGB", (64, 48), random.Random(1).randbytes(3 * 64 * 48)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_inversion_lies_beside_the_picture_named_by_its_taps(folder: Path, capsys: Output) -> None:
    assert run(["invert", "photo.png", "--taps", "pixels", "--steps", "10"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith("photo-pixels.png  64×48, ") and "% of the activations not met" in out
    assert run(["invert", "photo.png", "--steps", "2"]) == 0
    assert run(["invert", "photo.png", "--taps", "relu1_1", "relu2_1", "--steps", "2"]) == 0
    assert {path.name for path in folder.iterdir()} == {
        "photo.png",
        "photo-pixels.png",
        "photo-relu3_1.png",
        "photo-relu1_1-relu2_1.png",
    }
    assert (read("photo-pixels.png").pixels - read("photo.png").pixels).abs().max() < 0.02


def test_options_come_from_flags_and_a_file(capsys: Output) -> None:
    Path("how.yaml").write_text("taps: relu1_1\nsteps: 9\nsize: 32\n")
    assert run(["invert", "photo.png", "--options", "how.yaml", "--steps", "2", "--out", "a.webp", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["out"] == "a.webp" and facts["steps"] == 2
    recipe = json.loads(read_recipe("a.webp") or "")
    assert recipe["verb"] == "invert"
    assert recipe["options"] == {"taps": ["relu1_1"], "steps": 2, "size": 32}


def test_the_sheet_shows_every_layer_from_both_starts(folder: Path, capsys: Output) -> None:
    assert run(["invert", "photo.png", "--sheet", "--size", "32", "--steps", "2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    relus = [name for name in networks.load("pocket").aliases if name.startswith("relu")]
    assert len(facts["labels"]) == 2 * (1 + len(relus)) and facts["out"] == "photo-inversions.png"
    assert {path.name for path in folder.iterdir()} == {"photo.png", "photo-inversions.png"}
    assert read("photo-inversions.png").height > 4 * 192


def test_ctrl_c_ends_the_sheet_with_the_pictures_so_far(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    from impasto.runs.bar import Silence

    def interrupt(self: Silence, event: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Silence, "__call__", interrupt)
    assert run(["invert", "photo.png", "--sheet", "--size", "32", "--steps", "2", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["labels"] == ["pixels, noise (interrupted)"] and "interrupted" in json.loads(err)["error"]
    assert read("photo-inversions.png").height > 192
