"""A lesson: which rows a classifier learns from, what is true of them, and which are kept from it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.learning.box_truth import boxes_of
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions
from impasto.learning.pictures import Preprocessing
from impasto.learning.predict import lesson_of, predict, require_classifier
from impasto.learning.scan import read_data
from impasto.learning.split import split
from impasto.learning.tasks import Truth
from impasto.learning.ties import near_copies
from impasto.networks.weights import sha256_of
from impasto.runs.directory import RunDirectory

log = logging.getLogger("impasto")


@dataclass(frozen=True)
class Lesson:
    """What a classifier learns from.

    Attributes:
        classes: The labels of the training rows.
        train: The rows that are learnt from: those with labels, and behind them those with pseudo-labels.
        truth: Of these.
        labelled: How many have labels.
        valid: The rows that tell how well it goes, which are never learnt from.
        valid_truth: Of these.
        test: The rows that nothing looks at before the end; there may be none.
    """

    classes: tuple[str, ...]
    train: Manifest
    truth: Truth
    labelled: int
    valid: Manifest
    valid_truth: Truth
    test: Manifest

    @property
    def judged(self) -> Manifest:
        """All rows with labels: training, validation, test, in this order."""
        return self.train.take(range(self.labelled)).joined(self.valid).joined(self.test)


def prepare(data: Manifest, options: ClassifierOptions) -> Manifest:
    """The rows with a split each; validation rows are taken from the training rows where there are none.

    Raises:
        UsageError: Nothing to learn: no labels, one class only, a class without training pictures, broken pictures.
    """
    options.require_fit()
    _require_readable(data)
    require_classes(data, data.root)
    splits = data.column("split")
    if any(one is None for one in splits) or "valid" not in splits:
        data = split(data, valid=options.valid, seed=options.seed)
    if options.unlabelled:
        data = _with_unlabelled(data, options.unlabelled)
    data = _without_labels_apart(data)
    train = data.where(split="train")
    labels = train.column("label")
    unlabelled = [path for path, label in zip(train.paths, labels, strict=True) if label is None]
    if unlabelled:
        raise UsageError(f"{unlabelled[0]} is to be trained on but has no label: give it one, or the split unlabelled")
    require_classes(train, data.root)
    counts = train.counts("label")
    if small := [label for label in train.classes if counts[label] < 2]:
        raise UsageError(
            f"the class {small[0]!r} has 1 training picture, those for validation and test not counted: it needs 2 at "
            "least, or to be left out"
        )
    for name in ("valid", "test"):
        data.where(split=name).targets(train.classes)  # a label that no training picture has
    if options.boxes and all(box is None for box in train.column("box")):
        raise UsageError("--boxes: no training picture has a box: give a table with xmin, ymin, xmax, ymax")
    return data


def require_classes(rows: Manifest, where: Path) -> None:
    """Make sure that there are two classes at least among rows that lie somewhere.

    Raises:
        UsageError: There is one, or no label at all.
    """
    if not rows.classes:
        raise UsageError(f"{where} has no labels to learn from: put the pictures of each class in a folder of its name")
    if len(rows.classes) == 1:
        raise UsageError(f"{where} has one class only ({rows.classes[0]}): a classifier needs two at least")


def _require_readable(data: Manifest) -> None:
    broken = [path for path, width in zip(data.paths, data.column("width"), strict=True) if width is None]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise UsageError(f"{data.root / broken[0]}{more} cannot be read as a picture: remove it, or save it anew")


def _with_unlabelled(data: Manifest, folder: Path) -> Manifest:
    """The rows, and the pictures of a folder as unlabelled ones, but those that are among the unlabelled already."""
    extra = read_data(folder)
    _require_readable(extra)
    known = set(data.where(split="unlabelled").column("sha256"))
    extra = extra.take([row for row, digest in enumerate(extra.column("sha256")) if digest not in known])
    n = len(extra)
    return data.joined(extra.having(label=[None] * n, split=["unlabelled"] * n, box=[None] * n, group=[None] * n))


def _without_labels_apart(data: Manifest) -> Manifest:
    """Test rows without a label, as contests have them, can judge nothing: they are unlabelled rows.

    Raises:
        UsageError: A validation row has no label.
    """
    splits, labels = data.column("split"), data.column("label")
    for path, name, label in zip(data.paths, splits, labels, strict=True):
        if name == "valid" and label is None:
            raise UsageError(f"{path} is to judge (valid) but has no label: give it one, or the split unlabelled")
    bare = [name == "test" and label is None for name, label in zip(splits, labels, strict=True)]
    if any(bare):
        log.warning("%d test pictures have no label and judge nothing: `impasto submit` classifies them", sum(bare))
    return data.having(split=["unlabelled" if b else name for b, name in zip(bare, splits, strict=True)])


def make_lesson(data: Manifest, options: ClassifierOptions, *, preprocessing: Preprocessing) -> Lesson:
    """The lesson of rows that have their splits, with pseudo-labels and the teachers' opinion where they are wanted.

    Raises:
        UsageError: A picture of the validation or test rows is among the unlabelled, or a teacher has learnt from one.
    """
    train, valid, test = (data.where(split=name) for name in ("train", "valid", "test"))
    classes = train.classes
    labels = _one_hot(train.targets(classes), len(classes))
    labelled = len(train)
    teacher: Tensor | None = None
    if options.teachers:
        _require_honest_teachers(options.teachers, valid.joined(test))
    if options.unlabelled:
        extra = data.where(split="unlabelled")
        refuse_evaluation_rows(extra, valid.joined(test), "take it out of the unlabelled pictures")
        opinion = _opinion(options.teachers, extra, classes, options)
        labels = torch.cat([labels, opinion.softmax(1)])
        train = train.joined(extra)
    if options.distillation:
        teacher = _opinion(options.teachers, train, classes, options)
    boxes = boxes_of(train, preprocessing) if options.boxes else None
    valid_boxes = boxes_of(valid, preprocessing) if options.boxes else None
    valid_truth = Truth(_one_hot(valid.targets(classes), len(classes)), None, valid_boxes)
    return Lesson(classes, train, Truth(labels, teacher, boxes), labelled, valid, valid_truth, test)


def require_unchanged(data: Manifest) -> None:
    """Make sure that the picture files are what they were when the manifest was made.

    Raises:
        UsageError: One is gone, or has changed.
    """
    for row, (path, digest) in enumerate(zip(data.paths, data.column("sha256"), strict=True)):
        file = data.file(row)
        if file != data.root / path or digest is None:
            continue  # a digit of an idx file
        if not file.exists():
            raise UsageError(f"{file}, a picture of the run, is gone: put it back where it was")
        if sha256_of(file) != digest:
            raise UsageError(f"{file} has changed since the run began: put the picture back as it was")


def refuse_evaluation_rows(learnt: Manifest, held_out: Manifest, mend: str) -> None:
    """Make sure that no picture on which a classifier is judged is learnt from.

    Raises:
        UsageError: One is, by its very bytes or as a near copy.
    """
    judged = dict(zip(held_out.column("sha256"), range(len(held_out)), strict=True))
    same = ((row, judged.get(digest)) for row, digest in enumerate(learnt.column("sha256")))
    exact = [("", mine, theirs) for mine, theirs in same if theirs is not None]
    near = [] if exact else [("a near copy of ", mine, theirs) for mine, theirs in near_copies(learnt, held_out)]
    for how, mine, theirs in [*exact, *near][:1]:
        which = f"{held_out.column('split')[theirs]} picture {held_out.paths[theirs]}"
        raise UsageError(f"{learnt.paths[mine]} is {how}the {which}: what is learnt from cannot judge; {mend}")


def _one_hot(targets: np.ndarray, classes: int) -> Float[Tensor, "n k"]:
    return torch.nn.functional.one_hot(torch.from_numpy(targets), classes).float()


def _opinion(
    teachers: Sequence[Path], rows: Manifest, classes: tuple[str, ...], options: ClassifierOptions
) -> Float[Tensor, "n k"]:
    """What the teachers say of the rows, as logits, in the order of the classes.

    Raises:
        UsageError: They know other classes.
    """
    said = predict(teachers, rows, device=options.device)
    if set(said.classes) != set(classes):
        raise UsageError(f"the teachers know the classes {', '.join(said.classes)}, not {', '.join(classes)}")
    order = [said.classes.index(label) for label in classes]
    return torch.from_numpy(said.log_probabilities[:, order].astype(np.float32))


def _require_honest_teachers(teachers: Sequence[Path], held_out: Manifest) -> None:
    """Make sure that no teacher, nor any teacher of it, has learnt from what judges.

    Raises:
        UsageError: One has, or is no finished run of a classifier.
    """
    waiting, asked = list(teachers), set()
    while waiting:
        run = waiting.pop()
        require_classifier(run)
        mend = f"the teacher {run} has learnt from it: split the data once (`impasto data split`), train both on that"
        refuse_evaluation_rows(lesson_of(run), held_out, mend)
        asked.add(run.resolve())
        theirs = [Path(one) for one in RunDirectory.open(run).options.get("teachers", ())]
        waiting += [one for one in theirs if one.exists() and one.resolve() not in asked]
