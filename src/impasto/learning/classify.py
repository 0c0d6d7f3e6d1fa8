"""Train a classifier: from a folder of pictures to a run with its weights, predictions, scores and report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from impasto.errors import UsageError
from impasto.learning.classifier import Classifier, classifier
from impasto.learning.lesson import Lesson, make_lesson, prepare, require_unchanged
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions
from impasto.learning.predict import DATA, MODEL
from impasto.learning.scan import read_data
from impasto.learning.stages import require
from impasto.learning.work import READING, TrainedClassifier, teller, work
from impasto.networks.device import pick_device
from impasto.networks.weights import Download, sha256_of
from impasto.runs.circumstances import circumstances, warn_of_changes
from impasto.runs.directory import RunDirectory, default_path
from impasto.runs.keeper import CHECKPOINT_SECONDS
from impasto.runs.options_file import merge, validate
from impasto.runs.progress import Listen
from impasto.runs.verbs import CLASSIFIER
from impasto.training.stage import parse_stage

log = logging.getLogger("impasto")


def classify(
    source: Path | str,
    *,
    options: ClassifierOptions | None = None,
    run: Path | str | None = None,
    every: float = CHECKPOINT_SECONDS,
    mlflow: str | None = None,
    progress: Listen | None = None,
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
    options = merge(ClassifierOptions, options, fields)
    source = Path(source)
    tell = teller(progress, 0.0, READING)
    data = prepare(read_data(source, progress=tell), options)
    device = pick_device(options.device)
    lesson, model = begin_with(data, options, download)
    directory = Path(run) if run else default_path(CLASSIFIER, source.resolve().stem, options.network.replace(":", "-"))
    begun = RunDirectory.create(
        directory,
        verb=CLASSIFIER,
        options=options.model_dump(mode="json"),
        manifest={
            "source": str(source.absolute()),
            "data": data.sha256,
            "networks": {options.network: model.network.sha256},
            "made_with": circumstances(device),
            "seed": options.seed,
            "every": every,
            "mlflow": mlflow,
            "teachers": _weights_of(options.teachers),
        },
    )
    with begun.lock():
        data.save(begun.path / DATA)
        return work(begun, data, lesson, model, options, progress)


def resume(
    directory: Path | str,
    *,
    progress: Listen | None = None,
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
        kept = (run.path / DATA).exists()
        if kept:
            data = Manifest.load(run.path / DATA)
            require_unchanged(data)
        else:  # killed before it was written
            data = prepare(read_data(Path(run.manifest["source"])), options)
        if data.sha256 != run.manifest["data"]:
            raise UsageError(f"the pictures of {run.manifest['source']} are not those the run {directory} began with")
        if not kept:
            data.save(run.path / DATA)
        lesson, model = begin_with(data, options, download)
        if model.network.sha256 != run.manifest["networks"][options.network]:
            raise UsageError(f"the weights of {options.network} are not those that the run {directory} began with")
        if _weights_of(options.teachers) != run.manifest["teachers"]:
            raise UsageError(f"a teacher of the run {directory} was trained again since it began: begin another run")
        warn_of_changes(run.manifest["made_with"], circumstances(pick_device(options.device)), "weights")
        return work(run, data, lesson, model, options, progress)


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
    if all((parse_stage(text).size or options.size) != options.size for text in options.stages):
        log.warning("no stage trains at the %d pixels at which pictures are then judged: see --size", options.size)
    return make_lesson(data, options, preprocessing=model.description.preprocessing), model


def _weights_of(teachers: Sequence[Path]) -> dict[str, str]:
    """The hash of each teacher's weights."""
    return {str(run): sha256_of(run / MODEL) for run in teachers}
