"""impasto enhance and impasto models, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from impasto.cli.app import run
from impasto.images import Picture, read, read_recipe, write
from impasto.runs.recipe import parse

Output = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("shipped")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    chance = torch.Generator().manual_seed(0)
    for name in ("photo.png", "more/a.jpg", "more/below/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, Picture(torch.rand(1, 3, 20, 28, generator=chance)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_picture_is_enhanced_beside_itself(folder: Path, capsys: Output) -> None:
    assert run(["enhance", "photo.png"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith("photo-enhanced.png  56×40 by superres-x2") and out.count("\n") == 1
    assert read("photo-enhanced.png").width == 56
    assert run(["enhance", "photo.png", "--scale", "4", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["out"] == "photo-enhanced-2.png" and (facts["width"], facts["model"]) == (112, "superres-x4")
    assert parse(read_recipe("photo-enhanced-2.png"), folder).options == {"model": "superres-x4", "scale": 4}


def test_maps_and_pages_are_written_when_asked_for(capsys: Output) -> None:
    assert run(["enhance", "photo.png", "--out", "b.webp", "--invented", "map.png", "--compare", "page.html"]) == 0
    assert "levels of 255 invented" in capsys.readouterr().out
    assert read("map.png").width == read("b.webp").width == 56
    assert "photo.png" in Path("page.html").read_text()


def test_a_format_is_asked_for_without_a_name(capsys: Output) -> None:
    assert run(["enhance", "photo.png", "--format", "jpg"]) == 0
    assert "photo-enhanced.jpg" in capsys.readouterr().out and Path("photo-enhanced.jpg").is_file()


def test_a_page_lies_in_the_folder_that_is_made(folder: Path) -> None:
    assert run(["enhance", "more", "--out", "fresh", "--compare", "fresh/page.html"]) == 0
    assert Path("fresh/page.html").is_file()


def test_show_prints_how_it_was_made(capsys: Output) -> None:
    run(["enhance", "photo.png", "--task", "colorize", "--out", "c.png"])
    capsys.readouterr()
    assert run(["show", "c.png"]) == 0
    assert "model: colorize" in capsys.readouterr().out


def test_rerun_makes_it_again(capsys: Output) -> None:
    run(["enhance", "photo.png", "--out", "c.png"])
    capsys.readouterr()
    assert run(["rerun", "c.png"]) == 0
    assert "identical" in capsys.readouterr().out


def test_a_folder_goes_into_a_folder_and_is_gone_on_with(folder: Path, capsys: Output) -> None:
    assert run(["enhance", "more", "--out", "large", "--compare", "page.html"]) == 0
    assert capsys.readouterr().out == "large  2 enhanced\n"
    assert {path.relative_to(folder / "large").as_posix() for path in Path("large").resolve().rglob("*.png")} == {
        "a.png", "below/b.png",
    }  # fmt: skip
    assert Path("page.html").read_text().count("<figure>") == 2
    (folder / "more/c.png").write_bytes(b"no picture")
    assert run(["enhance", "more", "photo.png", "--out", "large"]) == 1
    out, err = capsys.readouterr()
    assert out == "large  1 enhanced, 2 skipped, 1 failed\n"
    assert err.count("\n") == 1 and "more/c.png was not enhanced" in err
    assert run(["enhance", "more", "--out", "jpegs", "--format", "jpg", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["enhanced"] == 2 and told["items"][0]["out"] == "jpegs/a.jpg" and told["finished"] is True


def test_a_killed_batch_goes_on_where_it_was(
    start: Callable, wait_until: Callable[..., None], folder: Path, shipped: dict[str, Path]
) -> None:
    (folder / "many").mkdir()
    for number in range(12):
        write(folder / f"many/{number:02}.png", Picture(torch.rand(1, 3, 60, 60)))
    command = ["enhance", "many", "--out", "large", "--model", str(shipped["superres-x4"]), "--json"]
    running = start(*command, imports=("impasto.translation.enhance_folder",))
    wait_until(lambda: len(list(Path("large").glob("*.png"))) >= 3, running.err)
    running.kill()
    running.wait()
    whole = {path: path.stat().st_mtime_ns for path in Path("large").glob("*.png")}
    assert all(read(path).width == 240 for path in whole)
    code, out, _ = start(*command).wait()
    told = json.loads(out)
    assert code == 0 and told["skipped"] == len(whole) >= 3 and told["enhanced"] + told["skipped"] == 12
    assert all(path.stat().st_mtime_ns == at for path, at in whole.items())


def test_options_come_from_a_file_and_flags_go_over_it(capsys: Output) -> None:
    Path("how.yaml").write_text("scale: 4\nstrength: 0.5\n")
    assert run(["enhance", "photo.png", "--options", "how.yaml", "--strength", "0.25", "--out", "d.png"]) == 0
    assert parse(read_recipe("d.png"), Path()).options == {"model": "superres-x4", "scale": 4, "strength": 0.25}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "enhance needs a picture"),
        (["missing.png"], "missing.png does not exist"),
        (["photo.png", "--scale", "3"], "no shipped model enlarges 3 times"),
        (["photo.png", "--scale", "0"], "--scale"),
        (["photo.png", "--model", "superres-x4", "--task", "restore"], "not of restore"),
        (["photo.png", "--model", "nothing"], "no model 'nothing'"),
        (["photo.png", "--out", "photo.png"], "one of the pictures that go in"),
        (["photo.png", "--out", "a.txt"], "a.txt"),
        (["photo.png", "--compare", "photo.png", "--out", "w.png"], "photo.png is one of the pictures that go in"),
        (["photo.png", "--invented", "./photo.png", "--out", "w.png"], "photo.png is one of the pictures that go in"),
        (["photo.png", "--invented", "more/../w.png", "--out", "w.png"], "w.png would be written twice"),
        (["photo.png", "--invented", "photo-enhanced.png"], "photo-enhanced.png would be written twice"),
        (["photo.png", "--compare", "w.png", "--out", "w.png"], "w.png would be written twice"),
        (["photo.png", "--compare", "m.png", "--invented", "m.png"], "m.png would be written twice"),
        (["photo.png", "--compare", "page.txt"], "page.txt: what is written there is a page of HTML: name a .html"),
        (["photo.png", "--compare", "nowhere/page.html"], "nowhere"),
        (["more", "--out", "large", "--compare", "more/a.jpg"], "more/a.jpg is one of the pictures that go in"),
        (["more", "--out", "large", "--compare", "large/below/b.png"], "b.png would be written twice"),
        (["more", "--out", "large.html", "--compare", "large.html"], "large.html would be written twice"),
        (["more", "--out", "large", "--compare", "page.png"], "name a .html"),
        (["photo.png", "--out", "nowhere/a.png"], "nowhere"),
        (["photo.png", "--realism", "0.5"], "no realistic companion"),
        (["more"], "--out DIR"),
        (["photo.png", "--format", "gif"], "--format gif cannot be written: take png, jpg"),
        (["photo.png", "--format", "jpg", "--out", "w.png"], "w.png says the format: leave --format out"),
        (["photo.png", "--model", "restore-photo", "--scale", "2"], "restore-photo keeps the size: leave --scale out"),
        (["more", "--out", "photo.png"], "is a file"),
        (["more", "--out", "large", "--invented", "map.png"], "--invented is for one picture"),
        (["more", "--out", "large", "--format", "xyz"], "--format xyz cannot be written"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], words: str, folder: Path, capsys: Output) -> None:
    before = sorted(folder.rglob("*"))
    assert run(["enhance", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


def test_models_are_listed_with_what_they_are_worth(shipped: dict[str, Path], capsys: Output) -> None:
    assert run(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    assert [row["name"] for row in rows] == list(shipped)
    assert rows[0]["scale"] == 2 and rows[0]["figures"] == "psnr 12.35" and rows[0]["licence"] == "none at all"
    assert run(["models"]) == 0
    told = capsys.readouterr().out
    assert "superres-x4" in told and "colorize" in told and "spandrel" in told
    assert run(["models", "superres-x2"]) == 0
    assert "scale: 2" in (card := capsys.readouterr().out) and "about: random" in card and "parameters" in card
    assert run(["models", "superres"]) == 2
    assert "there are superres-x2" in capsys.readouterr().err


def test_the_help_teaches(capsys: Output) -> None:
    assert run(["enhance", "--help"]) == 0
    told = capsys.readouterr().out
    for words in ("--realism", "--self-ensemble", "impasto enhance photos/ --out enhanced/", "--task", "--compare"):
        assert words in told
    assert "--no-" not in told.replace("--no-self", "")
