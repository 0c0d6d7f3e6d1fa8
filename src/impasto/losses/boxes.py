"""Boxes: how far a predicted box is from the true one, alone or beside the class of the same picture.

A box is (left, top, right, bottom) in parts of the picture's width and height, in [0, 1]; a row of not-a-numbers is a
picture whose box nobody drew.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from impasto.losses.classification import Targets, cross_entropy


def iou(boxes: Float[Tensor, "b 4"], others: Float[Tensor, "b 4"]) -> Float[Tensor, " b"]:
    """Area of intersection over area of union, row by row; 0 where both are empty.

    >>> iou(torch.tensor([[0.0, 0.0, 0.5, 1.0]]), torch.tensor([[0.25, 0.0, 0.75, 1.0]]))
    tensor([0.3333])
    """
    low, high = torch.maximum(boxes[:, :2], others[:, :2]), torch.minimum(boxes[:, 2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    union = _area(boxes) + _area(others) - shared
    return torch.where(union > 0, shared / union.where(union > 0, 1), 0)


def box_distance(boxes: Float[Tensor, "b 4"], true_boxes: Float[Tensor, "b 4"]) -> Float[Tensor, ""]:
    """Smooth L1 of the sides plus 1 − generalised IoU, the mean over the pictures that have a box; 0 where none has.

    The pair of Carion et al. (2020, section 3.1). Smooth L1 (Girshick 2015, eq. 3, summed over the four sides)
    with its corner at a tenth of the picture pulls sides into place; the generalised IoU (Rezatofighi et al.
    2019) counts what we measure, and has a gradient where the boxes do not overlap.
    """
    known = ~true_boxes.isnan().any(dim=1)
    if not known.any():
        return boxes.sum() * 0  # which has a gradient, of zeros
    found, true = boxes[known], true_boxes[known].to(boxes)
    sides = F.smooth_l1_loss(found, true, beta=0.1, reduction="none").sum(dim=1)
    overlap = generalized_box_iou_loss(found, true, reduction="none")
    return (sides + overlap).mean()


def multi_output(
    logits: Float[Tensor, "b k"],
    boxes: Float[Tensor, "b 4"],
    targets: Targets,
    true_boxes: Float[Tensor, "b 4"],
    weight: float = 1.0,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of the classes plus ``weight`` times the distance of the boxes.

    Every picture counts for its class; those with a true box count for it, and one without neither adds to the
    boxes' part nor dilutes it.
    """
    return cross_entropy(logits, targets, label_smoothing) + weight * box_distance(boxes, true_boxes)


def _area(boxes: Float[Tensor, "b 4"]) -> Float[Tensor, " b"]:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)
