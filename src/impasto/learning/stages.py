"""Stages: what a stage of fine-tuning trains, on what, and at which learning rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, islice
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
from impasto.learning.options import ClassifierOptions
from impasto.learning.order import Order
from impasto.learning.pictures import Pictures, Preprocessing
from impasto.learning.tasks import ActivationTask, Criterion, PictureTask
from impasto.training.finder import Found, find_learning_rate
from impasto.training.loop import Plan, train_mode
from impasto.training.optimizers import build, discriminative
from impasto.training.schedules import MOMENTA, by_name
from impasto.training.stage import Stage, parse_stage

Tell = Callable[[float, str], object]

TUNING = 0.05  # of the head's learning rate, for stages that move pretrained layers


@dataclass(frozen=True)
class Begun:
    """A stage that is ready to be trained.

    Attributes:
        stage: What was asked for.
        module: What is trained: the classifier, or its head alone where activations are precomputed.
        task: On what.
        groups: The parameters that move, from the lowest layers up; what is new stands last.
        seed: Of the stage.
    """

    stage: Stage
    module: nn.Module
    task: ActivationTask | PictureTask
    groups: list[list[nn.Parameter]]
    seed: int


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


def begin(
    model: Classifier,
    lesson: Lesson,
    options: ClassifierOptions,
    number: int,
    *,
    device: torch.device,
    cache: Path | None = None,
    tell: Tell | None = None,
) -> Begun:
    """Make a stage ready: freeze what it does not train, and compute the activations that do not change.

    Args:
        model: The classifier as the stages before have left it.
        lesson: What it learns from.
        options: How.
        number: The stage's, from 0.
        device: Where.
        cache: Where precomputed activations are kept; None to keep them in memory.
        tell: Called with (part done, words) while they are computed.
    """
    stages = require(model, options)
    stage, epochs_before = stages[number], sum(earlier.epochs for earlier in stages[:number])
    groups = [*_trained(model, stage), [one for part in model.heads() for one in part.parameters()]]
    model.requires_grad_(False)
    for group in groups:
        for parameter in group:
            parameter.requires_grad_(True)
    seed = int(np.random.SeedSequence([options.seed, epochs_before]).generate_state(1)[0])
    model.to(device)
    if stage.layers == "head" and options.precompute and not options.mixup and model.heads() == [model.head]:
        task = _activation_task(model, lesson, options, stage, device, cache, tell)
        return Begun(stage, model.head, task, groups, seed)
    return Begun(stage, model, _picture_task(model, lesson, options, stage, device, epochs_before), groups, seed)


def plan(begun: Begun, options: ClassifierOptions, rate: float) -> Plan:
    """How a stage moves the weights, with that highest learning rate."""
    groups = len(begun.groups)
    rates = discriminative(rate * options.discriminative, rate, groups)
    if options.network.startswith("scratch:"):
        rates = [rate] * groups  # nothing is known yet that could be lost
    return Plan(
        epochs=begun.stage.epochs,
        learning_rates=tuple(rates),
        schedule=by_name(options.schedule),
        momentum=MOMENTA[options.schedule]() if options.schedule in MOMENTA else None,
        optimizer=options.optimizer,
        weight_decay=options.weight_decay,
        clip=options.clip,
        average=options.average,
        patience=options.patience,
        precision=options.precision,
        seed=begun.seed,
    )


def learning_rate(begun: Begun, options: ClassifierOptions, device: torch.device) -> float:
    """Of the head: the stage's own, or the one that is found, or the options', far less once the network moves too.

    fastai's ``fine_tune`` halves it. With Adam that undid on 640 pictures what the head had learnt (validation loss
    0.074 → 0.090 with SqueezeNet on dogs-vs-cats), and a twentieth did not (0.072 → 0.069).
    """
    if begun.stage.learning_rate:
        return begun.stage.learning_rate
    if options.learning_rate == "auto":
        return find(begun, options, device).suggestions["valley"]
    moves = begun.stage.layers != "head" and not options.network.startswith("scratch:")
    return options.learning_rate * (TUNING if moves else 1)


def find(begun: Begun, options: ClassifierOptions, device: torch.device, tell: Tell | None = None) -> Found:
    """Try learning rates on a stage that is ready; everything is left as it was."""
    how = plan(begun, options, 1.0)
    optimizer = build(begun.groups, how.optimizer, how.learning_rates, how.weight_decay)
    endless = (batch for epoch in count() for batch in begun.task.batches(epoch, 0))
    train_mode(begun.module)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(begun.seed)  # of dropout
        return find_learning_rate(begun.module, optimizer, islice(endless, 100), begun.task.loss, progress=tell)


def _trained(model: Classifier, stage: Stage) -> list[list[nn.Parameter]]:
    """The parameters of the network, in groups from the lowest up, that a stage trains."""
    groups = model.groups()
    if stage.layers == "head":
        return []
    if stage.layers != "all":
        groups = from_layer(model.network, groups, stage.layers)
    return [parameters_of(model.body, names) for names in groups]


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
