"""Rerun: trains a classifier again from its run, and says how far the two differ."""

from __future__ import annotations

from pathlib import Path

from impasto.learning.classify import classify
from impasto.learning.lesson import require_unchanged
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions
from impasto.learning.predict import DATA, MODEL, require_classifier
from impasto.learning.predictions import Predictions
from impasto.learning.scores import score
from impasto.learning.work import PREDICTIONS, TrainedClassifier
from impasto.networks.weights import Download
from impasto.runs import checkpoint as checkpoints
from impasto.runs.difference import Difference, Outcome, difference
from impasto.runs.directory import RunDirectory, path_again
from impasto.runs.options_file import validate
from impasto.runs.progress import Listen


def rerun(
    directory: Path | str,
    *,
    out: Path | str | None = None,
    progress: Listen | None = None,
    download: Download | None = None,
) -> tuple[TrainedClassifier, Difference]:
    """Train a classifier again with the options and the pictures of a finished run.

    Args:
        directory: The run.
        out: The new run's directory; by default one beside the first.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: No finished run, or pictures that have changed.
    """
    run = require_classifier(directory)
    require_unchanged(Manifest.load(run.path / DATA))
    options = validate(ClassifierOptions, run.options)
    new = Path(out) if out else path_again(run)
    result = classify(run.path / DATA, options=options, run=new, progress=progress, download=download)
    judged = run.manifest["judged_on"]
    was = score(Predictions.load(run.path / PREDICTIONS).split(judged)).numbers()
    made = RunDirectory.open(result.run)
    first = Outcome(run.manifest, checkpoints.load(run.path / MODEL).tensors, was)
    again = Outcome(made.manifest, checkpoints.load(made.path / MODEL).tensors, result.scores.numbers())
    return result, difference(first, again)
