"""The journal: records and checkpoints that agree after any kill."""

from pathlib import Path

import torch

from impasto.runs.checkpoint import Checkpoint
from impasto.runs.directory import RunDirectory
from impasto.runs.journal import Journal


def begin(path: Path, every: float) -> RunDirectory:
    return RunDirectory.create(path, verb="train", options={}, manifest={"every": every})


def state(step: int) -> Checkpoint:
    return Checkpoint({"weight": torch.tensor([float(step)])}, {"step": step})


def test_a_run_begins_without_records(tmp_path: Path) -> None:
    journal = Journal(begin(tmp_path / "run", every=0))
    assert journal.begin_at is None and journal.records == 0


def test_what_no_checkpoint_knows_of_is_dropped(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", every=0)
    journal = Journal(run)
    for step in range(3):
        journal.note({"step": step})
        if step < 2:
            journal.keep(lambda step=step: state(step), stage=4)  # type: ignore[misc]
    assert journal.records == 3 == run.log_length()
    again = Journal(run)
    assert again.begin_at is not None and again.begin_at.facts == {"step": 1, "stage": 4, "records": 2}
    assert again.records == 2 and run.read_log() == [{"step": 0}, {"step": 1}]


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", every=3600)
    journal = Journal(run)
    journal.note({"step": 0})
    journal.keep(lambda: state(0))
    again = Journal(run)
    assert again.begin_at is None and again.records == 0 and run.read_log() == []
