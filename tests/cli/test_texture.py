"""impasto texture: a picture of any size that looks like another."""

import json
import random
from pathlib import Path

import pytest
from PIL import Image

from impasto.cli.app import run
from impasto.images import read, read_recipe

Output = pytest.CaptureFixture[str]
FAST = ["--steps", "3"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, size in (("bark.png", (64, 48)), ("moss.png", (50, 60))):
        Image.frombytes("RGB", size, random.Random(name).randbytes(3 * size[0] * size[1])).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_texture_lies_beside_the_picture(folder: Path, capsys: Output) -> None:
    for _ in range(2):
        assert run(["texture", "bark.png", "--size", "64x40", *FAST]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith("bark-texture.png  64×40, ") and "% of the way to the style" in out
    assert {path.name for path in folder.iterdir()} == {
        "bark.png",
        "moss.png",
        "bark-texture.png",
        "bark-texture-2.png",
    }
    assert (read("bark-texture.png").width, read("bark-texture.png").height) == (64, 40)


def test_options_come_from_flags_and_a_file(capsys: Output) -> None:
    Path("how.yaml").write_text("size: 64x64\nloss: [meanstd, gram]\nsteps: 2\n")
    flags = ["--options", "how.yaml", "--size", "48x32", "--tileable", "--style-weights", "2", "1", "--out", "a.tif"]
    assert run(["texture", "bark.png", "moss.png", *flags, "--json"]) == 0
    out = capsys.readouterr().out
    facts = json.loads(out)
    assert out.count("\n") == 1 and facts["out"] == "a.tif" and facts["finished"] is True
    recipe = json.loads(read_recipe("a.tif") or "")
    assert recipe["verb"] == "texture" and [one["role"] for one in recipe["inputs"]] == ["style", "style"]
    assert recipe["options"] == {
        "size": "48x32",
        "loss": ["meanstd", "gram"],
        "steps": 2,
        "tileable": True,
        "style_weights": [2.0, 1.0],
    }


def test_a_run_is_kept_and_can_be_shown_and_made_again(capsys: Output) -> None:
    assert run(["texture", "bark.png", "--size", "48x48", *FAST, "--run", "run", "--preview", "now.png"]) == 0
    assert read("now.png").width == 48
    assert run(["rerun", "run"]) == 0 == run(["show", "bark-texture.png"])
