"""Listing: the runs in a folder, oldest first, and where each really stands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from impasto.errors import UsageError
from impasto.runs.directory import RunDirectory
from impasto.runs.listing import listed


def begin(path: Path, *, created: str, verb: str = "train", **facts: object) -> RunDirectory:
    run = RunDirectory.create(path, verb=verb, options={"size": 8}, manifest={})
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"created": created} | facts))
    return run


def test_runs_come_with_the_oldest_first_and_what_they_reached(tmp_path: Path) -> None:
    scores = {"accuracy": {"value": 0.9, "low": 0.8, "high": 1.0}}
    begin(tmp_path / "b", created="2026-01-02T00:00:00+00:00", status="finished", scores=scores)
    begin(tmp_path / "c", created="2026-01-01T00:00:00+00:00", verb="stylize", status="interrupted")
    begin(tmp_path / "a", created="2026-01-03T00:00:00+00:00")
    (tmp_path / "no-run").mkdir()
    (tmp_path / "file").write_text("")
    found = listed(tmp_path)
    assert [(one.path.name, one.verb, one.status) for one in found] == [
        ("c", "stylize", "stopped"), ("b", "train", "finished"), ("a", "train", "stopped"),
    ]  # fmt: skip
    assert found[1].scores == scores and found[0].scores == {}
    assert found[1].created == "2026-01-02T00:00:00+00:00"


def test_a_run_is_running_while_a_process_is_at_work_in_it(tmp_path: Path) -> None:
    begin(tmp_path / "run", created="2026-01-01T00:00:00+00:00")
    work = (
        "import sys; from impasto.runs.directory import RunDirectory\n"
        "with RunDirectory.open(sys.argv[1]).lock(): print('at work', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", work, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "at work\n"
        assert listed(tmp_path)[0].status == "running"
        process.kill()
    assert listed(tmp_path)[0].status == "stopped", "killed, whatever its manifest says"
    assert RunDirectory.open(tmp_path / "run").status == "running"
    with RunDirectory.open(tmp_path / "run").lock():
        pass  # listing has not kept the lock


@pytest.mark.parametrize("damage", ["not json", "another version", "options changed", "no options"])
def test_a_damaged_run_is_listed_as_such(damage: str, tmp_path: Path) -> None:
    begin(tmp_path / "good", created="2026-01-01T00:00:00+00:00")
    begin(tmp_path / "bad", created="2026-01-01T00:00:00+00:00")
    manifest, options = tmp_path / "bad" / "manifest.json", tmp_path / "bad" / "options.yaml"
    if damage == "not json":
        manifest.write_text("{")
    elif damage == "another version":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 99}))
    elif damage == "options changed":
        options.write_text("size: 9\n")
    else:
        options.unlink()
    found = {one.path.name: one for one in listed(tmp_path)}
    assert (found["bad"].status, found["bad"].verb, found["bad"].scores) == ("damaged", "?", {})
    assert found["good"].status == "stopped"


def test_a_run_that_may_not_be_locked_is_not_running(tmp_path: Path) -> None:
    begin(tmp_path / "run", created="2026-01-01T00:00:00+00:00")
    os.remove(tmp_path / "run" / ".lock")
    (tmp_path / "run" / ".lock").mkdir()  # as in a folder that may only be read
    assert listed(tmp_path)[0].status == "stopped"


def test_a_folder_without_runs_has_none_and_no_folder_is_told(tmp_path: Path) -> None:
    assert listed(tmp_path) == []
    with pytest.raises(UsageError, match="no folder .*nowhere: runs are kept there by default"):
        listed(tmp_path / "nowhere")
