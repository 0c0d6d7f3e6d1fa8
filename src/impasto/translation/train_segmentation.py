"""Train a segmentation: from pictures with masks to a run with a model that labels every pixel."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from impasto import __version__
from impasto.errors import UsageError
from impasto.networks.device import pick_device
from impasto.networks.weights import Download
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.directory import RunDirectory
from impasto.runs.keeper import CHECKPOINT_SECONDS
from impasto.runs.options_file import merge
from impasto.runs.progress import Listen
from impasto.runs.verbs import SEGMENTATION
from impasto.training.loop import TrainingProgress
from impasto.training.stage import Stage
from impasto.translation.iou import always, iou, scores_of
from impasto.translation.make import make, require_used
from impasto.translation.masks import Masked, masked, nearest_frames
from impasto.translation.model import TranslationModel
from impasto.translation.options import SegmentationOptions
from impasto.translation.pictures import records, taken_out, unchanged
from impasto.translation.segmentation import (
    Example,
    SegmentationTask,
    class_weights,
    coloured,
    counted,
    pixels_of,
    read_examples,
)
from impasto.translation.work import Prepared, Rows, TrainedModel, begin, require_stages, take_up

log = logging.getLogger("impasto")

SHOWN = 6
CLOSE = 300  # frames: ten seconds of a film


@dataclass(frozen=True)
class Data:
    """Pictures with masks: to learn from, to judge by as it learns, and to judge by at the end."""

    train: Masked
    valid: Masked
    test: Masked


def train_segmentation(
    source: Path | str,
    *,
    options: SegmentationOptions | None = None,
    run: Path | str | None = None,
    every: float = CHECKPOINT_SECONDS,
    progress: Listen | None = None,
    download: Download | None = None,
    **fields: Any,
) -> TrainedModel:
    """Train a U-Net on pictures with masks, in a run directory, and judge it.

    >>> import impasto
    >>> impasto.train_segmentation("camvid/", void=11).scores["test_miou"]  # doctest: +SKIP

    Args:
        source: A folder with ``images`` and ``masks``, or with such folders under ``train``, ``valid`` (or ``val``)
            and ``test``.
        options: All options at once; ``fields`` go over it.
        run: The run's directory, new or empty; by default one under ``runs`` that is named after the time.
        every: Seconds between checkpoints, at least.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`SegmentationOptions`.

    Raises:
        UsageError: An option out of bounds, or a picture without a mask; nothing is begun then.
        ImpastoError: The weights cannot be had, a full disk; the run can be resumed.
    """
    options = merge(SegmentationOptions, options, fields)
    require_used(options)
    source = Path(source)
    device = pick_device(options.device)
    data = find(source, options)
    if (frames := nearest_frames(data.train.pictures, data.valid.pictures)) and min(frames) < CLOSE:
        log.warning(
            "%d of %d validation pictures are from films that are learnt from, the nearest %d frames away: their "
            "scores measure memory too; believe the test's",
            *(len(frames), len(data.valid), min(frames)),
        )
    return begin(
        _prepare(data, options, device, download),
        options,
        verb=SEGMENTATION,
        source=source,
        words=[options.encoder.replace(":", "-")],
        facts={
            "pictures": [len(part) for part in (data.train, data.valid, data.test)],
            "files": {
                name: {"pictures": records(part.pictures), "masks": records(part.masks)}
                for name, part in vars(data).items()
            },
            "frames_to_training": frames,
        },
        run=run,
        every=every,
        listen=progress,
    )


def resume(
    directory: Path | str,
    *,
    search: Sequence[Path] = (),
    progress: Listen | None = None,
    download: Download | None = None,
) -> TrainedModel:
    """Go on with a run where its last checkpoint is, to the weights that it would have come to.

    Args:
        directory: The run.
        search: Folders in which to look for pictures and masks that have moved; they are known by their hash.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: No run, one that is finished, pictures or weights that have changed, another process at work in it.
    """

    def prepare(run: RunDirectory, options: SegmentationOptions) -> Prepared:
        return _prepare(_again(run, search), options, pick_device(options.device), download)

    return take_up(directory, SegmentationOptions, prepare, progress)


def _again(run: RunDirectory, search: Sequence[Path]) -> Data:
    """The pictures and masks that a run began with."""
    files = run.manifest["files"]
    return Data(
        *(
            Masked(*(unchanged(files[part][kind], search) for kind in ("pictures", "masks")))
            for part in ("train", "valid", "test")
        )
    )


def find(source: Path, options: SegmentationOptions) -> Data:
    """The pictures and masks of a folder, split as it has them, or with a part taken out for validation.

    Raises:
        UsageError: There are none.
    """
    parts = {name: masked(source / name) for name in ("train", "valid", "val", "test") if (source / name).is_dir()}
    none = Masked((), ())
    train = parts.get("train") or masked(source)
    valid = parts.get("valid") or parts.get("val")
    if valid is None:
        held = set(taken_out(len(train), options.valid, options.seed))
        valid, train = (
            _part(train, [k for k in range(len(train)) if (k in held) is wanted]) for wanted in (True, False)
        )
    return Data(train, valid, parts.get("test", none))


def _part(pairs: Masked, numbers: list[int]) -> Masked:
    return Masked(tuple(pairs.pictures[k] for k in numbers), tuple(pairs.masks[k] for k in numbers))


@dataclass(frozen=True)
class SegmentationLesson:
    """What a segmentation learns.

    Attributes:
        train: To learn from.
        valid: To judge by as it learns.
        test: To judge by at the end.
        classes: Names of the labels.
        options: How.
        device: Where.
        architecture: Of the network.
    """

    train: list[Example]
    valid: list[Example]
    test: list[Example]
    classes: tuple[str, ...]
    options: SegmentationOptions
    device: torch.device
    architecture: dict[str, Any]

    def epochs(self, stage: Stage) -> int:
        """Its own."""
        return stage.epochs

    def task(self, stage: Stage, first_epoch: int) -> SegmentationTask:
        """Crops of the stage's size."""
        options = self.options
        return SegmentationTask(
            examples=self.train,
            valid=self.valid,
            weights=class_weights(self.train, len(self.classes), options.balance),
            device=self.device,
            size=stage.size or options.size,
            crops=options.crops,
            batch_size=options.batch_size,
            zooms=options.zooms,
            seed=options.seed,
            first_epoch=first_epoch,
        )

    def adversarial(
        self, module: nn.Module, stage: Stage, first_epoch: int, begin_at: Checkpoint | None
    ) -> Iterator[TrainingProgress]:
        """There is none: `SegmentationOptions` refuses such stages."""
        raise UsageError("a segmentation has no stages named gan")

    @torch.no_grad()
    def sheet(self, module: nn.Module) -> Rows:
        """Picture, what the network says, and the mask."""
        training = module.training
        module.eval()
        device = next(module.parameters()).device
        rows = []
        for pixels, labels in (self.valid or self.train)[:SHOWN]:
            picture = pixels[None].float() / 255
            said = module(picture.to(device)).argmax(1)[0].to(torch.uint8).cpu()
            shown = [coloured(picture, one, len(self.classes)) for one in (said, labels)]
            rows.append([("picture", picture), ("predicted", shown[0]), ("mask", shown[1])])
        module.train(training)
        return rows

    def model(self, module: nn.Module) -> TranslationModel:
        """What is kept, with how it does on the test pictures."""
        facts = {"trained_on": f"{len(self.train)} pictures with masks", "impasto": __version__} | self.judged(module)
        return TranslationModel(
            name="", module=module, task="segment", architecture=self.architecture, classes=self.classes, card=facts
        )

    def judged(self, module: nn.Module) -> dict[str, Any]:
        """Of the test pictures: mIoU, accuracy, the IoU of each class, and the baseline that calls all one class."""
        if not self.test:
            return {}
        counts = counted(module.to(self.device), self.test, len(self.classes), self.device)
        module.to("cpu")
        commonest = int(pixels_of(self.train)[: len(self.classes)].argmax())
        scores = {f"test_{name}": value for name, value in scores_of(counts).items()}
        plain = scores_of(always(counts, commonest))
        scores |= {f"test_{name}_all_{self.classes[commonest]}": value for name, value in plain.items()}
        return {"scores": scores, "iou": dict(zip(self.classes, iou(counts).tolist(), strict=True))}


def _prepare(data: Data, options: SegmentationOptions, device: torch.device, download: Download | None) -> Prepared:
    """The lesson, a new network for it, and the hash of its encoder."""
    train, valid, test = (read_examples(part, options.void) for part in (data.train, data.valid, data.test))
    seen = torch.stack([torch.bincount(labels.flatten(), minlength=256) for _, labels in [*train, *valid, *test]]).sum(
        0
    )
    labels = seen[:255].nonzero().flatten()
    if len(labels) == 0:
        raise UsageError("the masks hold nothing but void labels: is --void the right one?")
    count = int(labels.max()) + 1
    if options.classes and len(options.classes) < count:
        raise UsageError(
            f"the masks hold labels up to {count - 1}, and --classes names {len(options.classes)}: name all"
        )
    classes = options.classes or tuple(str(number) for number in range(count))
    module, architecture, used = make(options, out=len(classes), download=download)
    require_stages(module, options, 1)
    lesson = SegmentationLesson(train, valid, test, classes, options, device, architecture)
    return Prepared(lesson, module, used)
