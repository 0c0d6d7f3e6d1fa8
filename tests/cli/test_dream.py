"""impasto dream: the dream beside its picture, and one line for what is asked wrongly."""

import json
import random
from pathlib import Path

import pytest
from PIL import Image

from impasto.cli.app import run
from impasto.images import read, read_recipe

Output = pytest.CaptureFixture[str]
QUICK = ["--octaves", "1", "--steps", "2"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Image.frombytes("RGB", (64, 48), random.Random(1).randbytes(3 * 64 * 48)).save(tmp_path / "photo.png")
    (tmp_path / "text.png").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_dream_lies_beside_the_picture(folder: Path, capsys: Output) -> None:
    assert run(["dream", "photo.png", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith("photo-dream.png  64×48, ") and out.rstrip().endswith("layer(relu2_2)")
    (folder / "inner").mkdir()
    (folder / "photo.png").rename(folder / "inner" / "other.png")
    for _ in range(2):
        assert run(["dream", "inner/other.png", "--unit", "relu1_1:3", *QUICK]) == 0
    names = {str(path.relative_to(folder)) for path in folder.rglob("*.png")}
    assert names == {
        "photo-dream.png", "text.png", "inner/other.png", "inner/other-dream.png", "inner/other-dream-2.png",
    }  # fmt: skip


def test_options_come_from_flags_and_a_file(capsys: Output) -> None:
    Path("how.yaml").write_text("octaves: 1\nsteps: 9\nsize: 48\nguide: photo.png\n")
    assert run(["dream", "photo.png", "--options", "how.yaml", "--steps", "2", "--out", "a.webp", "--json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert err == "" and facts["out"] == "a.webp" and facts["finished"] is True
    assert facts["objective"] == "like(relu2_2)" and len(facts["values"]) == 1
    assert facts["values"][0][1] > facts["values"][0][0]
    assert (read("a.webp").height, read("a.webp").width) == (36, 48)
    recipe = json.loads(read_recipe("a.webp") or "")
    assert recipe["verb"] == "dream" and recipe["options"]["steps"] == 2


def test_a_gray_picture_is_dreamt_of(capsys: Output) -> None:
    Image.effect_noise((64, 48), 60).save("gray.png")
    assert run(["dream", "gray.png", "--unit", "relu1_1:3", *QUICK]) == 0
    assert read("gray-dream.png").width == 64


WRONG: dict[str, tuple[list[str], list[str]]] = {
    "nothing": ([], ["IMAGE"]),
    "missing": (["no.png"], ["no.png", "does not exist"]),
    "unreadable": (["text.png"], ["text.png"]),
    "folder": (["."], ["folder"]),
    "no tap": (["photo.png", "--unit", "layer(relu9_1)"], ["pocket has no tap 'relu9_1'", "relu1_1"]),
    "out of range": (["photo.png", "--unit", "relu1_1:16"], ["they are 0 to 15"]),
    "several units": (["photo.png", "--unit", "relu1_1:0-3"], ["'relu1_1:0-3' is 4 units"]),
    "a whole layer": (["photo.png", "--unit", "relu1_1"], ["is 16 units", "layer(relu1_1)"]),
    "no classes": (["photo.png", "--unit", "class:goldfish"], ["pocket is no classifier"]),
    "network": (["photo.png", "--network", "pockett"], ["pockett"]),
    "missing guide": (["photo.png", "--guide", "no.png"], ["no.png", "does not exist"]),
    "unreadable guide": (["photo.png", "--guide", "text.png"], ["text.png"]),
    "guided at a unit": (
        ["photo.png", "--guide", "photo.png", "--unit", "relu1_1:3"],
        ["--guide", "--unit features.7"],
    ),
    "over itself": (["photo.png", "--out", "photo.png"], ["photo.png", "go in"]),
    "over its guide": (["photo.png", "--guide", "text.png", "--out", "text.png"], ["text.png", "go in"]),
    "format": (["photo.png", "--out", "a.docx"], ["a.docx"]),
    "size": (["photo.png", "--size", "16"], ["--size", "32"]),
    "octaves": (["photo.png", "--octaves", "0"], ["--octaves"]),
    "scale": (["photo.png", "--octave-scale", "1"], ["--octave-scale"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_asked_wrongly_is_told_in_one_line(name: str, folder: Path, capsys: Output) -> None:
    arguments, parts = WRONG[name]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert run(["dream", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("impasto: ")
    assert all(part in err for part in parts), err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert run(["dream", *arguments, "--json"]) == 2
    assert set(json.loads(capsys.readouterr().err)) == {"error"}


def test_a_picture_too_small_for_the_layer_is_told(capsys: Output) -> None:
    Image.new("RGB", (40, 4)).save("thin.png")
    assert run(["dream", "thin.png", "--unit", "layer(relu4_1)", *QUICK]) == 2
    assert "too small for pocket to relu4_1" in capsys.readouterr().err


def test_ctrl_c_ends_with_the_picture_so_far(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    from impasto.runs.bar import Silence

    def part(self: Silence, done: float, words: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Silence, "part", part)
    assert run(["dream", "photo.png", *QUICK, "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["finished"] is False and "interrupted" in json.loads(err)["error"]
    assert (read("photo-dream.png").pixels - read("photo.png").pixels).abs().max() > 0


def test_help_shows_examples(capsys: Output) -> None:
    assert run(["dream", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "impasto dream clouds.jpg" in said and "--guide" in said and "--octaves" in said
