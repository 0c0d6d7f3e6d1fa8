"""Rerun: visualizations and dreams made again from the recipe inside them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from impasto.cli.app import run
from impasto.images import read, write


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    Image.fromarray(skimage.data.chelsea()[:96, :128]).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_visualization_made_again_is_identical(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"units.{suffix}"
    assert run(["visualize", "--unit", "relu2_1:0-1", "--size", "32", "--steps", "3", "--out", str(out)]) == 0
    capsys.readouterr()
    assert run(["rerun", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["identical"] is True


def test_a_comparison_is_made_again_with_both_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "both.png"
    asked = [
        "visualize",
        "--unit",
        "relu2_1:0",
        "--compare",
        "pocket",
        "--size",
        "32",
        "--steps",
        "2",
        "--out",
        str(out),
    ]
    assert run(asked) == 0
    assert run(["rerun", str(out)]) == 0
    assert "identical" in capsys.readouterr().out


def test_a_dream_made_again_is_identical_also_where_its_photograph_has_moved(
    tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dream.png"
    assert (
        run(["dream", str(photograph), "--unit", "relu2_1:3", "--steps", "2", "--octaves", "2", "--out", str(out)]) == 0
    )
    (tmp_path / "elsewhere").mkdir()
    photograph.rename(tmp_path / "elsewhere" / "other.png")
    assert run(["rerun", str(out)]) == 2
    assert "--search" in capsys.readouterr().err
    assert run(["rerun", str(out), "--search", str(tmp_path / "elsewhere")]) == 0
    assert "identical" in capsys.readouterr().out


def test_a_guided_dream_knows_its_guide(tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide = tmp_path / "guide.png"
    Image.fromarray(skimage.data.coffee()[:64, :64]).save(guide)
    out = tmp_path / "guided.png"
    asked = ["dream", str(photograph), "--guide", str(guide), "--steps", "1", "--octaves", "1", "--out", str(out)]
    assert run(asked) == 0
    assert run(["rerun", str(out)]) == 0
    guide.unlink()
    assert run(["rerun", str(out)]) == 2
    assert "guide" in capsys.readouterr().err


def test_a_visualization_that_was_resized_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "units.png"
    assert run(["visualize", "--unit", "relu1_1:2", "--size", "32", "--steps", "1", "--out", str(out)]) == 0
    picture = read(out)
    write(out, replace(picture, pixels=picture.pixels[..., ::2, ::2].contiguous()))
    assert run(["rerun", str(out)]) == 2
    assert "has been resized since it was made" in capsys.readouterr().err


def test_show_prints_how_it_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "units.png"
    assert run(["visualize", "--unit", "relu1_1:2", "--size", "32", "--steps", "1", "--out", str(out)]) == 0
    capsys.readouterr()
    assert run(["show", str(out), "--json"]) == 0
    recipe = json.loads(capsys.readouterr().out)
    assert recipe["verb"] == "visualize" and recipe["options"]["units"] == ["relu1_1:2"]
    assert recipe["networks"].keys() == {"pocket"} and recipe["options"]["size"] == 32
