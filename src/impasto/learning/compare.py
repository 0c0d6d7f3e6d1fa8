"""Compare: which of several runs is better, and by how much more than chance would have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import UsageError
from impasto.learning.intervals import Interval, has_groups, paired
from impasto.learning.predict import require_classifier
from impasto.learning.predictions import Predictions
from impasto.learning.scores import score
from impasto.learning.work import PREDICTIONS


@dataclass(frozen=True)
class Gain:
    """How much more often a run is right than the first, on the same pictures.

    Attributes:
        accuracy: The difference, with its interval.
    """

    accuracy: Interval

    def words(self) -> str:
        """As a person would say it."""
        value, low, high = (100 * one for one in self.accuracy)
        verdict = "no difference that is more than chance" if low <= 0 <= high else ("better" if low > 0 else "worse")
        return f"{value:+.1f} points of accuracy ({low:+.1f} to {high:+.1f}): {verdict}"


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    Attributes:
        runs: Their directories.
        options: The options in which they differ, with each run's value.
        scores: Each score by name, of each run, on the pictures that all were judged on.
        shared: How many those are.
        gains: Of each run but the first, against it.
    """

    runs: tuple[Path, ...]
    options: dict[str, tuple[Any, ...]]
    scores: dict[str, tuple[float, ...]]
    shared: int
    gains: tuple[Gain, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        gains = [gain.accuracy._asdict() for gain in self.gains]
        return vars(self) | {"runs": [str(run) for run in self.runs], "gains": gains}


def compare(directories: Sequence[Path | str]) -> Comparison:
    """Compare finished runs of classifiers.

    Raises:
        UsageError: One is no such run, or they were judged on different pictures or classes.
    """
    runs = [require_classifier(path) for path in directories]
    judged = [Predictions.load(run.path / PREDICTIONS).split(run.manifest["judged_on"]) for run in runs]
    first = judged[0]
    for run, one in zip(runs, judged, strict=True):
        if one.classes != first.classes:
            raise UsageError(f"{run.path} and {runs[0].path} know different classes: they cannot be compared")
    everywhere = set(first.paths).intersection(*(one.paths for one in judged))
    if not everywhere:
        raise UsageError(
            "the runs were judged on different pictures: train them on one manifest (`impasto data split`)"
        )
    same = [_on(one, sorted(everywhere)) for one in judged]
    groups = same[0].groups if has_groups(same[0].groups) else None
    right = [one.predicted == one.targets for one in same]
    numbers = [score(one).numbers() for one in same]
    names = [name for name in numbers[0] if all(name in one for one in numbers)]
    return Comparison(
        runs=tuple(run.path for run in runs),
        options=_differing([run.options for run in runs]),
        scores={name: tuple(one[name] for one in numbers) for name in names},
        shared=len(everywhere),
        gains=tuple(Gain(paired(one, right[0], groups=groups)) for one in right[1:]),
    )


def _on(predictions: Predictions, paths: Sequence[str]) -> Predictions:
    """The predictions of these pictures, in this order."""
    place = {path: row for row, path in enumerate(predictions.paths)}
    return predictions.take(np.array([place[path] for path in paths]))


def _differing(options: Sequence[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    names = dict.fromkeys(name for one in options for name in one)
    values = {name: tuple(one.get(name) for one in options) for name in names}
    return {name: several for name, several in values.items() if any(value != several[0] for value in several)}
