"""impasto data sample-size, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.cli.app import run

Output = pytest.CaptureFixture[str]
FLAGS = ["--network", "pocket", "--size", "32", "--repeats", "2"]


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample-size")
    for number in range(60):
        path = folder / ("dark" if number % 2 else "light") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 170, (36, 36, 3)) + (20 if number % 2 else 70)
        Image.fromarray(pixels.astype("u1")).save(path)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_FEATURES", str(pets.parent / "features"))
    monkeypatch.setenv("COLUMNS", "160")


def strict(text: str) -> dict[str, object]:
    """JSON as others read it, without NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found: dict[str, object] = json.loads(text, parse_constant=refuse)
    return found


def test_every_size_is_a_line_and_the_plot_is_drawn(pets: Path, capsys: Output) -> None:
    assert run(["data", "sample-size", str(pets), *FLAGS, "--out", "plot.png"]) == 0
    out, err = capsys.readouterr()
    head, *rows, last = out.splitlines()
    assert head.split("  ")[0] == "pictures" and "linear on pixels" in head
    assert [row.split()[0] for row in rows] == ["16", "26", "42"]
    assert last.startswith(("from ", "no sample says what all 42 training pictures say, within 0.03"))
    with Image.open("plot.png") as picture:
        picture.load()
    assert "Warning" not in err


def test_the_same_for_a_machine(pets: Path, capsys: Output) -> None:
    flags = [*FLAGS, "--tolerance", "0.5", "--test", "0.5", "--tap", "relu2_1", "--json"]
    assert run(["data", "sample-size", str(pets), *flags]) == 0
    facts = strict(capsys.readouterr().out)
    assert facts["smallest"] == 16
    sizes = facts["sizes"]
    assert isinstance(sizes, list) and [at["n"] for at in sizes] == [16, 30]
    assert set(sizes[0]) == {"n", "accuracy", "agreement", "stable"}
    assert all(at["agreement"] is None or 0 <= at["agreement"] <= 1 for at in sizes)
    assert set(sizes[0]["accuracy"]["linear"]) == {"value", "low", "high"}


def test_what_is_wrong_is_one_line(pets: Path, tmp_path: Path, make_few: Callable[[], Path], capsys: Output) -> None:
    for arguments, words in (
        (["nowhere"], "nowhere"),
        ([str(make_few())], "too few"),
        ([str(pets), "--tap", "relu9_1"], "relu9_1"),
        ([str(pets), "--network", "pokcet"], "pokcet"),
        ([str(pets), "--size", "2"], "2×2"),
        ([str(pets), "--repeats", "0"], "repeats"),
        ([str(pets), "--tolerance", "-1"], "tolerance"),
        ([str(pets), "--test", "1.5"], ""),
        ([str(pets), "--out", "missing/plot.png"], "missing"),
    ):
        flags = [] if "--network" in arguments else FLAGS[:2] if "--size" in arguments else FLAGS[:4]
        assert run(["data", "sample-size", *arguments, *flags]) in (1, 2), arguments
        out, err = capsys.readouterr()
        assert out == "" and words in err and err.count("\n") == 1 and "unexpected" not in err, (arguments, err)


@pytest.fixture
def make_few(pets: Path, tmp_path: Path) -> Callable[[], Path]:
    def make() -> Path:
        for label in ("dark", "light"):
            (tmp_path / "few" / label).mkdir(parents=True)
            for path in sorted((pets / label).iterdir())[:5]:
                (tmp_path / "few" / label / path.name).write_bytes(path.read_bytes())
        return tmp_path / "few"

    return make
