"""impasto runs: list, show and compare. (`runs rerun` is in test_train.py, `resume` in test_runs.py.)"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.cli.app import run
from impasto.learning.predictions import Predictions
from impasto.learning.scores import score
from impasto.runs.directory import RunDirectory

Output = pytest.CaptureFixture[str]


def make(path: Path, right: int, *, finished: bool = True, **options: Any) -> None:
    """A run of a classifier that is right on so many of forty pictures."""
    found = RunDirectory.create(path, verb="train", options=options, manifest={"judged_on": "test", "seed": 0})
    targets = np.arange(40) % 2
    p = np.where(np.arange(40) < right, 0.8, 0.3)[:, None]
    logs = np.log(np.where(targets[:, None] == np.arange(2), p, 1 - p)).astype("f4")
    paths = tuple(f"/pets/{i}.jpg" for i in range(40))
    one = Predictions(("cat", "dog"), logs, paths, targets, (None,) * 40, ("test",) * 40)
    one.save(found.path / "predictions.parquet")
    if finished:
        found.finish("predictions.parquet", judged_on="test", scores=score(one).to_json())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    make(Path("runs/one"), 20, size=64, stages=["head:2"])
    make(Path("runs/two[b]"), 36, size=64, stages=["head:9"], new="[red]")
    make(Path("runs/three"), 10, finished=False)
    return tmp_path


def said(capsys: Output) -> str:
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_runs_are_listed(capsys: Output) -> None:
    assert run(["runs", "list"]) == 0
    lines = said(capsys).splitlines()
    assert lines[0].split() == ["run", "verb", "status", "begun", "reached"]
    rows = {line.split()[0]: line for line in lines[1:]}
    assert set(rows) == {"one", "two[b]", "three"}
    assert "finished" in rows["one"] and rows["one"].rstrip().endswith("accuracy 50.0 %")
    assert "stopped" in rows["three"] and "accuracy" not in rows["three"]


def test_runs_are_listed_for_a_machine(capsys: Output) -> None:
    assert run(["runs", "list", "runs", "--json"]) == 0
    found = {Path(one["path"]).name: one for one in json.loads(said(capsys))["runs"]}
    assert {name: one["status"] for name, one in found.items()} == {
        "one": "finished", "two[b]": "finished", "three": "stopped",
    }  # fmt: skip
    assert found["two[b]"]["scores"]["accuracy"]["value"] == 0.9


def test_a_run_is_shown(capsys: Output) -> None:
    import yaml

    assert run(["runs", "show", "runs/two[b]"]) == 0
    facts = yaml.safe_load(said(capsys))
    assert facts["options"] == {"size": 64, "stages": ["head:9"], "new": "[red]"}
    assert facts["status"] == "finished" and facts["seed"] == 0
    assert facts["scores"]["accuracy"]["value"] == 0.9 and "confusion" not in facts["scores"]
    assert run(["runs", "show", "runs/two[b]", "--json"]) == 0
    told = json.loads(said(capsys))
    assert told["scores"]["confusion"] == [[18, 2], [2, 18]] and told["options"]["size"] == 64


def test_runs_are_compared(capsys: Output) -> None:
    assert run(["runs", "compare", "runs/one", "runs/two[b]"]) == 0
    lines = said(capsys).splitlines()
    assert lines[0].split() == ["one", "two[b]"]
    cells = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert cells["stages"] == ["['head:2']", "['head:9']"] and cells["new"] == ["None", "[red]"]
    assert cells["accuracy"] == ["0.5000", "0.9000"] and "size" not in cells
    assert lines[-1].startswith("two[b] against one: +40.0 points of accuracy (+")
    assert lines[-1].endswith(": better, on 40 pictures")
    assert run(["runs", "compare", "runs/one", "runs/two[b]", "runs/one", "--json"]) == 0
    facts = json.loads(said(capsys))
    assert facts["shared"] == 40 and [one["value"] for one in facts["gains"]] == [pytest.approx(0.4), 0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "nowhere"], "no folder nowhere: runs are kept there by default"),
        (["show", "runs"], "no run in"),
        (["show", "nowhere"], "no run in"),
        (["compare", "runs/one"], "SECOND"),
        (["compare", "runs/one", "runs/three"], "is not finished: go on with it by `impasto resume runs/three`"),
        (["rerun", "runs/three"], "is not finished: go on with it by `impasto resume runs/three`"),
        (["rerun", "nowhere"], "no run in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_wrong_is_one_line(arguments: list[str], words: str, capsys: Output) -> None:
    assert run(["runs", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1


@pytest.mark.parametrize("command", ["list", "show", "compare", "rerun"])
def test_help_teaches_by_examples(command: str, capsys: Output) -> None:
    assert run(["runs", command, "--help"]) == 0
    assert f"impasto runs {command}" in said(capsys)
