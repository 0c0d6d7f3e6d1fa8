"""Box losses: known overlaps, gradients that pull, and pictures without a box that count for nothing."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torchvision.ops import box_iou

from impasto.losses.boxes import box_distance, iou, multi_output
from impasto.losses.classification import cross_entropy

NAN = float("nan")


def boxes(seed: int, count: int = 5) -> Tensor:
    sides = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.cat([sides.min(dim=1).values, sides.max(dim=1).values], dim=1)


@pytest.mark.parametrize(
    ("box", "other", "expected"),
    [
        ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0), 1.0),
        ((0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0), 0.0),  # they touch
        ((0.0, 0.0, 0.5, 1.0), (0.25, 0.0, 0.75, 1.0), 1 / 3),
        ((0.0, 0.0, 1.0, 1.0), (0.25, 0.25, 0.75, 0.75), 0.25),  # one in the other
        ((0.2, 0.2, 0.2, 0.2), (0.2, 0.2, 0.2, 0.2), 0.0),  # both empty
        ((0.8, 0.0, 0.2, 1.0), (0.0, 0.0, 1.0, 1.0), 0.0),  # sides the wrong way round
    ],
)
def test_known_overlaps(box: tuple[float, ...], other: tuple[float, ...], expected: float) -> None:
    assert iou(torch.tensor([box]), torch.tensor([other])).item() == pytest.approx(expected)


def test_overlaps_are_torchvision_s_row_by_row() -> None:
    assert torch.allclose(iou(boxes(0), boxes(1)), box_iou(boxes(0), boxes(1)).diagonal())


def test_the_distance_is_nothing_for_the_true_box_and_known_for_another() -> None:
    true = torch.tensor([[0.25, 0.25, 0.75, 0.75]])
    assert box_distance(true, true) == pytest.approx(0, abs=1e-5)
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    # four sides off by 0.25: 0.25 − 0.1/2 each; the hull is the whole, so that the generalised IoU is the IoU, 1/4
    assert box_distance(whole, true) == pytest.approx(4 * 0.2 + 0.75, abs=1e-5)
    apart = torch.tensor([[0.0, 0.0, 0.5, 0.5]]), torch.tensor([[0.5, 0.5, 1.0, 1.0]])
    # IoU 0, and half of the hull empty: the generalised IoU is −1/2
    assert box_distance(*apart) == pytest.approx(4 * 0.45 + 1.5, abs=1e-5)


def test_a_gradient_pulls_boxes_that_do_not_overlap() -> None:
    box = torch.tensor([[0.0, 0.4, 0.2, 0.6]], requires_grad=True)
    box_distance(box, torch.tensor([[0.7, 0.4, 0.9, 0.6]])).backward()
    assert box.grad is not None and box.grad[0, 0] < 0 and box.grad[0, 2] < 0


def test_gradients_are_those_of_finite_differences() -> None:
    found, true = boxes(0).requires_grad_(), boxes(1)
    true[2] = NAN
    scores = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    assert gradcheck(lambda b: box_distance(b, true), found)
    assert gradcheck(lambda z, b: multi_output(z, b, torch.tensor([0, 1, 2, 0, 1]), true, 0.5), (scores, found))


def test_a_picture_without_a_box_counts_for_its_class_alone() -> None:
    scores, targets, found, true = torch.zeros(5, 3), torch.tensor([0, 1, 2, 0, 1]), boxes(0), boxes(1)
    some = true.clone()
    some[[1, 3]] = NAN
    kept = [0, 2, 4]
    assert box_distance(found, some) == pytest.approx(float(box_distance(found[kept], true[kept])))
    both = multi_output(scores, found, targets, some, weight=2.0)
    expected = cross_entropy(scores, targets) + 2.0 * box_distance(found[kept], true[kept])
    assert both == pytest.approx(float(expected))


def test_no_box_at_all_leaves_the_class_and_gradients_that_are_numbers() -> None:
    found = boxes(0).requires_grad_()
    scores = torch.zeros(5, 3, requires_grad=True)
    loss = multi_output(scores, found, torch.zeros(5, dtype=torch.long), torch.full((5, 4), NAN))
    loss.backward()
    assert loss.item() == pytest.approx(1.0986, abs=1e-4)
    assert found.grad is not None and torch.equal(found.grad, torch.zeros_like(found))
