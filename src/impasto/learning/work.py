"""The work in a classifier's run: train it, keep records, and write all that comes out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_safetensors

from impasto.images.replace import replace_file
from impasto.learning import classifier as classifiers
from impasto.learning.audit import audit
from impasto.learning.baselines import save as save_baselines
from impasto.learning.classifier import Classifier
from impasto.learning.features import default_cache
from impasto.learning.finetune import StageProgress, finetune
from impasto.learning.lesson import Lesson
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions
from impasto.learning.predict import MODEL, look
from impasto.learning.predictions import Predictions
from impasto.learning.reference import reference
from impasto.learning.report import report
from impasto.learning.scores import Scores, score
from impasto.learning.snapshots import keep_snapshot
from impasto.networks.device import pick_device
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.directory import RunDirectory
from impasto.runs.journal import Journal
from impasto.runs.progress import Listen, Progress
from impasto.training.stage import parse_stage
from impasto.training.tracking import MLflow, TensorBoard, Tracker

log = logging.getLogger("impasto")

PREDICTIONS = "predictions.parquet"
EVENTS = "events"
TRACKED = ("loss", "accuracy", "iou", "_rate")  # ends of the names of what goes to TensorBoard and MLflow
EXPERIMENT = "impasto"  # of MLflow

READING, AUDITED, BASELINES, TRAINED = 0.05, 0.08, 0.25, 0.92  # parts of the work that are done when these are, roughly


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


def work(
    run: RunDirectory,
    data: Manifest,
    lesson: Lesson,
    model: Classifier,
    options: ClassifierOptions,
    listen: Listen | None,
) -> TrainedClassifier:
    """Train in a run directory, from its checkpoint on if it has one, and write all that comes out.

    Args:
        run: The directory, which the caller holds the lock of.
        data: All rows.
        lesson: What is made of them.
        model: A new classifier.
        options: How.
        listen: Called as the work goes on.

    Raises:
        ImpastoError: A full disk, a loss that is no number; the run can be resumed.
    """
    device = pick_device(options.device)
    journal = Journal(run)
    if journal.begin_at is None:
        _audit(run, data, options, teller(listen, READING, AUDITED))
        tell = teller(listen, AUDITED, BASELINES)
        if options.snapshots:
            keep_snapshot(run.path, model, stage=0, epoch=0)
        save_baselines(
            reference(lesson, model, cache=default_cache(), device=device, tell=tell), run.path / "baselines.json"
        )
    judged_on = "test" if len(lesson.test) else "valid"
    with _trackers(run, options, journal.begin_at) as trackers:
        turns = finetune(
            model,
            lesson,
            options,
            device=device,
            cache=default_cache(),
            begin_at=journal.begin_at,
            tell=teller(listen, BASELINES, BASELINES),
        )
        _record(run, journal, turns, model, options, trackers, listen)
        classifiers.save(model, run.path / MODEL)
        predictions, embeddings = look(model, lesson.judged, device=device, tell=teller(listen, TRAINED, 0.99))
        predictions.save(run.path / PREDICTIONS)
        replace_file(run.path / "embeddings.safetensors", to_safetensors({"embeddings": embeddings.contiguous()}))
        scores = score(predictions.split(judged_on))
        page = report(run.path)
        for tracker in trackers:
            tracker.log(0, {f"{judged_on}_{name}": value for name, value in scores.numbers().items()})
            tracker.finish([run.path / "options.yaml", run.path / PREDICTIONS, page])
    run.finish(MODEL, judged_on=judged_on, scores=scores.to_json())
    return TrainedClassifier(run.path, scores, judged_on, page)


def teller(listen: Listen | None, first: float, last: float) -> Callable[[float, str], object] | None:
    """What a part of the work is told with, that is done between these parts of the whole."""
    if listen is None:
        return None
    return lambda part, words: listen(Progress(first + (last - first) * part, {}, words))


def _audit(
    run: RunDirectory, data: Manifest, options: ClassifierOptions, tell: Callable[[float, str], object] | None
) -> None:
    found = audit(data, progress=tell) if options.audit else []
    rows = [{"check": one.check, "severity": one.severity, "message": one.message} for one in found]
    replace_file(run.path / "audit.json", json.dumps(rows, indent=1).encode())
    for one in found:
        if one.severity == "error":
            log.warning("%s", one.message)


@contextmanager
def _trackers(run: RunDirectory, options: ClassifierOptions, begin_at: Checkpoint | None) -> Iterator[list[Tracker]]:
    """TensorBoard's events beside the run, and MLflow if it was asked for; closed however the work ends."""
    first = begin_at.facts["records"] + 1 if begin_at else int((run.path / EVENTS).exists())
    trackers: list[Tracker] = [TensorBoard(run.path / EVENTS, first=first)]
    try:
        if uri := run.manifest.get("mlflow"):
            known = run.manifest.get("mlflow_run")
            tracker = MLflow(uri, EXPERIMENT, run.path.name, options.model_dump(mode="json"), run_id=known)
            trackers.append(tracker)
            run.note(mlflow_run=tracker.run_id)
        yield trackers
    finally:
        for one in trackers:
            one.close()


def _record(
    run: RunDirectory,
    journal: Journal,
    turns: Iterator[StageProgress],
    model: Classifier,
    options: ClassifierOptions,
    trackers: list[Tracker],
    listen: Listen | None,
) -> None:
    """Let all stages run, with a record of every step, and a checkpoint now and then."""
    parts = _parts(options)
    for turn in turns:
        record: dict[str, Any] = {"stage": turn.stage, "name": turn.name} | turn.event.record
        journal.note(record)
        values = {key: float(value) for key, value in record.items() if key.endswith(TRACKED)}
        for tracker in trackers:
            tracker.log(journal.records, values)
        if options.snapshots and record["kind"] == "epoch":  # before the checkpoint, which then knows of it
            keep_snapshot(run.path, model, stage=turn.stage, epoch=record["epoch"])
        journal.keep(turn.checkpoint)
        if listen:
            at, to = parts[turn.stage], parts[turn.stage + 1]
            done = BASELINES + (TRAINED - BASELINES) * (at + (to - at) * turn.event.done)
            listen(Progress(done, turn.event.losses, f"{turn.name} {turn.event.where}"))


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
