"""Baselines: what is reached without training a network, to stand beside what is reached with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.learning.calibration import log_losses
from impasto.learning.intervals import Interval, bootstrap, has_groups, proportion
from impasto.learning.manifest import Manifest

SIDE = 16  # of the small pictures: 768 numbers say the colours and the coarse shape
ROWS = 4000  # training pictures that a linear baseline looks at; more change it little and take long

_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)  # C of the logistic regression, on numbers of unit variance

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Baseline:
    """What a simple method reaches on the test pictures.

    Attributes:
        name: Of the method.
        about: What it does, in a sentence.
        accuracy: Of the classes; None for a baseline of boxes.
        log_loss: Likewise.
        iou: Of the boxes; None for a baseline of classes.
    """

    name: str
    about: str
    accuracy: Interval | None = None
    log_loss: float | None = None
    iou: Interval | None = None


def baselines(
    train_targets: np.ndarray,
    test_targets: np.ndarray,
    classes: Sequence[str],
    *,
    pixels: Pair | None = None,
    class_scores: Pair | None = None,
    boxes: Pair | None = None,
    groups: Sequence[str | None] | None = None,
    seed: int = 0,
    progress: Callable[[float, str], object] | None = None,
) -> list[Baseline]:
    """The dumb alternatives, fitted on the training pictures and scored on the others.

    Args:
        train_targets: (n,) classes of the training pictures.
        test_targets: (m,) classes of the pictures that are scored; −1 where not known.
        classes: The k labels.
        pixels: (n, d) and (m, d): numbers of :func:`small_pixels`.
        class_scores: (n, c) and (m, c): what the network's own classifier says, as logits, where it has one.
        boxes: (n, 4) and (m, 4): true boxes as parts of the picture, NaN where there is none.
        groups: (m,) groups of the scored pictures, for the intervals.
        seed: Of the rows that are taken where there are many.
        progress: Called with (part done, words).

    Raises:
        UsageError: No training pictures, or none with a known class to score.
    """
    train_targets, test_targets = np.asarray(train_targets), np.asarray(test_targets)
    taught, known = train_targets >= 0, test_targets >= 0
    if not taught.any() or not known.any():
        raise UsageError("baselines need labelled pictures in train and in the split that is scored: there are none")
    targets, k = train_targets[taught], len(classes)
    of = None if groups is None else [groups[i] for i in np.flatnonzero(known).tolist()]

    def scored(name: str, about: str, probabilities: np.ndarray) -> Baseline:
        hits = probabilities.argmax(1) == test_targets[known]
        loss = float(log_losses(probabilities, test_targets[known]).mean())
        return Baseline(name, about, proportion(hits, of), loss)

    often = (np.bincount(targets, minlength=k) + 1) / (len(targets) + k)  # Laplace: no class is impossible
    said = "always the most frequent class of the training pictures"
    found = [scored("majority", said, np.tile(often, (int(known.sum()), 1)))]
    linear = (
        ("linear on pixels", f"logistic regression on the picture at {SIDE}×{SIDE} pixels", pixels),
        ("linear on class scores", "logistic regression on what the network's own classifier says", class_scores),
    )
    for number, (name, about, arrays) in enumerate(linear):
        if arrays is not None and len(np.unique(targets)) > 1:
            if progress:
                progress((1 + number) / 4, name)
            found.append(scored(name, about, _linear(arrays[0][taught], targets, arrays[1][known], k, seed)))
    if boxes is not None and (mean := _mean_box(*boxes, groups)):
        found.append(mean)
    if progress:
        progress(1.0, "baselines")
    return found


def small_pixels(manifest: Manifest, *, progress: Callable[[float, str], object] | None = None) -> np.ndarray:
    """(n, 768) float32: each picture squeezed to 16×16 pixels of red, green and blue, in [0, 1].

    Raises:
        UsageError: A picture that cannot be read.
    """
    from impasto.learning.pictures import Pictures, Preprocessing

    pictures = Pictures(manifest, Preprocessing(SIDE, "squish"), memory_bytes=0)
    rows = np.empty((len(manifest), 3 * SIDE * SIDE), dtype=np.float32)
    for at, pixels in pictures.in_order():
        rows[at] = pixels.numpy().reshape(len(at), -1) / np.float32(255)
        if progress:
            progress((at[-1] + 1) / len(manifest), "small pictures for the baselines")
    return rows


def save(found: Sequence[Baseline], path: Path | str) -> None:
    """Write them as JSON, whole or not at all.

    Raises:
        ImpastoError: The disk is full.
    """
    rows = [{name: value for name, value in vars(one).items() if value is not None} for one in found]
    replace_file(Path(path), json.dumps(rows, indent=2, ensure_ascii=False).encode() + b"\n")


def load(path: Path | str) -> list[Baseline]:
    """Read what :func:`save` wrote.

    Raises:
        UsageError: The file is damaged.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(Path(path).read_bytes())
        for row in rows:
            for name in {"accuracy", "iou"} & set(row):
                row[name] = Interval(*row[name])
        return [Baseline(**row) for row in rows]
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path} holds no baselines: train again, or remove the file") from error


def _linear(train: np.ndarray, targets: np.ndarray, test: np.ndarray, k: int, seed: int) -> np.ndarray:
    """(m, k) probabilities of a logistic regression, its penalty chosen on a fifth of the training rows.

    A class that the training rows do not have gets a thousandth.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(targets))[:ROWS]
    train, targets = train[rows].astype(np.float64), targets[rows]
    mean, spread = train.mean(0), np.maximum(train.std(0), 1e-6)
    train, test = (train - mean) / spread, (test - mean) / spread

    def fitted(x: np.ndarray, y: np.ndarray, new: np.ndarray, penalty: float) -> np.ndarray:
        p = np.full((len(new), k), 1e-3)
        if len(there := np.unique(y)) < 2:
            p[:, there] = 1
        else:
            model = LogisticRegression(C=penalty, max_iter=300, tol=1e-3).fit(x, y)
            p[:, model.classes_] = model.predict_proba(new)
        return p / p.sum(1, keepdims=True)

    penalty = 1e-3
    kept = len(targets) // 5
    with threadpool_limits(1):  # the matrices are small: several threads wait for each other, up to a hundred times
        if kept >= 10:
            x, y, held, truth = train[kept:], targets[kept:], train[:kept], targets[:kept]
            losses = [log_losses(fitted(x, y, held, one), truth).mean() for one in _PENALTIES]
            penalty = _PENALTIES[int(np.argmin(losses))]
        return fitted(train, targets, test, penalty)


def _mean_box(train: np.ndarray, test: np.ndarray, groups: Sequence[str | None] | None) -> Baseline | None:
    from impasto.learning.scores import box_ious

    taught, known = ~np.isnan(train).any(1), ~np.isnan(test).any(1)
    if not taught.any() or not known.any():
        return None
    box = train[taught].mean(0)
    of = None if groups is None or not has_groups(groups) else [groups[i] for i in np.flatnonzero(known).tolist()]
    ious = box_ious(np.tile(box, (len(test), 1)), test)
    return Baseline("mean box", "always the mean box of the training pictures", iou=bootstrap(ious, groups=of))
