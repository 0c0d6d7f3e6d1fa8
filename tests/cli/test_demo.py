"""impasto demo: offline, two pictures, nothing asked."""

import json
from pathlib import Path

import pytest

from impasto.cli.app import run
from impasto.cli.demo import sample_painting, sample_photograph
from impasto.images import read, read_recipe

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    return tmp_path


def test_the_demo_writes_the_picture_and_a_sheet(folder: Path, capsys: Output) -> None:
    assert run(["demo", "--size", "128", "--out", "a/b", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    result, sheet = Path(facts["result"]), Path(facts["sheet"])
    assert {path.name for path in Path("a/b").iterdir()} == {result.name, sheet.name}
    assert max(read(result).width, read(result).height) == 128
    assert read(sheet).height >= 400 and read(sheet).width > 3 * 300
    assert read_recipe(result) and not (folder / "home").exists(), "nothing was downloaded"
    assert run(["rerun", str(result)]) == 0


def test_another_photograph_and_painting_can_be_chosen(capsys: Output) -> None:
    flags = ["--photograph", "rocket", "--painting", "woodcut", "--size", "64"]
    assert run(["demo", *flags]) == 0
    out, err = capsys.readouterr()
    assert {path.name for path in Path("impasto-demo").iterdir()} == {
        "rocket-woodcut.png",
        "rocket-woodcut-sheet.png",
    }
    assert "impasto stylize" in out and err == ""


def test_every_sample_is_a_picture() -> None:
    from typing import get_args

    from impasto.cli.demo import Painting, Photograph

    for path in [*map(sample_photograph, get_args(Photograph)), *map(sample_painting, get_args(Painting))]:
        assert min(read(path).height, read(path).width) >= 256


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--size", "8"], 2, "size"),
        (["--size", "many"], 2, "size"),
        (["--painting", "monet"], 2, "monet"),
        (["--photograph", "dog"], 2, "dog"),
        (["--out", "plain"], 1, "plain"),
        (["--out", "plain/demo"], 1, "plain"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_left(
    folder: Path, flags: list[str], code: int, said: str, capsys: Output
) -> None:
    (folder / "plain").write_text("a file")
    assert run(["demo", *flags]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err and "unexpected" not in err
    assert [path.name for path in folder.iterdir()] == ["plain"]
