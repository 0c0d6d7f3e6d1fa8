"""The reference: the baselines of a lesson, on the very rows that its classifier will be judged on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from impasto.learning.baselines import Baseline, baselines, small_pixels
from impasto.learning.box_truth import boxes_of
from impasto.learning.classifier import Classifier
from impasto.learning.features import features
from impasto.learning.lesson import Lesson
from impasto.networks import Network

Tell = Callable[[float, str], object]


def reference(
    lesson: Lesson, model: Classifier, *, cache: Path | None, device: torch.device, tell: Tell | None = None
) -> list[Baseline]:
    """Majority, linear on pixels, linear on the network's own class scores where it has them, and the mean box.

    The network is the one that training will begin with. What it makes of the pictures goes to the cache, where the
    first stage finds it.
    """
    train = lesson.train.take(range(lesson.labelled))
    judged = lesson.test if len(lesson.test) else lesson.valid
    preprocessing = model.description.preprocessing
    own = class_scores_tap(model.network)
    tap = model.description.tap
    scores = None
    if own:
        both = train.joined(judged)
        found = features(
            both,
            model.network.to(device),
            (tap, own),
            preprocessing=preprocessing,
            pool={tap: "avgmax", own: "avg"},
            cache=cache,
            device=device,
            progress=tell,
        )[own].array()
        scores = (np.asarray(found[: len(train)], dtype=np.float32), np.asarray(found[len(train) :], dtype=np.float32))
    boxes = None
    if model.description.boxes:
        boxes = (boxes_of(train, preprocessing).numpy(), boxes_of(judged, preprocessing).numpy())
    return baselines(
        train.targets(lesson.classes),
        judged.targets(lesson.classes),
        lesson.classes,
        pixels=(small_pixels(train), small_pixels(judged)),
        class_scores=scores,
        boxes=boxes,
        groups=judged.column("group"),
    )


def class_scores_tap(network: Network) -> str | None:
    """The layer that gives the network's own class scores, or None where its weights have been cut off before."""
    settings = getattr(network.module, "pretrained_cfg", None) or {}
    name = settings.get("classifier") or "classifier"
    try:
        layer = network.module.get_submodule(name)
    except (AttributeError, TypeError):  # timm names a pair, for networks with two
        return None
    return name if isinstance(layer, nn.Module) and any(True for _ in layer.parameters()) else None
