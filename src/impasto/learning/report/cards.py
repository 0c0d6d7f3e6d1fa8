"""Cards: the pictures of the five views with all that is said of them, and the training pictures they are like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from impasto.inspection.folder.nearest import nearest
from impasto.learning.pictures import Preprocessing
from impasto.learning.predictions import Predictions
from impasto.learning.report.looks import Look, Looks
from impasto.learning.report.thumbnails import Thumbnail, Thumbnails
from impasto.learning.scores import Scores
from impasto.learning.views import View, views

SIDE, SMALL = 176, 72  # pixels of a picture, and of a neighbour
OVER_ALL = 6  # pictures of a view over all classes
MOST = 200  # pictures in the views of all the classes together: the page stays a few megabytes
CLASSES = 40  # classes that have views of their own, those with the lowest accuracy


@dataclass(frozen=True)
class Neighbour:
    """A training picture that is like another."""

    name: str
    path: str
    label: str | None
    same: bool
    distance: float
    thumbnail: Thumbnail


@dataclass(frozen=True)
class Card:
    """A picture of a view.

    Attributes:
        name: Its file's name.
        path: All of it.
        true: Its class.
        said: What the classifier says.
        chance: The probability of that.
        true_chance: The probability of its true class.
        right: Whether they are the same.
        group: Its group.
        thumbnail: The picture.
        look: Where in it there is what speaks for what the classifier says, over the picture; None for none.
        box: Left, top, width, height in the thumbnail, as the classifier has it.
        true_box: As it is.
        neighbours: The nearest training pictures, nearest first.
    """

    name: str
    path: str
    true: str
    said: str
    chance: float
    true_chance: float
    right: bool
    group: str | None
    thumbnail: Thumbnail
    look: Look | None
    box: tuple[float, float, float, float] | None
    true_box: tuple[float, float, float, float] | None
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Gallery:
    """The cards of a view."""

    kind: str
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Album:
    """The five views over all classes, and of each class (by its label)."""

    over_all: tuple[Gallery, ...]
    per_class: dict[str, tuple[Gallery, ...]]
    left_out: int


def album(
    predictions: Predictions,
    chosen: np.ndarray,
    scores: Scores,
    *,
    embeddings: np.ndarray | None,
    looks: Looks | None,
    preprocessing: Preprocessing,
    tell: Callable[[float, str], object],
) -> Album:
    """Make the cards of the five views.

    Args:
        predictions: Of all pictures of a run, those of train among them.
        chosen: (n,) bool, the pictures that are judged.
        scores: Theirs.
        embeddings: (n, d), or None to leave neighbours out.
        looks: Where the classifier looks, or None to leave that out.
        preprocessing: What the classifier sees of a picture: boxes are parts of it.
        tell: Called with (part done, words).
    """
    judged = predictions.where(chosen)
    rows = np.flatnonzero(chosen)
    worst = sorted(scores.per_class, key=lambda part: part.accuracy.value)[:CLASSES]
    each = max(1, min(4, MOST // (5 * max(1, len(worst)))))
    shown = {part.name for part in worst}
    labels = [label for label in predictions.classes if label in shown]
    over_all = views(judged, count=OVER_ALL)
    per_class = {label: views(judged, count=each, label=label) for label in labels}
    wanted = sorted({row for some in (over_all, *per_class.values()) for view in some for row in view.rows})
    near = _neighbours(predictions, embeddings, rows[wanted])
    thumbnails = Thumbnails(predictions.paths)
    cards: dict[int, Card] = {}
    for number, row in enumerate(wanted):
        whole = int(rows[row])
        cards[row] = _card(predictions, whole, thumbnails, near.get(whole, []), looks, preprocessing)
        tell((number + 1) / len(wanted), f"picture {number + 1} of {len(wanted)}")

    def galleries(some: list[View]) -> tuple[Gallery, ...]:
        return tuple(Gallery(view.kind, tuple(cards[row] for row in view.rows)) for view in some)

    return Album(
        over_all=galleries(over_all),
        per_class={label: galleries(some) for label, some in per_class.items()},
        left_out=len(scores.per_class) - len(worst),
    )


def _neighbours(
    predictions: Predictions, embeddings: np.ndarray | None, rows: np.ndarray
) -> dict[int, list[tuple[int, float]]]:
    if embeddings is None:
        return {}
    train = [row for row, split in enumerate(predictions.splits) if split == "train"]
    found, distances = nearest(embeddings, rows, train, count=3)
    return {
        row: list(zip(some, far, strict=True))
        for row, some, far in zip(rows.tolist(), found.tolist(), distances.tolist(), strict=True)
    }


def _card(
    predictions: Predictions,
    row: int,
    thumbnails: Thumbnails,
    near: list[tuple[int, float]],
    looks: Looks | None,
    preprocessing: Preprocessing,
) -> Card:
    chances = np.exp(predictions.log_probabilities[row].astype(np.float64))
    target, said = int(predictions.targets[row]), int(chances.argmax())
    thumbnail = thumbnails.of(row, SIDE)

    def rectangle(boxes: np.ndarray | None) -> tuple[float, float, float, float] | None:
        if boxes is None or np.isnan(boxes[row]).any() or not thumbnail.source:
            return None
        return thumbnail.rectangle(boxes[row], preprocessing)

    def neighbour(other: int, distance: float) -> Neighbour:
        number = int(predictions.targets[other])
        path = predictions.paths[other]
        label = predictions.classes[number] if number >= 0 else None
        return Neighbour(PurePath(path).name, path, label, number == target, distance, thumbnails.of(other, SMALL))

    path = predictions.paths[row]
    return Card(
        name=PurePath(path).name,
        path=path,
        true=predictions.classes[target],
        said=predictions.classes[said],
        chance=float(chances[said]),
        true_chance=float(chances[target]),
        right=said == target,
        group=predictions.groups[row],
        thumbnail=thumbnail,
        look=looks.of(row, said, thumbnail) if looks and thumbnail.source else None,
        box=rectangle(predictions.boxes),
        true_box=rectangle(predictions.true_boxes),
        neighbours=tuple(neighbour(other, distance) for other, distance in near),
    )
