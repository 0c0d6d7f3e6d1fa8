"""Predictions of classifiers on pictures: of one run, or of several together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.learning.box_truth import boxes_of
from impasto.learning.classifier import Classifier, read
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Pictures
from impasto.learning.pooling import pooled
from impasto.learning.predictions import Predictions
from impasto.networks.allocator import keep_freed_memory
from impasto.networks.device import DeviceName, pick_device
from impasto.runs.directory import RunDirectory
from impasto.runs.verbs import CLASSIFIER

MODEL = "model.safetensors"
DATA = "data.parquet"

Tell = Callable[[float, str], object]


def predict(
    runs: Path | str | Sequence[Path | str],
    data: Manifest,
    *,
    flips: bool = False,
    device: DeviceName = "auto",
    progress: Tell | None = None,
) -> Predictions:
    """What a run's classifier says of pictures; of several runs, the mean of their probabilities.

    Args:
        runs: Run directories of ``impasto train classify``.
        data: The pictures; labels, where they are known, must be among those the runs have learnt.
        flips: Whether each picture is also looked at in the mirror, and the two opinions averaged; of boxes, not.
        device: Where to compute.
        progress: Called with (part done, words).

    Raises:
        UsageError: A run that is not finished, or runs with different classes, or a label that none knows.
    """
    paths = [Path(runs)] if isinstance(runs, str | Path) else [Path(run) for run in runs]
    if not paths:
        raise UsageError("no run to ask: give one of `impasto train classify`")
    said: list[Predictions] = []
    for number, run in enumerate(paths):

        def tell(part: float, words: str, number: int = number) -> None:
            if progress:
                progress((number + part) / len(paths), words)

        model = classifier_of(run)
        one, _ = look(model, data, device=pick_device(device), flips=flips, tell=tell)
        if said and one.classes != said[0].classes:
            raise UsageError(
                f"{run} knows the classes {', '.join(one.classes)}, but {paths[0]} {', '.join(said[0].classes)}: "
                "only runs on the same classes can be asked together"
            )
        said.append(one)
    return averaged(said)


def classifier_of(run: Path | str) -> Classifier:
    """The classifier of a finished run.

    Raises:
        UsageError: No run, none of a classifier, or one that is not finished.
    """
    return read(require_classifier(run).path / MODEL)


def require_classifier(run: Path | str) -> RunDirectory:
    """The directory of a finished run of a classifier.

    Raises:
        UsageError: No run, none of a classifier, or one that is not finished.
    """
    directory = RunDirectory.open(run)
    if directory.verb != CLASSIFIER:
        verb = directory.verb.replace("-", " ")
        raise UsageError(f"{run} is a run of `impasto {verb}`: give one of `impasto train classify`")
    if directory.status != "finished":
        raise UsageError(f"the run {run} is not finished: go on with it by `impasto resume {run}`")
    return directory


def learnt_from(runs: Sequence[Path | str], data: Manifest) -> list[bool]:
    """For each row, whether one of the runs has learnt from it, and so is no judge of them."""
    learnt = {digest for run in runs for digest in lesson_of(run).column("sha256")}
    return [digest in learnt for digest in data.column("sha256")]


def lesson_of(run: Path | str) -> Manifest:
    """The rows that a run has learnt from, with labels or without."""
    rows = Manifest.load(Path(run) / DATA)
    return rows.take([row for row, name in enumerate(rows.column("split")) if name in ("train", "unlabelled")])


def look(
    model: Classifier,
    data: Manifest,
    *,
    device: torch.device,
    flips: bool = False,
    batch_size: int = 64,
    tell: Tell | None = None,
) -> tuple[Predictions, Float[Tensor, "n d"]]:
    """What a classifier says of pictures, and their embeddings: the pooled activations that its head stands on.

    Raises:
        UsageError: A picture that cannot be read, or a label that the classifier does not know.
    """
    keep_freed_memory()
    classes = model.description.classes
    targets = data.targets(classes)
    preprocessing = model.description.preprocessing
    pictures = Pictures(data, preprocessing, memory_bytes=0)
    model.to(device).eval()
    logs, embeddings, boxes = [], [], []
    done = 0
    for batch, levels in pictures.in_order(batch_size):
        with torch.inference_mode():
            images = levels.to(device).float().div_(255)
            activations = model.activations(images)
            answer = model.answer(activations)
            log = answer.logits.float().log_softmax(1)
            if flips:
                mirrored = model.answer(model.activations(images.flip(-1))).logits.float().log_softmax(1)
                log = torch.logaddexp(log, mirrored) - np.log(2)
            logs.append(log.cpu())
            embeddings.append(pooled(activations).half().cpu())
            if answer.boxes is not None:
                boxes.append(answer.boxes.float().cpu())
        done += len(batch)
        if tell:
            tell(done / len(data), f"looking at picture {done} of {len(data)}")
    known = data.column("box")
    true_boxes = None
    if boxes and any(box is not None for box in known):
        true_boxes = boxes_of(data, preprocessing).numpy()
    predictions = Predictions(
        classes=classes,
        log_probabilities=torch.cat(logs).numpy() if logs else np.zeros((0, len(classes)), "f4"),
        paths=tuple(str(data.root / path) for path in data.paths),
        targets=targets,
        groups=tuple(data.column("group")),
        splits=tuple(data.column("split")),
        boxes=torch.cat(boxes).numpy() if boxes else None,
        true_boxes=true_boxes,
    )
    return predictions, torch.cat(embeddings) if embeddings else torch.zeros(0, 0)


def averaged(said: Sequence[Predictions]) -> Predictions:
    """One opinion of several on the same pictures: the mean of the probabilities (and of the boxes)."""
    if len(said) == 1:
        return said[0]
    mean = np.mean([one.probabilities for one in said], axis=0)
    boxes = [one.boxes for one in said if one.boxes is not None]
    return replace(
        said[0],
        log_probabilities=np.log(np.maximum(mean, 1e-30)).astype(np.float32),
        boxes=np.mean(boxes, axis=0) if len(boxes) == len(said) else None,
    )
