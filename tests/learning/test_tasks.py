"""Tasks: what a batch holds, what a loss is made of, and what an evaluation says."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor, nn

from impasto.learning.augmentation import parse
from impasto.learning.classifier import Answer
from impasto.learning.order import Order
from impasto.learning.pictures import Pictures, Preprocessing
from impasto.learning.scan import read_data
from impasto.learning.tasks import ActivationTask, Batch, Criterion, PictureTask, Truth, answers, measured, mixed_up

CPU = torch.device("cpu")


def truth_of(count: int, classes: int = 3, **more: Tensor) -> Truth:
    return Truth(torch.nn.functional.one_hot(torch.arange(count) % classes, classes).float(), **more)


def activation_task(copies: int = 3, mixup: float = 0.0, count: int = 20) -> ActivationTask:
    """Rows whose activations say which row and which copy they are of."""

    def read(rows: np.ndarray, copy: int) -> Tensor:
        return torch.stack([torch.from_numpy(rows), torch.full((len(rows),), copy)], 1).float()

    order = Order(np.arange(count) % 3, batch_size=8)
    return ActivationTask(read, copies, truth_of(count), order, Criterion(mixup=mixup), CPU, None)


def shown(task: ActivationTask, epoch: int) -> dict[int, int]:
    """The copy of each row in an epoch."""
    return {int(row): int(copy) for batch in task.batches(epoch, 0) for row, copy in batch.inputs.tolist()}


def test_every_epoch_shows_another_copy_of_each_row() -> None:
    task = activation_task(copies=3)
    epochs = [shown(task, epoch) for epoch in range(4)]
    assert all(len(epoch) == 20 for epoch in epochs)
    assert all({epoch[row] for epoch in epochs[:3]} == {0, 1, 2} for row in range(20))
    assert epochs[3] == epochs[0]
    assert set(epochs[0].values()) == {0, 1, 2}, "one copy is not for all rows the same"


def test_truth_stays_with_its_row() -> None:
    for batch in activation_task().batches(1, 0):
        assert batch.truth.labels.argmax(1).tolist() == [int(row) % 3 for row in batch.inputs[:, 0]]


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_an_epoch_that_is_entered_late_goes_on_as_it_would_have(mixup: float) -> None:
    task = activation_task(mixup=mixup)
    whole, rest = list(task.batches(2, 0)), list(task.batches(2, 1))
    assert len(whole) == task.steps == 3 and len(rest) == 2
    for one, other in zip(whole[1:], rest, strict=True):
        assert torch.equal(one.inputs, other.inputs) and torch.equal(one.truth.labels, other.truth.labels)


# Mixup


def test_mixed_labels_are_still_probabilities() -> None:
    inputs = torch.arange(32.0)[:, None]
    batch = Batch(inputs, truth_of(32, teacher=torch.arange(96.0).view(32, 3)))
    mixed = mixed_up(batch, 0.4, 0, 1, 2)
    labels = mixed.truth.labels
    assert torch.allclose(labels.sum(1), torch.ones(32)) and (labels >= 0).all()
    assert ((labels > 0).sum(1) == 2).any()
    assert (mixed.inputs != inputs).any()
    teacher = mixed.truth.teacher
    assert teacher is not None
    # inputs, labels and the teacher's opinion are mixed of the same two rows in the same parts
    assert torch.allclose(teacher[:, 0], 3 * mixed.inputs[:, 0], atol=1e-4)


def test_mixing_follows_its_numbers_alone() -> None:
    batch = Batch(torch.rand(16, 4), truth_of(16))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, same, other = (mixed_up(batch, 1.0, *seeds) for seeds in ((1, 2), (1, 2), (1, 3)))
    assert torch.equal(one.inputs, same.inputs) and not torch.equal(one.inputs, other.inputs)
    assert torch.equal(torch.get_rng_state(), before)
    assert mixed_up(batch, 0.0, 1) is batch


# Losses


def test_without_more_the_loss_is_cross_entropy() -> None:
    logits, truth = torch.randn(6, 3), truth_of(6)
    expected = nn.functional.cross_entropy(logits, truth.labels.argmax(1))
    assert torch.allclose(Criterion()(Answer(logits), truth), expected)
    smooth = nn.functional.cross_entropy(logits, truth.labels.argmax(1), label_smoothing=0.2)
    assert torch.allclose(Criterion(label_smoothing=0.2)(Answer(logits), truth), smooth)


def test_a_teacher_takes_the_place_of_the_labels_by_its_weight() -> None:
    logits, teacher = torch.randn(6, 3), torch.randn(6, 3)
    truth = truth_of(6, teacher=teacher)
    only, none, half = (Criterion(distillation=w, temperature=2)(Answer(logits), truth) for w in (1.0, 0.0, 0.5))
    assert torch.allclose(half, (only + none) / 2)
    agreed = Criterion(distillation=1.0)(Answer(teacher), truth)
    assert abs(float(agreed)) < 1e-6


def test_boxes_are_added_and_those_nobody_drew_count_for_nothing() -> None:
    logits = torch.randn(4, 3)
    drawn = torch.tensor([[0.1, 0.1, 0.5, 0.5]]).repeat(4, 1)
    drawn[2:] = float("nan")
    truth = truth_of(4, boxes=drawn)
    plain = Criterion()(Answer(logits), truth)
    right = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.5], [0.0, 0.0, 0.1, 0.1], [0.2, 0.2, 0.9, 0.9]])
    assert torch.allclose(Criterion()(Answer(logits, right), truth), plain, atol=1e-6)
    assert Criterion()(Answer(logits, right + 0.2), truth) > plain + 0.1


# Evaluations


def test_an_evaluation_says_what_sklearn_does() -> None:
    chance = np.random.default_rng(0)
    logits, targets = chance.normal(size=(50, 4)).astype("f4"), chance.integers(0, 4, 50)
    truth = Truth(torch.nn.functional.one_hot(torch.from_numpy(targets), 4).float())
    parts = [Answer(one) for one in torch.from_numpy(logits).split(17)]
    found = measured(parts, truth)
    p = np.exp(logits.astype("f8"))
    p /= p.sum(1, keepdims=True)
    assert found["loss"] == pytest.approx(log_loss(targets, p, labels=range(4)), rel=1e-5)
    assert found["accuracy"] == pytest.approx(accuracy_score(targets, logits.argmax(1)))
    assert "iou" not in found


def test_overlap_is_over_the_boxes_that_are_known() -> None:
    boxes = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 1.0]])
    true = torch.tensor([[0.25, 0.0, 0.75, 1.0], [float("nan")] * 4])
    answer = Answer(torch.zeros(2, 3), boxes)
    assert measured([answer], truth_of(2, boxes=true))["iou"] == pytest.approx(1 / 3)
    assert "iou" not in measured([answer], truth_of(2, boxes=true[1:].repeat(2, 1))), "not a number is none"


class Brightness(nn.Module):
    """Says how bright a picture is."""

    def forward(self, images: Tensor) -> Answer:
        return Answer(images.mean((2, 3)))


@pytest.fixture
def pictures(make_shapes: Callable[..., Path], tmp_path: Path) -> Pictures:
    return Pictures(read_data(make_shapes(tmp_path / "data", per_class=4)), Preprocessing(32))


def picture_task(pictures: Pictures, *augmentations: str, **more: int) -> PictureTask:
    order = Order(np.arange(12) % 3, batch_size=5)
    return PictureTask(
        pictures, truth_of(12), order, Criterion(), CPU, (pictures, truth_of(12)), parse(augmentations), **more
    )


def test_pictures_come_as_they_are_and_as_they_will_be_judged(pictures: Pictures) -> None:
    task = picture_task(pictures)
    (rows, *_), (batch, *_) = task.order.batches(0), task.batches(0, 0)
    assert torch.equal(batch.inputs, pictures.get(rows).float() / 255)
    logits = torch.cat([one.logits for one in answers(Brightness(), pictures, CPU, batch_size=5)])
    assert torch.allclose(logits, (pictures.get(np.arange(12)).float() / 255).mean((2, 3)), atol=1e-6)
    found = task.evaluate(Brightness())
    assert found["loss"] == pytest.approx(
        float(nn.functional.cross_entropy(logits, truth_of(12).labels.argmax(1))), rel=1e-5
    )


def test_a_picture_is_changed_otherwise_in_each_epoch_and_by_itself(pictures: Pictures) -> None:
    def seen(task: PictureTask, epoch: int) -> dict[int, Tensor]:
        rows = np.concatenate(task.order.batches(epoch + task.first_epoch))
        images = torch.cat([batch.inputs for batch in task.batches(epoch, 0)])
        return dict(zip(rows.tolist(), images, strict=True))

    task = picture_task(pictures, "rotate:20", "brightness:0.3")
    first, again, second = seen(task, 0), seen(task, 0), seen(task, 1)
    assert all(torch.equal(first[row], again[row]) for row in first)
    assert all(not torch.equal(first[row], second[row]) for row in first)
    later = seen(picture_task(pictures, "rotate:20", "brightness:0.3", first_epoch=1), 0)
    assert all(torch.equal(later[row], second[row]) for row in first), "a stage begins where the one before ended"
    (late,) = list(task.batches(0, 2))
    assert torch.equal(late.inputs, torch.stack([first[row] for row in task.order.batches(0)[2]]))


def test_without_held_out_rows_nothing_is_said() -> None:
    assert activation_task().evaluate(nn.Identity()) == {}
