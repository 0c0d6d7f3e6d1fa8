"""Fine-tuning in stages: the head on activations that do not change, then the layers below it, from one on or all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from impasto.learning.classifier import Classifier
from impasto.learning.lesson import Lesson
from impasto.learning.options import ClassifierOptions
from impasto.learning.stages import Tell, begin, learning_rate, plan, require
from impasto.runs.checkpoint import Checkpoint
from impasto.training.loop import TrainingProgress, train


@dataclass(frozen=True)
class StageProgress:
    """An event of a stage.

    Attributes:
        stage: Its number, from 0.
        name: What it trains.
        event: What happened.
        checkpoint: Makes all that is needed to go on from here.
    """

    stage: int
    name: str
    event: TrainingProgress
    checkpoint: Callable[[], Checkpoint]


def finetune(
    model: Classifier,
    lesson: Lesson,
    options: ClassifierOptions,
    *,
    device: torch.device,
    cache: Path | None = None,
    begin_at: Checkpoint | None = None,
    tell: Tell | None = None,
) -> Iterator[StageProgress]:
    """Train a classifier stage by stage; afterwards it is in evaluation mode, on the device.

    A stage that trains the head alone looks at precomputed activations, each epoch at another of the copies, unless
    pictures are mixed, or boxes are learnt, which need the activations' places, or batch norm before the network.

    Args:
        model: What is trained; a new one, also when the work goes on from a checkpoint.
        lesson: What it learns from.
        options: How.
        device: Where.
        cache: Where precomputed activations are kept; None to keep them in memory.
        begin_at: A checkpoint of this work, to go on from.
        tell: Called with (part done, words) while activations are computed.

    Raises:
        UsageError: A stage names a layer that is not there.
        ImpastoError: The loss is no number any more.
    """
    stages = require(model, options)
    first = begin_at.facts["stage"] if begin_at else 0
    for number, stage in enumerate(stages[first:], first):
        untouched = all(earlier.layers == "head" for earlier in stages[:number])
        state = begin_at if begin_at and number == first else None
        if state and (rest := {k.removeprefix("rest."): v for k, v in state.tensors.items() if k.startswith("rest.")}):
            model.load_state_dict(rest)
        begun = begin(model, lesson, options, number, device=device, cache=cache, tell=tell)
        rate = state.facts["learning_rate"] if state else learning_rate(begun, options, device)
        facts = {"stage": number, "learning_rate": rate}
        rest_too = begun.module is not model and not untouched

        def checkpoint(event: TrainingProgress, facts: dict[str, Any] = facts, whole: bool = rest_too) -> Checkpoint:
            one = event.checkpoint()
            rest = {f"rest.{name}": value for name, value in model.state_dict().items()} if whole else {}
            return Checkpoint(one.tensors | rest, one.facts | facts)

        events = train(
            begun.module, begun.groups, begun.task, plan(begun, options, rate), device=device, begin_at=state
        )
        for event in events:
            yield StageProgress(number, stage.layers, event, partial(checkpoint, event))
    model.requires_grad_(False).eval()
