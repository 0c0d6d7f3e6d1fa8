"""impasto degrade on the command line."""

import json
from pathlib import Path

import pytest
import torch

from impasto.cli.app import run
from impasto.images import Picture, read, write
from impasto.translation.degrade import Recipe, parse
from impasto.translation.degrade.operations import OPERATIONS
from impasto.translation.degrade.presets import PRESETS

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photographs in a folder of the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(2):
        write(f"photos/{number}.png", Picture(torch.rand(1, 3, 40, 60)))
    return tmp_path / "photos"


def complained(capsys: Output) -> str:
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_a_sheet_and_files_are_written_and_the_recipe_is_said(capsys: Output) -> None:
    arguments = ["degrade", "photos", "--recipe", "bicubic:2", "--preview", "sheet.jpg", "--out", "bad/small"]
    assert run([*arguments, "--size", "32", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["preview"] == "sheet.jpg" and said["pictures"] == 2 and said["scale"] == 2
    assert Recipe.from_json(said["recipe"]) == parse("bicubic:2")
    assert read("sheet.jpg").width >= 2 * 32
    assert read("bad/small/1.png").pixels.shape == (1, 3, 20, 30)


def test_the_recipe_is_said_as_it_may_be_written_again(capsys: Output) -> None:
    assert run(["degrade", "photos/0.png", "--preview", "sheet.png", "--size", "32"]) == 0
    assert capsys.readouterr().out == "sheet.png\nscale 1: down:4,kernel=bilinear jpeg:60 enlarge:bilinear\n"


def test_a_recipe_comes_from_a_file_or_from_steps(capsys: Output) -> None:
    Path("mine.yaml").write_text("- noise:30\n- jpeg:20\n")
    for recipe, out in (("mine.yaml", "one"), ("noise:30 jpeg:20", "two")):
        assert run(["degrade", "photos", "--recipe", recipe, "--out", out, "--seed", "4"]) == 0
    assert Path("one/0.png").read_bytes() == Path("two/0.png").read_bytes()
    assert run(["degrade", "photos", "--recipe", "mine.yaml", "--out", "other", "--seed", "5"]) == 0
    assert Path("one/0.png").read_bytes() != Path("other/0.png").read_bytes()


def test_results_inside_the_folder_are_no_sources(capsys: Output) -> None:
    for _ in range(2):
        assert run(["degrade", "photos", "--preview", "s.png", "--out", "photos/bad", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["pictures"] == 2


def test_the_list_shows_presets_steps_and_how_they_are_written(capsys: Output) -> None:
    assert run(["degrade", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n{name}" in said for name in (*PRESETS, *OPERATIONS)) and "one-of(STEPS | STEPS)" in said
    assert run(["degrade", "--list", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["presets"]) == set(PRESETS) and set(facts["steps"]) == set(OPERATIONS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photos", "--recipe", "crapify", "--preview", "s.png"], "crappify"),
        (["photos", "--recipe", "jpeg:300", "--preview", "s.png"], "'jpeg:300': quality is 300"),
        (["photos", "--recipe", "bicubic", "--preview", "s.png"], "bicubic:2"),
        (["photos", "--recipe", "none.yaml", "--preview", "s.png"], "none.yaml cannot be read"),
        (["photos"], "--preview sheet.png"),
        (["--preview", "s.png"], "no pictures"),
        (["nowhere", "--preview", "s.png"], "nowhere does not exist"),
        (["empty", "--preview", "s.png"], "empty holds no pictures"),
        (["photos/note.txt", "--preview", "s.png"], "note.txt"),
        (["photos", "--preview", "s.xyz"], "'.xyz'"),
        (["photos", "--preview", "photos/0.png"], "one of the pictures that go in"),
        (["photos", "--preview", "bad/0.png", "--out", "bad"], "bad/0.png would be written twice"),
        (["photos", "--preview", "s.png", "--out", "photos"], "is where the pictures are"),
        (["photos", "--out", "photos"], "is where the pictures are"),
        (["photos", "--out", "photos/0.png"], "is a file"),
        (["photos", "--preview", "s.png", "--count", "0"], "count"),
        (["dot.png", "--recipe", "bicubic:4", "--preview", "s.png"], "dot.png is 1×1"),
    ],
)
def test_what_is_wrong_gets_one_line(arguments: list[str], said: str, capsys: Output) -> None:
    Path("empty").mkdir()
    Path("bad").mkdir()
    Path("photos/note.txt").write_text("no picture")
    write("dot.png", Picture(torch.rand(1, 3, 1, 1)))
    assert run(["degrade", *arguments]) == 2
    assert said in complained(capsys)
    assert not Path("s.png").exists() and not list(Path("bad").iterdir())


def test_pictures_that_cannot_be_read_are_counted(capsys: Output) -> None:
    Path("photos/broken.png").write_bytes(b"no picture")
    assert run(["degrade", "photos", "--out", "bad", "--json"]) == 1
    out, err = capsys.readouterr()
    assert (json.loads(out)["pictures"], json.loads(out)["left_out"]) == (2, 1) and "left out" in err
    assert run(["degrade", "photos", "--out", "bad"]) == 1
    assert "bad  2 pictures, 1 left out\n" in capsys.readouterr().out


def test_a_dot_is_degraded(capsys: Output) -> None:
    write("dot.png", Picture(torch.rand(1, 3, 1, 1)))
    assert run(["degrade", "dot.png", "--recipe", "jpeg-denoise", "--preview", "s.png", "--out", "bad"]) == 0
    assert read("bad/dot.png").pixels.shape == (1, 3, 1, 1)
