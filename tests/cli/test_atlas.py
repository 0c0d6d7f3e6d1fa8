"""impasto atlas: a site from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App
from PIL import Image

from impasto.cli import atlas as command
from impasto.errors import UsageError

Output = pytest.CaptureFixture[str]


@pytest.fixture
def app() -> App:
    app = App(result_action="return_value")
    app.command(command.atlas)
    return app


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A command line that builds a small atlas."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    chance = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(chance.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    small = [
        "--taps",
        "relu1_1",
        "--size",
        "16",
        "--steps",
        "1",
        "--diversity",
        "0",
        "--scan-size",
        "40",
        "--layout",
        "pca",
        "--workers",
        "1",
    ]
    return ["atlas", "--images", str(folder), "--out", str(tmp_path / "site"), *small]


def test_it_says_where_the_site_is_and_that_nothing_is_left_to_do(
    app: App, words: list[str], tmp_path: Path, capsys: Output
) -> None:
    assert app(words, exit_on_error=False) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path / 'site' / 'index.html'}  16 units of 1 layers, ")
    assert (tmp_path / "site" / "index.html").is_file()
    app(words, exit_on_error=False)
    assert "all was there" in capsys.readouterr().out


def test_a_machine_gets_one_object(app: App, words: list[str], capsys: Output) -> None:
    app([*words, "--json"], exit_on_error=False)
    facts = json.loads(capsys.readouterr().out)
    assert facts["units"] == 16
    assert facts["made"] > 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--taps", "relu9_9"], "pocket has no tap 'relu9_9'"),
        (["--compare", "nonesuch"], "no network 'nonesuch'"),
        (["--compare", "pocket"], "pocket is the same network: nothing to compare"),
        (["--network", "nonesuch"], "no network 'nonesuch'"),
        (["--activation-atlases", "relu4_1"], "the atlas has no layer 'relu4_1'"),
    ],
)
def test_a_wrong_wish_is_said_in_a_line(app: App, words: list[str], more: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        app([*words, *more], exit_on_error=False)


def test_a_folder_of_something_else_is_left_alone(app: App, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="holds other things and no atlas"):
        app(words, exit_on_error=False)


def test_the_help_teaches(app: App, capsys: Output) -> None:
    app(["atlas", "--help"], exit_on_error=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "goes on where it was" in said
    assert "--compare" in said
