"""impasto submit and impasto report, on a run that was really trained."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.cli.app import run

Output = pytest.CaptureFixture[str]


def picture(path: Path, dark: bool, number: int) -> None:
    rng = np.random.default_rng([dark, number])
    pixels = rng.integers(0, 90, (24, 24, 3)) + (40 if dark else 110)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype("u1")).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, and test/ with four pictures."""
    folder = tmp_path_factory.mktemp("contest")
    for dark in (True, False):
        for number in range(40):
            picture(folder / "train" / ("dark" if dark else "light") / f"{number}.png", dark, number)
        for number in range(2):
            picture(folder / "test" / f"{10 * (number + 1) + dark}.png", dark, 100 + number)
    from impasto.learning.classify import classify

    how = {"network": "pocket", "size": 32, "stages": ("head:25",), "valid": 0.4, "device": "cpu", "augment": ()}
    classify(folder / "train", run=folder / "run", **how)
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("IMPASTO_FEATURES", str(folder / "features"))


def test_a_submission_is_written_and_what_calibration_is_worth_is_shown(folder: Path, capsys: Output) -> None:
    assert run(["submit", "run", "test", "--out", "s.csv"]) == 0
    said = capsys.readouterr().out
    for words in ("as it is", "temperature and clip", "naive, dogs 0.95", "fitted on some and scored on the others"):
        assert words in said
    rows = list(csv.reader((folder / "s.csv").open()))
    assert rows[0] == ["id", "label"] and [row[0] for row in rows[1:]] == ["10", "11", "20", "21"]
    light = [float(row[1]) for row in rows[1:]]
    assert min(light[0], light[2]) > 0.5 > max(light[1], light[3])


def test_the_same_as_json(capsys: Output) -> None:
    assert run(["submit", "run", "run", "test", "--out", "two.csv", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"] == 4 and facts["temperature"] > 0
    assert set(facts["log_losses"]) > {"as it is", "temperature", "clip"}


def test_the_naive_clip_and_other_columns(folder: Path, capsys: Output) -> None:
    flags = ["--clip", "0.9", "--id-from", "name", "--columns", "img,dark,light", "--out", "n.csv"]
    assert run(["submit", "run", "test", *flags]) == 0
    rows = list(csv.reader((folder / "n.csv").open()))
    assert rows[0] == ["img", "dark", "light"] and rows[1][0] == "10.png"
    assert all(0.0999 < float(cell) < 0.9001 for row in rows[1:] for cell in row[1:])


def test_what_cannot_be_is_one_line(folder: Path, capsys: Output) -> None:
    (folder / "empty").mkdir(exist_ok=True)
    for arguments, words in (
        (["run", "empty"], "empty"),
        (["run", "nowhere"], "nowhere"),
        (["test", "test"], "no run in"),
        (["run", "test", "--out", "missing/s.csv"], "missing"),
    ):
        assert run(["submit", *arguments]) != 0
        said = capsys.readouterr().err.strip()
        assert words in said and len(said.splitlines()) == 1, said


def test_an_unfinished_run_is_refused(folder: Path, tmp_path: Path, capsys: Output) -> None:
    import shutil

    shutil.copytree(folder / "run", tmp_path / "run")
    noted = tmp_path / "run" / "manifest.json"
    noted.write_text(re.sub('"status": "finished"', '"status": "interrupted"', noted.read_text()))
    assert run(["submit", str(tmp_path / "run"), "test"]) == 2
    assert "is not finished" in capsys.readouterr().err
