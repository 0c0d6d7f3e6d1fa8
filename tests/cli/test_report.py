"""impasto report: the page of a run, from the command line."""

import json
import webbrowser
from pathlib import Path

import numpy as np
import pytest

from impasto.cli.app import run
from impasto.learning.predictions import Predictions
from impasto.runs.directory import RunDirectory

Output = pytest.CaptureFixture[str]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    logs = np.log(np.random.default_rng(0).dirichlet((1, 1), 40)).astype("f4")
    found = RunDirectory.create(tmp_path / "run", verb="train", options={}, manifest={})
    paths = tuple(f"/gone/{i}.jpg" for i in range(40))
    one = Predictions(("a", "b"), logs, paths, np.arange(40) % 2, (None,) * 40, ("test",) * 40)
    one.save(found.path / "predictions.parquet")
    found.finish("predictions.parquet")
    return found.path


def test_the_page_is_made_and_named(made: Path, capsys: Output) -> None:
    assert run(["report", str(made), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    page = made / "report" / "index.html"
    assert facts == {"page": str(page), "bytes": page.stat().st_size}


def test_the_browser_is_opened_only_when_asked(made: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert run(["report", str(made)]) == 0 and opened == []
    assert run(["report", str(made), "--open"]) == 0
    assert opened == [(made / "report" / "index.html").as_uri()]


def test_a_run_that_is_not_finished_has_no_page_yet(tmp_path: Path, capsys: Output) -> None:
    run_path = RunDirectory.create(tmp_path / "run", verb="train", options={}, manifest={}).path
    assert run(["report", str(run_path)]) == 2
    assert "is not finished: go on with it by `impasto resume" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path, capsys: Output) -> None:
    assert run(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("impasto: no run in")
