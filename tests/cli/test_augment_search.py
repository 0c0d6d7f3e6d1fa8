"""impasto augment-search, from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.cli.app import run

Output = pytest.CaptureFixture[str]
FLAGS = ["--network", "pocket", "--size", "32", "--epochs", "4", "--repeats", "1", "--copies", "2"]


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that are light above, and pictures that are light below."""
    folder = tmp_path_factory.mktemp("augment-search")
    for number in range(36):
        part = "train" if number < 30 else "test"
        path = folder / part / ("above" if number % 2 else "below") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 90, (36, 36, 3))
        half = slice(None, 18) if number % 2 else slice(18, None)
        pixels[half] += 120
        Image.fromarray(pixels.astype("u1")).save(path)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_FEATURES", str(pets.parent / "features"))
    monkeypatch.setenv("COLUMNS", "160")


def test_every_augmentation_is_a_line_and_the_plot_is_drawn(pets: Path, capsys: Output) -> None:
    assert run(["augment-search", str(pets), *FLAGS, "--try", "flip", "brightness:0.1", "--out", "plot.png"]) == 0
    head, plain, *rows, last = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["augmentation", "log", "loss"] and plain.startswith("none ")
    assert {row.split()[0] for row in rows[:2]} == {"flip:0.5", "brightness:0.1"}
    assert last.startswith("30 pictures, ") and " steps each: " in last, "those of the test split are left out"
    with Image.open("plot.png") as picture:
        picture.load()


def test_the_same_for_a_machine(pets: Path, capsys: Output) -> None:
    assert run(["augment-search", str(pets), *FLAGS, "--sample", "20", "--try", "flip", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["pictures"] == 20 and facts["steps"] == 4
    assert [one["augmentations"] for one in facts["trials"]][:2] == [[], ["flip:0.5"]]
    assert set(facts["trials"][1]["gain"]) == {"value", "low", "high"}
    assert facts["best"] is None or facts["best"]["augmentations"] == ["flip:0.5"]


def test_what_is_wrong_is_one_line(pets: Path, capsys: Output) -> None:
    for arguments, words in (
        (["nowhere"], "nowhere"),
        ([str(pets), "--try", "flop"], "no augmentation 'flop'"),
        ([str(pets), "--try", "rotate:much"], "rotate:much"),
        ([str(pets), "--copies", "1", "--try", "flip"], "2 copies of each picture at least"),
        ([str(pets), "--epochs", "0", "--try", "flip"], "epochs"),
        ([str(pets), "--repeats", "0", "--try", "flip"], "repeats"),
        ([str(pets), "--sample", "2", "--try", "flip"], ""),
        ([str(pets), "--sample", "-3", "--try", "flip"], "sample"),
        ([str(pets), "--tap", "relu9_1"], "relu9_1"),
        ([str(pets), "--out", "missing/plot.png"], "missing"),
        ([str(pets / "train" / "above")], ""),
    ):
        assert run(["augment-search", *arguments, "--network", "pocket", "--size", "32"]) in (1, 2), arguments
        out, err = capsys.readouterr()
        assert out == "" and words in err and err.count("\n") == 1 and "unexpected" not in err, (arguments, err)
