"""impasto show and impasto rerun: the recipe inside a picture, told and followed."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from PIL import Image

from impasto.cli.app import run
from impasto.images import read, read_recipe, write

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> Path:
    """A folder with photo.png, painting.png, and out.png made of them."""
    for name, size in (("photo.png", (96, 72)), ("painting.png", (80, 80))):
        Image.frombytes("RGB", size, random.Random(name).randbytes(3 * size[0] * size[1])).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    flags = ["--size", "64", "--quality", "draft", "--out", "out.png"]
    assert run(["stylize", "photo.png", "painting.png", *flags]) == 0
    capsys.readouterr()
    return tmp_path


def said(capsys: Output) -> str:
    out, err = capsys.readouterr()
    assert err == "" and out.endswith("\n")
    return out


def complaint(capsys: Output) -> str:
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("impasto: ")
    assert "unexpected" not in err
    return err


def forge(**changes: object) -> None:
    """Change the recipe in out.png."""
    recipe = json.loads(read_recipe("out.png") or "") | changes
    write("out.png", replace(read("out.png"), recipe=json.dumps(recipe)))


# Show


def test_show_prints_the_recipe_as_yaml(folder: Path, capsys: Output) -> None:
    assert run(["show", "out.png"]) == 0
    recipe = yaml.safe_load(said(capsys))
    assert recipe["verb"] == "stylize" and recipe["finished"] is True
    assert recipe["options"] == {"size": 64, "quality": "draft"}
    assert [Path(one["path"]).name for one in recipe["inputs"]] == ["photo.png", "painting.png"]
    assert len(recipe["networks"]["pocket"]) == 64 and recipe["made_with"]["torch"]


def test_show_prints_the_same_as_json(capsys: Output) -> None:
    run(["show", "out.png"])
    expected = yaml.safe_load(said(capsys))
    assert run(["show", "out.png", "--json"]) == 0
    out = said(capsys)
    assert out.count("\n") == 1 and json.loads(out) == expected


@pytest.mark.parametrize("command", ["show", "rerun"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [("photo.png", "no recipe"), ("none.png", "does not exist"), ("album", "album"), ("text.png", "")],
)
def test_what_has_no_recipe_is_refused(command: str, name: str, reason: str, capsys: Output) -> None:
    Path("text.png").write_text("no picture")
    Path("album").mkdir()
    assert run([command, name]) == 2
    line = complaint(capsys)
    assert name in line and reason in line


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"verb": 3}', '{"verb": "stylize", "more": 1}'])
def test_a_recipe_that_is_none_of_ours_is_refused(text: str, capsys: Output) -> None:
    write("out.png", replace(read("out.png"), recipe=text))
    for command in ("show", "rerun"):
        assert run([command, "out.png"]) == 2
        complaint(capsys)


# Rerun


def test_rerun_makes_the_same_picture_and_writes_nothing(folder: Path, capsys: Output) -> None:
    before = sorted(folder.iterdir())
    assert run(["rerun", "out.png"]) == 0
    assert said(capsys).strip() == "out.png: identical to the picture it was made from"
    assert sorted(folder.iterdir()) == before


def test_rerun_tells_a_machine_as_json(capsys: Output) -> None:
    assert run(["rerun", "out.png", "--json"]) == 0
    facts = json.loads(said(capsys))
    assert facts["identical"] is True and facts["largest"] == 0 and facts["reasons"] == []


def test_rerun_writes_the_picture_where_told(capsys: Output) -> None:
    assert run(["rerun", "out.png", "--out", "again.png"]) == 0
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
def test_a_picture_in_another_format_is_compared_in_it(suffix: str, capsys: Output) -> None:
    out = f"other{suffix}"
    run(["stylize", "photo.png", "painting.png", "--size", "64", "--quality", "draft", "--out", out])
    capsys.readouterr()
    assert run(["rerun", out]) == 0, said(capsys)


@pytest.mark.parametrize(
    "flags",
    [
        ["--init", "noise", "--seed", "5"],
        ["--init", "painting.png"],
        ["--color", "keep", "--loss", "wasserstein", "--optimizer", "adam"],
        ["--color", "match", "--stroke", "0.5", "--strength", "1", "--smoothness", "0.1"],
    ],
    ids=" ".join,
)
def test_every_way_to_paint_can_be_done_again(flags: list[str], capsys: Output) -> None:
    made = ["stylize", "photo.png", "painting.png", "--size", "48", "--quality", "draft", *flags]
    assert run([*made, "--out", "other.png"]) == 0
    capsys.readouterr()
    assert run(["rerun", "other.png"]) == 0, said(capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ["stylize", "photo.png", "painting.png", "--size", "48", "--tile", "32", "--average", "0.5", "--steps", "4"],
        ["stylize", "photo.png", "painting.png", "third.png", "--masks", "mask.png", "photo.png", "--steps", "3"],
        ["stylize", "photo.png", "painting.png", "--style-masks", "painting.png", "--loss", "mrf", "sliced"],
        ["texture", "painting.png", "--size", "48x40", "--tileable", "--loss", "wasserstein", "--seed", "4"],
        ["texture", "painting.png", "third.png", "--size", "50x33", "--style-weights", "1", "2", "--init", "median"],
        ["invert", "photo.png", "--size", "48", "--taps", "pixels", "relu2_1", "--init", "noise"],
    ],
    ids=" ".join,
)
def test_every_verb_can_be_done_again(arguments: list[str], capsys: Output) -> None:
    Image.frombytes("RGB", (60, 50), random.Random(3).randbytes(9000)).save("third.png")
    Image.frombytes("L", (96, 72), random.Random(4).randbytes(96 * 72)).save("mask.png")
    steps = [] if "--steps" in arguments else ["--steps", "3"]
    assert run([*arguments, *steps, "--out", "other.png"]) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert run(["rerun", "other.png"]) == 0, said(capsys)


def test_a_picture_that_was_changed_differs(capsys: Output) -> None:
    picture = read("out.png")
    picture.pixels[0, :, 5, 7] = 1 - picture.pixels[0, :, 5, 7]
    write("out.png", picture)
    assert run(["rerun", "out.png", "--json"]) == 1
    facts = json.loads(said(capsys))
    assert facts["identical"] is False and 0 < facts["largest"] <= 255 and facts["levels"] == 255
    assert run(["rerun", "out.png"]) == 1
    assert f"differs by {facts['largest']} of 255" in said(capsys)


def test_what_is_not_as_it_was_is_said(capsys: Output) -> None:
    recipe = json.loads(read_recipe("out.png") or "")
    picture = read("out.png")
    picture.pixels[0, 0, 0, 0] = 1 - picture.pixels[0, 0, 0, 0]
    write("out.png", picture)
    forge(made_with=recipe["made_with"] | {"torch": "1.0"}, networks={"pocket": "0" * 64})
    assert run(["rerun", "out.png"]) == 1
    line = said(capsys)
    assert "torch was 1.0" in line and "other weights of pocket" in line


def test_a_picture_that_was_resized_cannot_be_compared(capsys: Output) -> None:
    picture = read("out.png")
    write("out.png", replace(picture, pixels=picture.pixels[..., :-1]))
    assert run(["rerun", "out.png"]) == 2
    assert "resized" in complaint(capsys)


def test_inputs_that_moved_are_found_where_told(folder: Path, capsys: Output) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    Path("photo.png").rename("a/b/renamed.png")
    Path("painting.png").rename("a/painting.png")
    assert run(["rerun", "out.png"]) == 2
    line = complaint(capsys)
    assert "photo.png" in line and "painting.png" in line and "--search" in line
    assert run(["rerun", "out.png", "--search", "a"]) == 0
    assert "identical" in said(capsys)
    (folder / "c").mkdir()
    Path("a/painting.png").rename("c/painting.png")
    assert run(["rerun", "out.png", "--search", "c", "--search", "a/b"]) == 0


def test_an_input_that_changed_is_not_used(capsys: Output) -> None:
    Path("photo.png").write_bytes(Path("painting.png").read_bytes())
    assert run(["rerun", "out.png"]) == 2
    line = complaint(capsys)
    assert "photo.png" in line and "painting.png" not in line


def test_a_folder_to_search_that_is_none_is_refused(capsys: Output) -> None:
    assert run(["rerun", "out.png", "--search", "nowhere"]) == 2
    assert "nowhere" in complaint(capsys)


def test_an_interrupted_picture_cannot_be_made_again(capsys: Output) -> None:
    forge(finished=False)
    assert run(["rerun", "out.png"]) == 2
    assert "interrupted" in complaint(capsys)


def test_a_picture_made_in_memory_cannot_be_made_again(capsys: Output) -> None:
    forge(inputs=[])
    assert run(["rerun", "out.png"]) == 2
    assert "in memory" in complaint(capsys)


@pytest.mark.parametrize(
    "options",
    [
        {"preview": "planted.png"},
        {"progress": 1},
        {"options": {}},
        {"no_such": 1},
        {"strength": 7},
        {"device": "tpu"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_strangers_recipe_can_only_set_options(folder: Path, options: dict[str, object], capsys: Output) -> None:
    """A recipe comes with a picture from anywhere: it may not write files, nor end in a traceback."""
    forge(options={"size": 64, "quality": "draft"} | options)
    before = sorted(folder.iterdir())
    assert run(["rerun", "out.png"]) == 2
    complaint(capsys)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("out", ["no/again.png", "photo.png/again.png", "album.png"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    out: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    from impasto.synthesis import rerun as craft

    Path("album.png").mkdir()
    monkeypatch.setattr(craft, "rerun", lambda *arguments, **settings: pytest.fail("it went to work"))
    assert run(["rerun", "out.png", "--out", out]) == 2
    assert out.split("/")[0] in complaint(capsys)
