"""The journal of a training: its records, and a checkpoint now and then that knows how many there were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from impasto.runs import checkpoint as checkpoints
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.directory import RunDirectory
from impasto.runs.keeper import Keeper


class Journal:
    """What a run has done, in records and checkpoints that agree after any kill.

    Attributes:
        begin_at: The checkpoint from which the run goes on; None where it begins.
        records: How many there are.
    """

    def __init__(self, run: RunDirectory) -> None:
        """That of a run, at its last checkpoint: the records that came after it are dropped, and will come again."""
        there = run.checkpoint_path.exists()
        self.begin_at = checkpoints.load(run.checkpoint_path) if there else None
        self.records: int = self.begin_at.facts["records"] if self.begin_at else 0
        run.truncate_log(self.records)
        self._run = run
        self._keeper = Keeper(run.checkpoint_path, run.manifest["every"])

    def note(self, record: dict[str, Any]) -> None:
        """Append a record.

        Raises:
            ImpastoError: The disk is full.
        """
        self._run.log(record)
        self.records += 1

    def keep(self, state: Callable[[], Checkpoint], **facts: Any) -> None:
        """Write a checkpoint of the state, if it is time, with these facts.

        Raises:
            ImpastoError: The disk is full; the checkpoint before stays.
        """

        def whole() -> Checkpoint:
            one = state()
            return Checkpoint(one.tensors, one.facts | facts | {"records": self.records})

        self._keeper.keep(whole)
