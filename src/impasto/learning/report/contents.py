"""What a report says: gathered from the files of a run, before it is laid out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from impasto.errors import UsageError
from impasto.learning import baselines as simple
from impasto.learning import plots
from impasto.learning.baselines import Baseline
from impasto.learning.calibration import Fitted, calibration_error, fit, log_losses, reliability
from impasto.learning.intervals import Interval, bootstrap, has_groups
from impasto.learning.pictures import Preprocessing
from impasto.learning.predictions import Predictions
from impasto.learning.report.cards import Album, album
from impasto.learning.report.looks import looks_of
from impasto.learning.scores import Scores, most_confused, score
from impasto.runs import metrics
from impasto.runs.directory import RunDirectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MATRIX = 40  # classes of which a confusion matrix can still be read; of more, the pairs are listed


@dataclass(frozen=True)
class Recalibrated:
    """What a calibration is worth.

    Attributes:
        fitted: On the validation pictures, and scored there fold by fold.
        error: Expected calibration error of the honest split as it is.
        error_after: The same with the calibration; None where the honest split is the one it was fitted on.
        loss_after: Log loss likewise.
    """

    fitted: Fitted | None
    error: float
    error_after: float | None = None
    loss_after: Interval | None = None


@dataclass(frozen=True)
class Contents:
    """What a report says of a run; what is empty or None is not on the page.

    Attributes:
        name: Of the run.
        split: Which pictures the numbers are of: ``test`` where there are such, else ``valid``.
        counts: Pictures in each split.
        scores: Of that split.
        baselines: The dumb alternatives.
        calibration: Whether probabilities mean what they say.
        confused: The pairs most often confused, where there are too many classes for a matrix.
        figures: Plots by name.
        album: The five views.
        findings: Of the audit.
        options: As they were given, in words.
        facts: What else is known of the run.
        seconds: What the epochs took together.
    """

    name: str
    split: str
    counts: dict[str, int]
    scores: Scores
    baselines: list[Baseline]
    calibration: Recalibrated
    confused: list[tuple[str, str, int, int]]
    figures: dict[str, Figure]
    album: Album
    findings: list[dict[str, str]]
    options: dict[str, str]
    facts: dict[str, str]
    seconds: float | None = None


def gather(run: Path, *, progress: Callable[[float, str], object] | None = None) -> Contents:
    """Read a run and work out what its report says.

    Raises:
        UsageError: No run, or one without predictions of labelled pictures.
    """
    tell = progress or (lambda part, words: None)
    directory = RunDirectory.open(run)
    everything = Predictions.load(run / "predictions.parquet")
    split = honest_split(everything)
    chosen = np.array([one == split for one in everything.splits]) & (everything.targets >= 0)
    judged = everything.where(chosen)
    tell(0.05, "scores")
    scores = score(judged)
    records = metrics.read(run / "metrics.jsonl")
    calibration = _calibration(everything, judged, split)
    figures = plots.curves(records)
    if len(scores.classes) <= MATRIX:
        figures["confusion"] = plots.confusion(scores)
    after = None
    if calibration.fitted and calibration.error_after is not None:
        after = reliability(calibration.fitted.calibration.apply(judged.log_probabilities), judged.targets)
    figures["reliability"] = plots.diagram(reliability(judged.probabilities, judged.targets), after)
    figures["classes"] = plots.dots(scores.per_class, scores.accuracy)
    if scores.per_group:
        figures["groups"] = plots.dots(scores.per_group, scores.accuracy)
    tell(0.15, "pictures")
    beside = run / "baselines.json"
    return Contents(
        name=run.absolute().name,
        split=split,
        counts={name: sum(one == name for one in everything.splits) for name in ("train", "valid", "test")},
        scores=scores,
        baselines=simple.load(beside) if beside.exists() else [],
        calibration=calibration,
        confused=most_confused(scores),
        figures=figures,
        album=album(
            everything,
            chosen,
            scores,
            embeddings=_embeddings(run, len(everything)),
            looks=looks_of(run, everything.paths),
            preprocessing=_preprocessing(directory.options),
            tell=lambda part, words: tell(0.15 + 0.8 * part, words),
        ),
        findings=_findings(run / "audit.json"),
        options={name.replace("_", " "): _words(value) for name, value in directory.options.items()},
        facts=_facts(directory),
        seconds=_seconds(records),
    )


def honest_split(predictions: Predictions) -> str:
    """The split to judge by: ``test`` where its pictures have labels, else ``valid``.

    Raises:
        UsageError: Neither has any.
    """
    there = {one for one, target in zip(predictions.splits, predictions.targets, strict=True) if target >= 0}
    for name in ("test", "valid"):
        if name in there:
            return name
    raise UsageError("the run has no labelled validation or test pictures to judge it by: train with a valid split")


def _calibration(everything: Predictions, judged: Predictions, split: str) -> Recalibrated:
    error = calibration_error(reliability(judged.probabilities, judged.targets))
    try:
        fitted = fit(everything.split("valid"))
    except UsageError:
        return Recalibrated(None, error)
    if split == "valid":
        return Recalibrated(fitted, error)
    after = fitted.calibration.apply(judged.log_probabilities)
    groups = judged.groups if has_groups(judged.groups) else None
    loss = bootstrap(log_losses(after, judged.targets), groups=groups)
    return Recalibrated(fitted, error, calibration_error(reliability(after, judged.targets)), loss)


def _embeddings(run: Path, rows: int) -> np.ndarray | None:
    """(n, d), where they are there for every row."""
    path = run / "embeddings.safetensors"
    if not path.exists():
        return None
    from safetensors.numpy import load_file

    found = load_file(path).get("embeddings")
    return found if found is not None and found.ndim == 2 and len(found) == rows and found.shape[1] else None


def _preprocessing(options: dict[str, Any]) -> Preprocessing:
    return Preprocessing(int(options.get("size") or 224), options.get("fit") or "squish")


def _findings(path: Path) -> list[dict[str, str]]:
    """Those of an audit, the gravest first."""
    try:
        found = json.loads(path.read_bytes())
        rows = [{name: str(one[name]) for name in ("check", "severity", "message")} for one in found]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} holds no findings of an audit: make it again with `impasto data audit`") from error
    gravity = {"error": 0, "warning": 1}
    return sorted(rows, key=lambda one: gravity.get(one["severity"], 2))


def _facts(run: RunDirectory) -> dict[str, str]:
    """What the manifest knows, flat, in words."""
    left_out = {"version", "options_sha256", "status", "verb"}
    facts: dict[str, str] = {}
    for name, value in run.manifest.items():
        if name in left_out or value in (None, "", [], {}):
            continue
        if isinstance(value, dict):
            facts |= {f"{name} {key}".replace("_", " "): _words(one) for key, one in value.items()}
        else:
            facts[name.replace("_", " ")] = _words(value)
    return facts


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) if value else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "default" if value is None else str(value)


def _seconds(records: Sequence[dict[str, Any]]) -> float | None:
    found = [one["seconds"] for one in records if one.get("kind") == "epoch" and "seconds" in one]
    return float(sum(found)) if found else None
