"""The work in a run of a network from picture to picture: its stages, records, sheets, and the model that comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.images.contact_sheet import contact_sheet
from impasto.images.replace import replace_file
from impasto.networks.device import pick_device
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.circumstances import circumstances, warn_of_changes
from impasto.runs.directory import RunDirectory, default_path
from impasto.runs.journal import Journal
from impasto.runs.options_file import validate
from impasto.runs.progress import Listen, Progress
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

TUNING = 0.1  # of the highest learning rate, where a pretrained encoder joins a decoder that has learnt

Options = TypeVar("Options", bound=TranslationOptions)
Rows = Sequence[Sequence[tuple[str, Float[Tensor, "1 3 h w"]]]]


class Lesson(Protocol):
    """What a network is to learn, whatever it is."""

    def epochs(self, stage: Stage) -> int:
        """How often a stage goes through the pictures."""

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


class Prepared(NamedTuple):
    """What a training begins with.

    Attributes:
        lesson: What is to be learnt.
        module: A new network.
        networks: The hashes of the pretrained networks that are asked or begun with.
    """

    lesson: Lesson
    module: nn.Module
    networks: dict[str, str]


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


def begin(
    prepared: Prepared,
    options: TranslationOptions,
    *,
    verb: str,
    source: Path,
    words: Sequence[str],
    facts: dict[str, Any],
    run: Path | str | None,
    every: float,
    listen: Listen | None,
) -> TrainedModel:
    """Begin a run, and work in it to its end.

    Args:
        prepared: What it begins with.
        options: How it is to be trained.
        verb: What is done.
        source: The folder of its pictures.
        words: What a run that is not named is named after, beside the time, the verb and the source.
        facts: The training's own, for the manifest.
        run: The run's directory, new or empty; by default one under ``runs``.
        every: Seconds between checkpoints, at least.
        listen: Called with every step.

    Raises:
        UsageError: The directory holds something; nothing is begun then.
        ImpastoError: A full disk, a loss that is no number; the run can be resumed.
    """
    begun = RunDirectory.create(
        Path(run) if run else default_path(verb, source.resolve().name, *words),
        verb=verb,
        options=options.model_dump(mode="json"),
        manifest={
            "source": str(source.absolute()),
            **facts,
            "networks": prepared.networks,
            "made_with": circumstances(pick_device(options.device)),
            "seed": options.seed,
            "every": every,
        },
    )
    with begun.lock():
        return work(begun, prepared.module, prepared.lesson, options, listen)


def take_up(
    directory: Path | str,
    model: type[Options],
    prepare: Callable[[RunDirectory, Options], Prepared],
    listen: Listen | None,
) -> TrainedModel:
    """Go on with a run where its last checkpoint is, to the weights that it would have come to.

    Args:
        directory: The run.
        model: Of its options.
        prepare: From the run and its options to what it began with.
        listen: Called with every step.

    Raises:
        UsageError: No run, one that is finished, weights that have changed, another process at work in it.
        ImpastoError: A full disk, a loss that is no number; the run can be resumed.
    """
    run = RunDirectory.open(directory)
    with run.lock():
        if run.status == "finished":
            raise UsageError(f"the run {directory} is finished: its model is {run.path / MODEL}")
        options = validate(model, run.options)
        lesson, module, used = prepare(run, options)
        if used != run.manifest["networks"]:
            raise UsageError(f"the weights of {', '.join(used)} are not those that the run {directory} began with")
        warn_of_changes(run.manifest["made_with"], circumstances(pick_device(options.device)), "weights")
        return work(run, module, lesson, options, listen)


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
    journal = Journal(run)
    stages = [parse_stage(text) for text in options.stages]
    ends = _ends(stages)
    scores = _scores(run.read_log())
    for number, event in _stages(module, lesson, options, stages, device, journal.begin_at):
        record: dict[str, Any] = {"stage": number, "name": stages[number].layers} | finite(event.record)
        journal.note(record)
        if record["kind"] in ("epoch", "watch"):
            scores = _scores([record]) or scores
            shown = lesson.sheet(event.judged or module)
            write(run.path / SHEET, Picture(contact_sheet(shown, height=SHEET_HEIGHT)))
            if record["kind"] == "watch":
                game = [one for one in run.read_log() if one["stage"] == number]
                replace_file(run.path / GAN_CURVES, restoration_curves(game))
            else:
                draw_curves(run.read_log(), run.path / CURVES)
        journal.keep(event.checkpoint, stage=number)
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
        before = sum(lesson.epochs(earlier) for earlier in stages[:number])
        if stage.layers == "gan":
            module.requires_grad_(True)
            events = lesson.adversarial(module, stage, before, state)
        else:
            groups = groups_of(module, stage.layers)
            learnt = options.init is not None or any(earlier.layers == "decoder" for earlier in stages[:number])
            joins = len(groups) > 1 and learnt
            plan = _plan(options, stage, groups=len(groups), joins=joins, seed=options.seed + before)
            events = train(module, groups, lesson.task(stage, before), plan, device=device, begin_at=state)
        for event in events:
            yield number, event


def _plan(options: TranslationOptions, stage: Stage, *, groups: int, joins: bool, seed: int) -> Plan:
    """How a stage moves the weights; it ``joins`` if a decoder has learnt before it, and the encoder begins now."""
    rate = stage.learning_rate or options.learning_rate * (TUNING if joins and options.weights != "none" else 1)
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
