"""Train a classifier: from a folder of pictures to a run with its weights, predictions, scores and report."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.learning import classifier as classifiers
from impasto.learning.audit import audit
from impasto.learning.baselines import save as save_baselines
from impasto.learning.classifier import Classifier, classifier
from impasto.learning.features import default_cache
from impasto.learning.finetune import finetune
from impasto.learning.lesson import Lesson, make_lesson, prepare
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions, parse_stage
from impasto.learning.predict import MODEL, look
from impasto.learning.predictions import Predictions
from impasto.learning.reference import reference
from impasto.learning.report import report
from impasto.learning.scan import read_data
from impasto.learning.scores import Scores, score
from impasto.learning.stages import require
from impasto.networks.device import pick_device
from impasto.runs import checkpoint as checkpoints
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.circumstances import circumstances
from impasto.runs.directory import RunDirectory, default_path
from impasto.runs.keeper import CHECKPOINT_SECONDS, Keeper
from impasto.runs.options_file import validate
from impasto.training.tracking import MLflow, TensorBoard, Tracker

log = logging.getLogger("impasto")

VERB = "train"
TRACKED = ("loss", "accuracy", "iou", "_rate")  # ends of the names of what goes to TensorBoard and MLflow
EXPERIMENT = "impasto"  # of MLflow
DATA = "data.parquet"
PREDICTIONS = "predictions.parquet"

Download = Callable[[int, int | None], object]


@dataclass(frozen=True)
class Progress:
    """Where the work stands, for a bar."""

    done: float
    losses: dict[str, float]
    where: str


@dataclass(frozen=True)
class TrainedClassifier:
    """What came out.

    Attributes:
        run: The run's directory.
        scores: Of the test rows, or where there are none of the validation rows.
        judged_on: Which of the two.
        report: The page.
    """

    run: Path
    scores: Scores
    judged_on: str
    report: Path

    @property
    def predictions(self) -> Predictions:
        """Of the training, validation and test rows."""
        return Predictions.load(self.run / PREDICTIONS)


def classify(
    source: Path | str,
    *,
    options: ClassifierOptions | None = None,
    run: Path | str | None = None,
    every: float = CHECKPOINT_SECONDS,
    mlflow: str | None = None,
    progress: Callable[[Progress], object] | None = None,
    download: Download | None = None,
    **fields: Any,
) -> TrainedClassifier:
    """Train a classifier on pictures, in a run directory, and judge it.

    >>> import impasto
    >>> impasto.classify("pets/", stages=("head:10", "all:3")).scores.accuracy  # doctest: +SKIP

    Args:
        source: A folder of class folders, a table, idx files, or a manifest of these (``impasto data``).
        options: All options at once; ``fields`` go over it.
        run: The run's directory, new or empty; by default one under ``runs`` that is named after the time.
        every: Seconds between checkpoints, at least.
        mlflow: URI of an MLflow store or server to log to as well.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`ClassifierOptions`.

    Raises:
        UsageError: An option out of bounds, or data that no classifier can be learnt of; nothing is begun then.
        ImpastoError: The weights cannot be had, a full disk; the run can be resumed.
    """
    base = options.model_dump(exclude_unset=True) if options else {}
    options = validate(ClassifierOptions, base | fields)
    source = Path(source)
    tell = _teller(progress, 0.0, READING)
    data = prepare(read_data(source, progress=tell), options)
    device = pick_device(options.device)
    lesson, model = begin_with(data, options, download)
    directory = Path(run) if run else default_path(VERB, source.resolve().stem, options.network.replace(":", "-"))
    tracker = MLflow(mlflow, EXPERIMENT, directory.name, options.model_dump(mode="json")) if mlflow else None
    begun = RunDirectory.create(
        directory,
        verb=VERB,
        options=options.model_dump(mode="json"),
        manifest={
            "source": str(source.absolute()),
            "data": data.sha256,
            "networks": {options.network: model.network.sha256},
            "made_with": circumstances(device),
            "seed": options.seed,
            "every": every,
            "mlflow": {"uri": mlflow, "run": tracker.run_id} if tracker else None,
        },
    )
    with begun.lock():
        data.save(begun.path / DATA)
        return work(begun, data, lesson, model, options, progress, tracker)


def resume(
    directory: Path | str,
    *,
    progress: Callable[[Progress], object] | None = None,
    download: Download | None = None,
) -> TrainedClassifier:
    """Go on with a run where its last checkpoint is, to the weights that it would have come to.

    Raises:
        UsageError: No run, one that is finished, data or weights that have changed, another process at work in it.
    """
    run = RunDirectory.open(directory)
    with run.lock():
        if run.status == "finished":
            raise UsageError(f"the run {directory} is finished: its report is {run.path / 'report' / 'index.html'}")
        options = validate(ClassifierOptions, run.options)
        if (run.path / DATA).exists():
            data = Manifest.load(run.path / DATA)
        else:  # killed before it was written
            data = prepare(read_data(Path(run.manifest["source"])), options)
        if data.sha256 != run.manifest["data"]:
            raise UsageError(f"the pictures of {run.manifest['source']} are not those the run {directory} began with")
        data.save(run.path / DATA)
        lesson, model = begin_with(data, options, download)
        if model.network.sha256 != run.manifest["networks"][options.network]:
            raise UsageError(f"the weights of {options.network} are not those that the run {directory} began with")
        for name, was in run.manifest["made_with"].items():
            if (now := circumstances(pick_device(options.device)).get(name)) != was:
                log.warning(
                    "%s was %s when the run began and is %s: the weights may differ in their last digits",
                    name, was, now,
                )  # fmt: skip
        known = run.manifest.get("mlflow")
        tracker = MLflow(known["uri"], EXPERIMENT, run.path.name, run_id=known["run"]) if known else None
        return work(run, data, lesson, model, options, progress, tracker)


READING, AUDITED, BASELINES, TRAINED = 0.05, 0.08, 0.25, 0.92  # parts of the work that are done when these are, roughly


def work(
    run: RunDirectory,
    data: Manifest,
    lesson: Lesson,
    model: Classifier,
    options: ClassifierOptions,
    progress: Callable[[Progress], object] | None,
    tracker: Tracker | None,
) -> TrainedClassifier:
    """Train in a run directory, from its checkpoint on if it has one, and write all that comes out."""
    device = pick_device(options.device)
    cache = default_cache()
    begin_at = checkpoints.load(run.checkpoint_path) if run.checkpoint_path.exists() else None
    run.truncate_log(begin_at.facts["records"] if begin_at else 0)
    if begin_at is None:
        found = audit(data, progress=_teller(progress, READING, AUDITED)) if options.audit else []
        rows = [{"check": one.check, "severity": one.severity, "message": one.message} for one in found]
        replace_file(run.path / "audit.json", json.dumps(rows, indent=1).encode())
        for one in found:
            if one.severity == "error":
                log.warning("%s", one.message)
        known = reference(lesson, model, cache=cache, device=device, tell=_teller(progress, AUDITED, BASELINES))
        save_baselines(known, run.path / "baselines.json")
    _train(run, lesson, model, options, device, cache, begin_at, progress, tracker)
    classifiers.save(model, run.path / MODEL)
    predictions, embeddings = look(model, lesson.judged, device=device, tell=_teller(progress, TRAINED, 0.99))
    predictions.save(run.path / PREDICTIONS)
    replace_file(run.path / "embeddings.safetensors", to_safetensors({"embeddings": embeddings.contiguous()}))
    judged_on = "test" if len(lesson.test) else "valid"
    scores = score(predictions.split(judged_on))
    page = report(run.path)
    run.finish(MODEL, judged_on=judged_on, scores=scores.to_json())
    run.checkpoint_path.unlink(missing_ok=True)  # nothing is left to resume
    if tracker:
        tracker.log(0, {f"{judged_on}_{name}": value for name, value in scores.numbers().items()})
        tracker.finish([run.path / name for name in ("options.yaml", PREDICTIONS)] + [page])
    return TrainedClassifier(run.path, scores, judged_on, page)


def begin_with(data: Manifest, options: ClassifierOptions, download: Download | None) -> tuple[Lesson, Classifier]:
    """The lesson and a new classifier for it."""
    classes = data.where(split="train").classes
    model = classifier(
        classes,
        network=options.network,
        weights=options.weights,
        tap=options.tap,
        seed=options.seed,
        progress=download,
        **options.model_dump(include={"head", "dropout", "boxes", "batch_norm", "input_batch_norm", "size", "fit"}),
    )
    require(model, options)
    return make_lesson(data, options, preprocessing=model.description.preprocessing), model


def _train(
    run: RunDirectory,
    lesson: Lesson,
    model: Classifier,
    options: ClassifierOptions,
    device: torch.device,
    cache: Path,
    begin_at: Checkpoint | None,
    progress: Callable[[Progress], object] | None,
    tracker: Tracker | None,
) -> None:
    """All stages, with a record of every step, and a checkpoint now and then."""
    keeper = Keeper(run.checkpoint_path, run.manifest["every"])
    records = begin_at.facts["records"] if begin_at else 0
    steps = begin_at.facts["steps"] if begin_at else 0
    trackers: list[Tracker] = [TensorBoard(run.path / "events", first=steps), *([tracker] if tracker else [])]
    parts = _parts(options)
    where = {"at": 0.0, "to": 1.0}

    def tell(part: float, words: str) -> None:
        if progress:
            progress(Progress(TRAINED * where["at"] + (1 - where["at"]) * BASELINES, {}, words))

    for turn in finetune(model, lesson, options, device=device, cache=cache, begin_at=begin_at, tell=tell):
        where["at"], where["to"] = parts[turn.stage], parts[turn.stage + 1]
        record: dict[str, Any] = {"stage": turn.stage, "name": turn.name} | turn.event.record
        run.log(record)
        records += 1
        steps += 1
        values = {key: float(value) for key, value in record.items() if key.endswith(TRACKED)}
        for one in trackers:
            one.log(steps, values)

        def state(turn: Any = turn, facts: dict[str, int] = {"records": records, "steps": steps}) -> Checkpoint:  # noqa: B006
            one = turn.checkpoint()
            return Checkpoint(one.tensors, one.facts | facts)

        keeper.keep(state)
        if progress:
            done = where["at"] + (where["to"] - where["at"]) * turn.event.done
            words = f"{turn.name} {turn.event.where}"
            progress(Progress(BASELINES + (TRAINED - BASELINES) * done, turn.event.losses, words))
    trackers[0].close()


def _parts(options: ClassifierOptions) -> list[float]:
    """Where each stage begins and ends, as parts of the training: an epoch of a head is a small part of one of all."""
    costs = [
        stage.epochs * (0.02 if stage.layers == "head" and options.precompute else 1.0)
        for stage in map(parse_stage, options.stages)
    ]
    ends = [0.0]
    for cost in costs:
        ends.append(ends[-1] + cost / sum(costs))
    return ends


def _teller(
    progress: Callable[[Progress], object] | None, first: float, last: float
) -> Callable[[float, str], object] | None:
    if progress is None:
        return None
    return lambda part, words: progress(Progress(first + (last - first) * part, {}, words))
