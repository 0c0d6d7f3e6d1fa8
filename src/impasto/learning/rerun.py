"""Rerun: trains a classifier again from its run, and says how far the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from impasto.learning.classify import Download, classify
from impasto.learning.lesson import require_unchanged
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions
from impasto.learning.predict import DATA, MODEL, require_classifier
from impasto.learning.predictions import Predictions
from impasto.learning.scores import score
from impasto.learning.work import PREDICTIONS, TrainedClassifier
from impasto.runs import checkpoint as checkpoints
from impasto.runs.directory import RunDirectory, default_path
from impasto.runs.options_file import validate
from impasto.runs.progress import Listen


@dataclass(frozen=True)
class Difference:
    """How far a run made again is from the first.

    Attributes:
        weights: Largest absolute difference of a weight.
        scores: (first, again) by name, of each number among the scores.
        reasons: What of the circumstances is not as it was.
    """

    weights: float
    scores: dict[str, tuple[float, float]]
    reasons: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether the weights agree to the last bit, and so all that follows from them."""
        return self.weights == 0

    def __str__(self) -> str:
        if self.identical:
            return "identical: the same weights, bit for bit"
        changed = [f"{name} {was:.4f} → {now:.4f}" for name, (was, now) in self.scores.items() if was != now]
        why = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"weights differ by up to {self.weights:.2g}; {', '.join(changed) or 'the same scores'}{why}"


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
    new = Path(out) if out else default_path("train", run.path.name[:60], "again", root=run.path.parent)
    result = classify(run.path / DATA, options=options, run=new, progress=progress, download=download)
    first, again = (checkpoints.load(path / MODEL).tensors for path in (run.path, result.run))
    largest = max(float((first[name].double() - again[name].double()).abs().max()) for name in first)
    judged = run.manifest["judged_on"]
    was = score(Predictions.load(run.path / PREDICTIONS).split(judged)).numbers()
    now = result.scores.numbers()
    there = RunDirectory.open(result.run).manifest
    facts = ("made_with", "networks", "teachers")
    reasons = tuple(
        f"{name} was {value}, is {there[fact].get(name)}"
        for fact in facts
        for name, value in run.manifest[fact].items()
        if there[fact].get(name) != value
    )
    return result, Difference(largest, {k: (was[k], now[k]) for k in was if k in now}, reasons)
