"""What a stage of a classifier's training learns: from pictures, or from activations that were computed before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.learning.augmentation import Augmentation, augment
from impasto.learning.classifier import Answer
from impasto.learning.order import Order, row_seeds
from impasto.learning.pictures import Pictures
from impasto.losses.boxes import box_distance, iou
from impasto.losses.classification import cross_entropy, distillation, mixed, mixup_shares

FOR_MIXUP, FOR_AUGMENTATION = 1, 2  # so that their chances are not each other's


@dataclass(frozen=True)
class Truth:
    """What is known of n rows.

    Attributes:
        labels: (n, k) probability of each class: one for the label, the teachers' opinion where there is none.
        teacher: (n, k) the teachers' logits for each row, or None without distillation.
        boxes: (n, 4) as parts of the picture, NaN where there is none; or None.
    """

    labels: Float[Tensor, "n k"]
    teacher: Float[Tensor, "n k"] | None = None
    boxes: Float[Tensor, "n 4"] | None = None

    def at(self, rows: np.ndarray) -> Truth:
        """That of some rows."""
        where = torch.from_numpy(rows)
        return Truth(*(None if one is None else one[where] for one in (self.labels, self.teacher, self.boxes)))  # type: ignore[arg-type]

    def to(self, device: torch.device) -> Truth:
        """The same on another device."""
        return Truth(*(None if one is None else one.to(device) for one in (self.labels, self.teacher, self.boxes)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Criterion:
    """What makes a good answer.

    Attributes:
        label_smoothing: Part of each label that is shared out to all classes.
        distillation: Weight of the teachers' opinion, against the labels'.
        temperature: Of distillation.
        mixup: Parameter of Beta(a, a) from which the parts of mixed pictures are drawn; 0 for none.
    """

    label_smoothing: float = 0.0
    distillation: float = 0.0
    temperature: float = 4.0
    mixup: float = 0.0

    def __call__(self, answer: Answer, truth: Truth) -> Tensor:
        """The loss of a batch."""
        loss = cross_entropy(answer.logits, truth.labels, label_smoothing=self.label_smoothing)
        if self.distillation and truth.teacher is not None:
            taught = distillation(answer.logits, truth.teacher, self.temperature)
            loss = (1 - self.distillation) * loss + self.distillation * taught
        if answer.boxes is not None and truth.boxes is not None:
            loss = loss + box_distance(answer.boxes, truth.boxes)
        return loss


class Batch(NamedTuple):
    """Inputs (pictures or pooled activations) and what is true of them."""

    inputs: Tensor
    truth: Truth


@dataclass(frozen=True)
class ActivationTask:
    """Trains a head on pooled activations of a frozen network, computed once.

    Attributes:
        read: (rows, copy) to their pooled activations (B, 2C).
        copies: How many augmented copies there are; each epoch takes another of each row.
        held_out: Activations of the validation rows, and what is true of them; or None.
    """

    read: Callable[[np.ndarray, int], Tensor]
    copies: int
    truth: Truth
    order: Order
    criterion: Criterion
    device: torch.device
    held_out: tuple[Tensor, Truth] | None

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.order.steps

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Of an epoch, from the ``start``-th on."""
        for step, rows in enumerate(self.order.batches(epoch)[start:], start):
            which = (rows + epoch) % self.copies
            read = torch.cat([self.read(rows[which == copy], int(copy)) for copy in np.unique(which)])
            in_order = np.argsort(np.argsort(which, kind="stable"))  # they were read copy after copy
            inputs = read[torch.from_numpy(in_order)].to(self.device)
            batch = Batch(inputs, self.truth.at(rows).to(self.device))
            yield mixed_up(batch, self.criterion.mixup, self.order.seed, epoch, step)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Of a batch."""
        return self.criterion(Answer(model(batch.inputs)), batch.truth)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Loss and accuracy of the validation rows."""
        if self.held_out is None:
            return {}
        activations, truth = self.held_out
        logits = model(activations.to(self.device)).float().cpu()
        return measured([Answer(logits)], truth)


@dataclass(frozen=True)
class PictureTask:
    """Trains a whole classifier, or its upper layers, on pictures.

    Attributes:
        pictures: Those that are learnt from; rows with labels first, then those with pseudo-labels.
        augmentations: By which each picture is changed, differently in each epoch.
        held_out: The validation pictures, and what is true of them; or None.
        first_epoch: Epochs that came before this stage, so that its chance changes are others.
    """

    pictures: Pictures
    truth: Truth
    order: Order
    criterion: Criterion
    device: torch.device
    held_out: tuple[Pictures, Truth] | None
    augmentations: tuple[Augmentation, ...] = ()
    first_epoch: int = 0

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.order.steps

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Of an epoch, from the ``start``-th on; decoded ahead."""
        epoch += self.first_epoch
        wanted = self.order.batches(epoch)[start:]
        for step, (rows, levels) in enumerate(self.pictures.stream(wanted), start):
            rows = np.asarray(rows)
            images = levels.to(self.device).float().div_(255)
            truth = self.truth.at(rows).to(self.device)
            if self.augmentations:
                seeds = row_seeds(rows, self.order.seed, FOR_AUGMENTATION, epoch)
                images, boxes = augment(images, self.augmentations, seeds, truth.boxes)
                truth = Truth(truth.labels, truth.teacher, boxes)
            yield mixed_up(Batch(images, truth), self.criterion.mixup, self.order.seed, epoch, step)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Of a batch."""
        return self.criterion(model(batch.inputs), batch.truth)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Loss and accuracy of the validation pictures."""
        if self.held_out is None:
            return {}
        pictures, truth = self.held_out
        return measured(list(answers(model, pictures, self.device)), truth)


def answers(model: nn.Module, pictures: Pictures, device: torch.device, batch_size: int = 64) -> Iterator[Answer]:
    """What a model says of all pictures in order, on the CPU; the model is as the caller has set it."""
    for _, levels in pictures.in_order(batch_size):
        answer = model(levels.to(device).float().div_(255))
        boxes = None if answer.boxes is None else answer.boxes.float().cpu()
        yield Answer(answer.logits.float().cpu(), boxes)


def measured(found: list[Answer], truth: Truth) -> dict[str, float]:
    """Log loss, accuracy and, where there are true boxes, the mean overlap (IoU) with them."""
    logits = torch.cat([one.logits for one in found])
    values = {
        "loss": float(cross_entropy(logits, truth.labels)),
        "accuracy": float((logits.argmax(1) == truth.labels.argmax(1)).double().mean()),
    }
    boxes = [one.boxes for one in found if one.boxes is not None]
    if boxes and truth.boxes is not None:
        known = ~truth.boxes.isnan().any(1)
        if known.any():
            values["iou"] = float(iou(torch.cat(boxes)[known], truth.boxes[known]).mean())
    return values


def mixed_up(batch: Batch, mixup: float, *seeds: int) -> Batch:
    """Each row mixed with another of its batch, inputs and truth alike (mixup); as it is with ``mixup`` 0."""
    if not mixup:
        return batch
    chance = torch.Generator().manual_seed(row_seeds(np.zeros(1), FOR_MIXUP, *seeds)[0])
    count, device = len(batch.inputs), batch.inputs.device
    shares = mixup_shares(count, mixup, chance).to(device)
    partners = torch.randperm(count, generator=chance).to(device)
    inputs, labels, teacher = (
        None if one is None else mixed(one, partners, shares)
        for one in (batch.inputs, batch.truth.labels, batch.truth.teacher)
    )
    assert inputs is not None and labels is not None
    return Batch(inputs, Truth(labels, teacher, batch.truth.boxes))
