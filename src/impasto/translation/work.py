"""The work in a run of a network from picture to picture: its stages, records, sheets, and the model that comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.images.contact_sheet import contact_sheet
from impasto.images.replace import replace_file
from impasto.networks.device import pick_device
from impasto.runs import checkpoint as checkpoints
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.directory import RunDirectory
from impasto.runs.keeper import Keeper
from impasto.training.loop import Plan, Task, TrainingProgress, finite, train
from impasto.training.optimizers import discriminative
from impasto.training.schedules import MOMENTA, by_name
from impasto.training.stage import Stage, parse_stage
from impasto.translation.architectures.unet import UNet
from impasto.translation.curves import draw_curves
from impasto.translation.gan.curves import restoration_curves
from impasto.translation.make import groups_of
from impasto.translation.model import MODEL, TranslationModel, save
from impasto.translation.options import TranslationOptions

SHEET, CURVES, GAN_CURVES = "sheet.png", "curves.png", "gan-curves.png"
SHEET_HEIGHT = 256

TUNING = 0.1  # of the highest learning rate, for stages that move a pretrained encoder too


@dataclass(frozen=True)
class Progress:
    """Where the work stands, for a bar."""

    done: float
    losses: dict[str, float]
    where: str


Listen = Callable[[Progress], object]
Rows = Sequence[Sequence[tuple[str, Float[Tensor, "1 3 h w"]]]]


class Lesson(Protocol):
    """What a network is to learn, whatever it is."""

    def task(self, stage: Stage, first_epoch: int) -> Task:
        """What a stage learns from; ``first_epoch`` epochs came before it."""

    def adversarial(
        self, module: nn.Module, stage: Stage, first_epoch: int, begin_at: Checkpoint | None
    ) -> Iterator[Any]:
        """The events of a stage named gan."""

    def sheet(self, module: nn.Module) -> Rows:
        """What the network makes of some pictures it does not learn from."""

    def model(self, module: nn.Module) -> TranslationModel:
        """What is to be kept."""


@dataclass(frozen=True)
class TrainedModel:
    """What came out of a run.

    Attributes:
        run: Its directory.
        model: The file of the model in it.
        scores: Of the last epoch, on the validation pictures, and of the model on the test pictures, as far as there
            are any.
        sheet: What it makes of some of them.
    """

    run: Path
    model: Path
    scores: dict[str, float]
    sheet: Path


def work(
    run: RunDirectory,
    module: nn.Module,
    lesson: Lesson,
    options: TranslationOptions,
    listen: Listen | None,
) -> TrainedModel:
    """Train in a run directory, from its checkpoint on if it has one, and write all that comes out.

    Args:
        run: The directory, which the caller holds the lock of.
        module: A new network.
        lesson: What it learns.
        options: How.
        listen: Called with every step.

    Raises:
        ImpastoError: A full disk, a loss that is no number; the run can be resumed.
    """
    device = pick_device(options.device)
    begin_at = checkpoints.load(run.checkpoint_path) if run.checkpoint_path.exists() else None
    records = begin_at.facts["records"] if begin_at else 0
    run.truncate_log(records)
    keeper = Keeper(run.checkpoint_path, run.manifest["every"])
    stages = [parse_stage(text) for text in options.stages]
    ends = _ends(stages)
    scores = _scores(run.read_log())
    for number, event in _stages(module, lesson, options, stages, device, begin_at):
        record: dict[str, Any] = {"stage": number, "name": stages[number].layers} | finite(event.record)
        run.log(record)
        records += 1
        if record["kind"] in ("epoch", "watch"):
            scores = _scores([record]) or scores
            shown = lesson.sheet(event.judged or module)
            write(run.path / SHEET, Picture(contact_sheet(shown, height=SHEET_HEIGHT)))
            if record["kind"] == "watch":
                replace_file(run.path / GAN_CURVES, restoration_curves(run.read_log()))
            else:
                draw_curves(run.read_log(), run.path / CURVES)
        keeper.keep(partial(_noted, event, number, records))
        if listen:
            done = ends[number] + (ends[number + 1] - ends[number]) * event.done
            listen(Progress(0.99 * done, event.losses, f"{stages[number].layers} {event.where}"))
    if stages[-1].layers == "gan":  # what an epoch would have found, of the weights that are kept
        with torch.no_grad():
            scores = lesson.task(stages[-1], 0).evaluate(module.eval())
    module.requires_grad_(False).eval().to("cpu")
    write(run.path / SHEET, Picture(contact_sheet(lesson.sheet(module), height=SHEET_HEIGHT)))
    model = lesson.model(module)
    save(replace(model, card=model.card | {"validation": scores}), run.path / MODEL)
    scores |= model.card.get("scores", {})  # of the test pictures, where there are any
    run.finish(MODEL, scores=scores, **{name: model.card[name] for name in ("iou",) if name in model.card})
    run.checkpoint_path.unlink(missing_ok=True)  # nothing is left to resume
    return TrainedModel(run.path, run.path / MODEL, scores, run.path / SHEET)


def _stages(
    module: nn.Module,
    lesson: Lesson,
    options: TranslationOptions,
    stages: Sequence[Stage],
    device: torch.device,
    begin_at: Checkpoint | None,
) -> Iterator[tuple[int, TrainingProgress]]:
    """The events of all stages, each with its stage's number."""
    first = begin_at.facts["stage"] if begin_at else 0
    for number, stage in enumerate(stages[first:], first):
        state = begin_at if begin_at and number == first else None
        before = sum(earlier.epochs for earlier in stages[:number])
        if stage.layers == "gan":
            module.requires_grad_(True)
            events = lesson.adversarial(module, stage, before, state)
        else:
            groups = groups_of(module, stage.layers)
            plan = _plan(options, stage, groups=len(groups), seed=options.seed + before)
            events = train(module, groups, lesson.task(stage, before), plan, device=device, begin_at=state)
        for event in events:
            yield number, event


def _plan(options: TranslationOptions, stage: Stage, *, groups: int, seed: int) -> Plan:
    """How a stage moves the weights."""
    rate = stage.learning_rate or options.learning_rate * (TUNING if groups > 1 and options.weights != "none" else 1)
    rates = (
        [rate] * groups if options.weights == "none" else discriminative(rate * options.discriminative, rate, groups)
    )
    return Plan(
        epochs=stage.epochs,
        learning_rates=tuple(rates),
        schedule=by_name(options.schedule),
        momentum=MOMENTA[options.schedule]() if options.schedule in MOMENTA else None,
        optimizer=options.optimizer,
        weight_decay=options.weight_decay,
        clip=options.clip,
        average=options.average,
        precision=options.precision,
        seed=seed,
    )


def _scores(records: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Of the last epoch in the records, on the validation pictures."""
    last: dict[str, Any] = next((record for record in reversed(records) if record["kind"] == "epoch"), {})
    return {key.removeprefix("valid_"): float(last[key]) for key in last if key.startswith("valid_")}


def _noted(event: TrainingProgress, stage: int, records: int) -> Checkpoint:
    one = event.checkpoint()
    return Checkpoint(one.tensors, one.facts | {"stage": stage, "records": records})


def _ends(stages: Sequence[Stage]) -> list[float]:
    """Where each stage begins and ends, as parts of the work."""
    total, ends = sum(stage.epochs for stage in stages), [0.0]
    for stage in stages:
        ends.append(ends[-1] + stage.epochs / total)
    return ends


def require_stages(module: nn.Module, options: TranslationOptions, multiple: int) -> None:
    """Find out before the work that every stage can be trained.

    Args:
        module: The network.
        options: How it is to be trained.
        multiple: What sides of crops must be multiples of.

    Raises:
        UsageError: One cannot.
    """
    for text in options.stages:
        stage = parse_stage(text)
        if stage.layers == "gan":
            module.requires_grad_(True)
        else:
            groups_of(module, stage.layers)
        if (side := stage.size or options.size) % multiple:
            near = max(1, round(side / multiple)) * multiple
            raise UsageError(f"stage {text}: crops of {side} pixels do not divide by {multiple}: take {near}")
        if options.batch_size == 1 and isinstance(module, UNet) and side <= module.stride and _normalises(module):
            raise UsageError(
                f"stage {text}: one crop of {side} pixels is a single pixel at the bottom of the U-Net, and batch norm "
                f"needs several: take crops of more than {module.stride}, or --batch-size 2"
            )


def _normalises(module: nn.Module) -> bool:
    """Whether a batch norm is trained."""
    norms = (one for one in module.modules() if isinstance(one, nn.BatchNorm2d))
    return any(parameter.requires_grad for norm in norms for parameter in norm.parameters())
