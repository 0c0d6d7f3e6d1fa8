"""impasto data features: bytes first, then the work, once."""

import json
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App
from PIL import Image

from impasto.cli import features as command
from impasto.errors import UsageError

Output = pytest.CaptureFixture[str]


@pytest.fixture
def app() -> App:
    """The command alone, whatever it stands under."""
    app = App(result_action="return_value")
    app.command(command.features)
    return app


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMPASTO_FEATURES", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for number in range(6):
        place = tmp_path / "pictures" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(place / f"{number}.png")
    return tmp_path / "pictures"


def words(folder: Path, *more: str) -> list[str]:
    return ["features", str(folder), "--network", "pocket", "--taps", "relu2_1", "--size", "24", *more]


def test_bytes_are_said_before_the_work_and_nothing_the_second_time(folder: Path, app: App, capsys: Output) -> None:
    app(words(folder), exit_on_error=False)
    first = capsys.readouterr().out.splitlines()
    assert first[0].endswith(f"0.8 kB to write in {folder.parent / 'cache'}")
    assert first[1] == "6 pictures, 1 copy of each: relu2_1 64"
    app(words(folder), exit_on_error=False)
    assert capsys.readouterr().out.splitlines() == ["6 pictures, 1 copy of each: relu2_1 64; all was there"]


def test_a_cache_that_is_a_file_is_refused(folder: Path, app: App) -> None:
    (folder.parent / "file").touch()
    with pytest.raises(UsageError, match="file is a file, and features are kept in a folder"):
        app(words(folder, "--cache", str(folder.parent / "file")), exit_on_error=False)


def test_a_machine_gets_one_object(folder: Path, app: App, capsys: Output) -> None:
    app(words(folder, "--copies", "3", "--augment", "flip", "rotate:5", "--json"), exit_on_error=False)
    facts = json.loads(capsys.readouterr().out)
    assert facts["bytes_written"] == 6 * 3 * 64 * 2
    assert facts["shapes"] == {"relu2_1": [64]}
    assert facts["cache"] == str(folder.parent / "cache")


def test_much_needs_a_yes(folder: Path, app: App, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ASKED_FROM", 100)
    with pytest.raises(UsageError, match="--yes"):
        app(words(folder), exit_on_error=False)
    assert not (folder.parent / "cache").exists()
    app(words(folder, "--yes"), exit_on_error=False)
    assert "6 pictures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--augment", "flop"], "flip"),
        (["--copies", "3"], "augmentations"),
    ],
)
def test_a_wrong_wish_is_said_in_a_line(folder: Path, app: App, more: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        app(words(folder, *more), exit_on_error=False)


def test_a_size_of_nothing_is_said_in_a_line(folder: Path, app: App) -> None:
    with pytest.raises(UsageError, match="0 pixels"):
        app(["features", str(folder), "--network", "pocket", "--size", "0"], exit_on_error=False)
