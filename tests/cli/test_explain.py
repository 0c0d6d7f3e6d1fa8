"""impasto explain, from the command line."""

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
def test_a_sheet_lies_beside_the_picture(shared: Path, folder: Path, capsys: Output) -> None:
    weights = str(shared / "weights/squeezenet1_0.safetensors")
    how = ["--weights", weights, "--size", "64", "--method", "saliency", "grad-cam"]
    assert run(["explain", "photo.png", *how, "--class", "tabby"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "photo-explained.png  why tabby" in out and "grad-cam" in out and "a random order" in out
    assert run(["explain", "photo.png", *how, "--no-sanity", "--json", "--out", "b.webp"]) == 0
    facts = json.loads(capsys.readouterr().out)
    recipe = parse(read_recipe("b.webp"), Path("b.webp"))
    assert recipe.verb == "explain" and recipe.options["method"] == ["saliency", "grad-cam"]
    assert recipe.options["class_"] == facts["class"]["name"] and recipe.networks.keys() == {"squeezenet1_0"}
    assert [one.role for one in recipe.inputs] == ["weights", "content"]
    assert facts["out"] == "b.webp" and list(facts["methods"]) == ["saliency", "grad-cam"]
    Path("how.yaml").write_text("class: goldfish\nsanity: false\n")
    assert run(["explain", "photo.png", *how, "--options", "how.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["class"]["name"] == "goldfish"
    assert {path.name for path in folder.iterdir()} == {
        "photo.png", "photo-explained.png", "photo-explained-2.png", "b.webp", "how.yaml",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photo.png", "--network", "pocket"], "pocket is no classifier"),
        (["photo.png", "--network", "pockets"], "no network 'pockets'"),
        (["photo.png", "--method", "guess"], "guess"),
        (["missing.png"], "missing.png does not exist"),
        (["photo.png", "--out", "a.txt"], "a.txt"),
        (["photo.png", "--size", "3"], "--size"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], words: str, folder: Path, capsys: Output) -> None:
    assert run(["explain", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1
    assert {path.name for path in folder.iterdir()} == {"photo.png"}


def test_the_help_teaches(capsys: Output) -> None:
    assert run(["explain", "--help"]) == 0
    told = capsys.readouterr().out
    assert "--class" in told and "--no-sanity" in told and "impasto explain cat.jpg" in told and "--class-" not in told
