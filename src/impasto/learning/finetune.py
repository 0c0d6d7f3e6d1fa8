"""Fine-tuning in stages: the head on activations that do not change, then the layers below it, from one on or all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from impasto.learning.augmentation import parse
from impasto.learning.classifier import Classifier
from impasto.learning.features import features
from impasto.learning.groups import from_layer, parameters_of
from impasto.learning.lesson import Lesson
from impasto.learning.options import ClassifierOptions, Stage, parse_stage
from impasto.learning.order import Order
from impasto.learning.pictures import Pictures, Preprocessing
from impasto.learning.tasks import ActivationTask, Criterion, PictureTask
from impasto.runs.checkpoint import Checkpoint
from impasto.training.finder import find_learning_rate
from impasto.training.loop import Plan, TrainingProgress, train
from impasto.training.optimizers import build, discriminative
from impasto.training.schedules import MOMENTA, by_name

Tell = Callable[[float, str], object]

TUNING = 0.05  # of the head's learning rate, for stages that move pretrained layers


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

    A stage that trains the head alone looks at precomputed activations, where that gives the same: that is, unless
    boxes, which need the activations' places, or batch norm before the network are learnt.

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
        _freeze(model, stage)
        epochs_before = sum(earlier.epochs for earlier in stages[:number])
        precomputed = stage.layers == "head" and options.precompute and model.heads() == [model.head]
        task: ActivationTask | PictureTask
        if precomputed:
            task = _activation_task(model, lesson, options, stage, device, cache, tell)
        else:
            task = _picture_task(model, lesson, options, stage, device, epochs_before)
        module: nn.Module = model.head if precomputed else model
        model.to(device)
        rate = state.facts["learning_rate"] if state else _learning_rate(model, module, task, options, stage, device)
        plan = _plan(model, options, stage, rate, epochs_before)
        groups = [list(module.parameters())] if precomputed else _groups(model, stage)

        def checkpoint(
            event: TrainingProgress, number: int = number, rate: float = rate, whole: bool = module is model
        ) -> Checkpoint:
            one = event.checkpoint()
            tensors = one.tensors
            if not (whole or untouched):  # noqa: B023  # called within this turn only
                tensors |= {f"rest.{name}": value for name, value in model.state_dict().items()}
            return Checkpoint(tensors, one.facts | {"stage": number, "learning_rate": rate})

        for event in train(module, groups, task, plan, device=device, begin_at=state):
            yield StageProgress(number, stage.layers, event, lambda event=event: checkpoint(event))  # type: ignore[misc]
    model.requires_grad_(False).eval()


def require(model: Classifier, options: ClassifierOptions) -> list[Stage]:
    """The stages, once it is sure that the model has the layers they name, and the augmentations are there.

    Raises:
        UsageError: Not so.
    """
    parse(options.augment)
    stages = [parse_stage(text) for text in options.stages]
    for stage in stages:
        _trained(model, stage)
    return stages


def _trained(model: Classifier, stage: Stage) -> list[list[nn.Parameter]]:
    """The parameters of the network, in groups from the lowest up, that a stage trains."""
    groups = model.groups()
    if stage.layers == "head":
        return []
    if stage.layers != "all":
        groups = from_layer(model.network, groups, stage.layers)
    return [parameters_of(model.body, names) for names in groups]


def _groups(model: Classifier, stage: Stage) -> list[list[nn.Parameter]]:
    """The layer groups of the network that a stage trains, and what is new as the last."""
    return [*_trained(model, stage), [parameter for part in model.heads() for parameter in part.parameters()]]


def _freeze(model: Classifier, stage: Stage) -> None:
    """Let the stage's layers be trained, and no others."""
    model.requires_grad_(False)
    for part in model.heads():
        part.requires_grad_(True)
    for group in _trained(model, stage):
        for parameter in group:
            parameter.requires_grad_(True)


def _plan(model: Classifier, options: ClassifierOptions, stage: Stage, rate: float, epochs_before: int) -> Plan:
    groups = len(_trained(model, stage))
    rates = discriminative(rate * options.discriminative, rate, groups + 1) if groups else [rate]
    if options.network.startswith("scratch:"):
        rates = [rate] * (groups + 1)  # nothing is known yet that could be lost
    return Plan(
        epochs=stage.epochs,
        learning_rates=tuple(rates),
        schedule=by_name(options.schedule),
        momentum=MOMENTA[options.schedule]() if options.schedule in MOMENTA else None,
        optimizer=options.optimizer,
        weight_decay=options.weight_decay,
        clip=options.clip,
        average=options.average,
        patience=options.patience,
        precision=options.precision,
        seed=options.seed + epochs_before,
    )


def _learning_rate(
    model: Classifier,
    module: nn.Module,
    task: ActivationTask | PictureTask,
    options: ClassifierOptions,
    stage: Stage,
    device: torch.device,
) -> float:
    """Of the head: the stage's own, or the one that is found, or the options', far less once the network moves too.

    fastai's ``fine_tune`` halves it. With Adam that undid on 640 pictures what the head had learnt (validation loss
    0.074 → 0.090 with SqueezeNet on dogs-vs-cats), and a twentieth did not (0.072 → 0.069).
    """
    if stage.learning_rate:
        return stage.learning_rate
    if options.learning_rate != "auto":
        pretrained = not options.network.startswith("scratch:")
        return options.learning_rate * (TUNING if stage.layers != "head" and pretrained else 1)
    groups = [list(module.parameters())] if module is not model else _groups(model, stage)
    parts = _plan(model, options, stage, 1.0, 0).learning_rates
    optimizer = build(groups, options.optimizer, learning_rates=parts, weight_decay=options.weight_decay)
    endless = (batch for epoch in cycle(range(stage.epochs)) for batch in task.batches(epoch, 0))
    module.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(options.seed)  # of dropout
        found = find_learning_rate(module, optimizer, islice(endless, 100), task.loss)
    return float(found.suggestions["valley"])


def _order(lesson: Lesson, options: ClassifierOptions) -> Order:
    return Order(
        classes=lesson.truth.labels[: lesson.labelled].argmax(1).numpy(),
        pseudo=len(lesson.train) - lesson.labelled,
        batch_size=options.batch_size,
        share=options.pseudo_share,
        sampling=options.sampling,
        seed=options.seed,
    )


def _criterion(options: ClassifierOptions) -> Criterion:
    return Criterion(options.label_smoothing, options.distillation, options.temperature, options.mixup)


def _picture_task(
    model: Classifier,
    lesson: Lesson,
    options: ClassifierOptions,
    stage: Stage,
    device: torch.device,
    epochs_before: int,
) -> PictureTask:
    preprocessing = Preprocessing(stage.size or options.size, options.fit)
    room = int(options.memory * 2**30)
    share = len(lesson.train) / max(1, len(lesson.train) + len(lesson.valid))
    held_out = None
    if len(lesson.valid):
        # validation is at the size that the classifier will be used at, whatever the stage trains at
        valid = Pictures(lesson.valid, model.description.preprocessing, memory_bytes=int(room * (1 - share)))
        held_out = (valid, lesson.valid_truth)
    return PictureTask(
        pictures=Pictures(lesson.train, preprocessing, memory_bytes=int(room * share)),
        truth=lesson.truth,
        order=_order(lesson, options),
        criterion=_criterion(options),
        device=device,
        held_out=held_out,
        augmentations=parse(options.augment),
        first_epoch=epochs_before,
    )


def _activation_task(
    model: Classifier,
    lesson: Lesson,
    options: ClassifierOptions,
    stage: Stage,
    device: torch.device,
    cache: Path | None,
    tell: Tell | None,
) -> ActivationTask:
    tap = model.description.tap
    augmentations = parse(options.augment)
    how: dict[str, Any] = {"pool": "avgmax", "cache": cache, "device": device, "seed": options.seed}
    seen = features(
        lesson.train,
        model.network,
        (tap,),
        preprocessing=Preprocessing(stage.size or options.size, options.fit),
        augmentations=augmentations,
        copies=options.copies if augmentations else 1,
        progress=tell,
        **how,
    )[tap]
    held_out = None
    if len(lesson.valid):
        unseen = features(
            lesson.valid, model.network, (tap,), preprocessing=model.description.preprocessing, progress=tell, **how
        )[tap]
        held_out = (unseen.read(np.arange(len(lesson.valid))), lesson.valid_truth)
    return ActivationTask(
        read=seen.read,
        copies=options.copies if augmentations else 1,
        truth=lesson.truth,
        order=_order(lesson, options),
        criterion=_criterion(options),
        device=device,
        held_out=held_out,
    )
