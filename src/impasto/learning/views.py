"""Views of results: the five kinds of pictures to look at, as row numbers, over all and for each class.

They are those of the course's lesson 2: a few correct ones at random, a few incorrect ones at random, the most correct
of each class, the most incorrect of each class, and the most uncertain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

import numpy as np

from impasto.learning.predictions import Predictions

Kind = Literal["random correct", "random incorrect", "most correct", "most incorrect", "most uncertain"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class View(NamedTuple):
    """Pictures of one kind.

    Attributes:
        kind: Which.
        label: The true class that they are of, None for all classes.
        rows: Row numbers of the predictions, the most telling first; fewer than asked for where there are no more.
    """

    kind: Kind
    label: str | None
    rows: tuple[int, ...]


def views(predictions: Predictions, *, count: int = 8, label: str | None = None, seed: int = 0) -> list[View]:
    """The five views, over all classes or of the pictures whose true class is one.

    - *random correct*, *random incorrect*: drawn by the seed alone.
    - *most correct*: rightly classified, the true class most probable.
    - *most incorrect*: wrongly classified, the wrong class most probable.
    - *most uncertain*: the two most probable classes closest to each other, right or wrong.

    Args:
        predictions: Rows whose class is not known are in no view.
        count: Pictures of a view.
        label: A class, or None for all.
        seed: Of the random ones.
    """
    known = predictions.targets >= 0
    if label is not None:
        known = known & (predictions.targets == predictions.classes.index(label))
    right = predictions.predicted == predictions.targets
    correct, incorrect = np.flatnonzero(known & right), np.flatnonzero(known & ~right)
    logs = np.sort(predictions.log_probabilities.astype(np.float64), axis=1)
    # log-odds, not probabilities, for those have no order left where all round to one
    rest = np.logaddexp.reduce(logs[:, :-1], axis=1) if logs.shape[1] > 1 else np.zeros(len(logs))
    sure = logs[:, -1] - rest
    gap = logs[:, -1] - logs[:, -2] if logs.shape[1] > 1 else np.zeros(len(logs))
    rng = np.random.default_rng([seed, 0 if label is None else 1 + predictions.classes.index(label)])
    rows: dict[Kind, np.ndarray] = {
        "random correct": rng.permutation(correct),
        "random incorrect": rng.permutation(incorrect),
        "most correct": correct[np.argsort(-sure[correct], kind="stable")],
        "most incorrect": incorrect[np.argsort(-sure[incorrect], kind="stable")],
        "most uncertain": (either := np.flatnonzero(known))[np.argsort(gap[either], kind="stable")],
    }
    return [View(kind, label, tuple(map(int, rows[kind][:count]))) for kind in KINDS]


def views_per_class(predictions: Predictions, *, count: int = 4, seed: int = 0) -> Iterator[list[View]]:
    """The five views of each class that occurs, in the order of the classes."""
    there = set(predictions.targets.tolist())
    for number, label in enumerate(predictions.classes):
        if number in there:
            yield views(predictions, count=count, label=label, seed=seed)
