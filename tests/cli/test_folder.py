"""impasto patches, neighbours, embed and activations: what comes out, what is said, and each wrong in one line."""

import json
from pathlib import Path

import pytest
import torch

from impasto.cli.app import run
from impasto.images import Picture, read, read_recipe, write
from impasto.inspection.folder.pictures import find_pictures, folder_input
from impasto.runs.recipe import parse

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six pictures in two folders."""
    chance = torch.Generator().manual_seed(0)
    for number in range(6):
        kind = "red" if number % 2 else "blue"
        (tmp_path / "pets" / kind).mkdir(parents=True, exist_ok=True)
        pixels = 0.3 * torch.rand(1, 3, 40, 48, generator=chance)
        pixels[:, 0 if number % 2 else 2] += 0.6
        write(tmp_path / "pets" / kind / f"{number}.png", Picture(pixels))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def failed(arguments: list[str], capsys: Output) -> str:
    """The one line of a command that is the user's mistake, which leaves nothing behind."""
    before = set(Path().rglob("*"))
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and set(Path().rglob("*")) == before
    lines = [line for line in err.splitlines() if "left out" not in line]
    assert len(lines) == 1, err
    return lines[0]


def test_patches_are_a_sheet_with_a_row_for_each_unit(capsys: Output) -> None:
    assert run(["patches", "pets", "--unit", "relu2_1:0-1", "conv1_1:3", "--size", "48", "--top", "3"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith("pets-patches.png  3 units over 6 pictures")
    assert read("pets-patches.png").height > 3 * 112
    Path("how.yaml").write_text("top: 2\nsize: 48\n")
    assert run(["patches", "pets", "--unit", "relu2_1:5", "--options", "how.yaml", "--out", "a.webp", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    (one,) = facts["units"]
    assert facts["out"] == "a.webp" and one["unit"] == "relu2_1:5" and len(one["patches"]) == 2
    top, left, bottom, right = one["patches"][0]["box"]
    assert bottom - top == right - left > 1
    recipe = parse(read_recipe("a.webp"), Path("a.webp"))
    assert recipe.verb == "patches" and recipe.networks.keys() == {"pocket"}
    assert recipe.options == {"size": 48, "top": 2, "units": ["relu2_1:5"], "network": "pocket"}
    (held,) = recipe.inputs
    assert held.role == "folder" and held.size == sum(path.stat().st_size for path in Path("pets").rglob("*.png"))
    Path("pets/red/1.png").write_bytes(Path("pets/red/3.png").read_bytes())
    assert folder_input(find_pictures("pets")).sha256 != held.sha256
    assert run(["show", "a.webp"]) == 0 and "relu2_1:5" in capsys.readouterr().out


def test_neighbours_of_a_red_picture_are_red(capsys: Output) -> None:
    assert run(["neighbours", "pets/red/1.png", "pets", "--tap", "pixels", "--count", "2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [one["label"] for one in facts["neighbours"]] == ["red", "red"]
    assert "red/1.png" not in [one["picture"] for one in facts["neighbours"]], "its own neighbour"
    assert facts["out"] == "1-neighbours.png" and read("1-neighbours.png").width > 144
    recipe = parse(read_recipe("1-neighbours.png"), Path("1-neighbours.png"))
    assert recipe.verb == "neighbours" and [one.role for one in recipe.inputs] == ["content", "folder"]
    assert recipe.options == {"tap": "pixels", "count": 2, "network": "pocket"}
    how = ["--tap", "relu2_1", "--pool", "flat", "--metric", "euclidean", "--size", "32"]
    assert run(["neighbours", "pets/red/1.png", "pets", *how]) == 0
    assert "the 5 nearest by relu2_1 of pocket; the first is red/" in capsys.readouterr().out


def test_embed_writes_one_page_that_names_no_host(capsys: Output) -> None:
    assert run(["embed", "pets", "--tap", "pixels", "--methods", "pca", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    page = Path("pets-scatter.html").read_text(encoding="utf-8")
    assert facts["pictures"] == 6 and facts["embeddings"][0]["agreement"] == 1
    assert "http://" not in page and "https://" not in page and "red/1.png" in page


def test_activations_writes_one_page_with_every_layer(capsys: Output) -> None:
    assert run(["activations", "pets/red/1.png", "--size", "48"]) == 0
    assert capsys.readouterr().out.startswith("1-activations.html  ")
    page = Path("1-activations.html").read_text(encoding="utf-8")
    assert "relu3_1" in page and "https://" not in page


def test_what_is_wrong_is_said_in_one_line(capsys: Output) -> None:
    Path("empty").mkdir()
    Path("bad.png").write_text("no picture")
    assert "has no tap 'relu9_9': it has" in failed(["patches", "pets", "--unit", "relu9_9:1"], capsys)
    assert "they are 0 to 31" in failed(["patches", "pets", "--unit", "relu2_1:99"], capsys)
    assert "holds no pictures" in failed(["patches", "empty", "--unit", "relu2_1:0"], capsys)
    assert "is no classifier" in failed(["patches", "pets", "--unit", "class:goldfish"], capsys)
    assert "does not exist" in failed(["embed", "nowhere"], capsys)
    assert "end it in .html" in failed(["embed", "pets", "--out", "page.png"], capsys)
    assert "bad.png" in failed(["neighbours", "bad.png", "pets"], capsys)
    assert "bad.png" in failed(["activations", "bad.png"], capsys)
    assert "has no tap 'features.99'" in failed(["activations", "pets/red/1.png", "--taps", "features.99"], capsys)
    assert "methods" in failed(["embed", "pets", "--methods", "magic"], capsys)


def test_an_unreadable_picture_is_left_out_with_a_warning(capsys: Output) -> None:
    Path("pets/blue/broken.jpg").write_bytes(b"\xff\xd8 cut")
    assert run(["patches", "pets", "--unit", "relu1_1:0", "--size", "32", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["left_out"] == ["blue/broken.jpg"] and json.loads(out)["pictures"] == 6
    assert len(err.splitlines()) == 1 and "broken.jpg" in json.loads(err)["warning"]
