"""Snapshots: the weights of a classifier along its training, one file an epoch, for the picture of its way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from impasto.errors import UsageError
from impasto.learning.classifier import Classifier
from impasto.runs import checkpoint as checkpoints
from impasto.runs.checkpoint import Checkpoint

FOLDER = "snapshots"


class Snapshot(NamedTuple):
    """Where the weights of a moment of training are.

    Attributes:
        stage: The stage, from 0.
        epoch: Epochs of it that were done; 0 stands before the first stage alone.
        path: The file.
    """

    stage: int
    epoch: int
    path: Path

    def state(self) -> dict[str, Tensor]:
        """All parameters and buffers by their names in the :class:`Classifier`.

        Raises:
            UsageError: The file is damaged.
        """
        return checkpoints.load(self.path).tensors


def keep_snapshot(run: Path, model: Classifier, *, stage: int, epoch: int) -> None:
    """Write a classifier's weights as they are after an epoch of a stage, whole or not at all.

    The name says when, so that an epoch that is done again after a kill replaces its own file.

    Raises:
        ImpastoError: The disk is full.
    """
    path = run / FOLDER / f"{stage:02d}-{epoch:04d}.safetensors"
    path.parent.mkdir(exist_ok=True)
    checkpoints.save(path, Checkpoint(dict(model.state_dict()), {"stage": stage, "epoch": epoch}))


def snapshots(run: Path | str) -> list[Snapshot]:
    """All snapshots of a run, in the order of training.

    Raises:
        UsageError: There are none.
    """
    found = []
    for path in (Path(run) / FOLDER).glob("*.safetensors"):
        if name := re.fullmatch(r"(\d{2,})-(\d{4,})\.safetensors", path.name):
            found.append(Snapshot(int(name[1]), int(name[2]), path))
    if not found:
        raise UsageError(f"the run {run} has no snapshots of its way: train again with --snapshots")
    return sorted(found)
