"""Intersection over union: how well the labels of pixels are met, class by class, without those that are void."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def confusion(
    predicted: Int[Tensor, "*shape"], labels: Int[Tensor, "*shape"], classes: int
) -> Int[Tensor, "classes classes"]:
    """How many pixels of each label (row) were given each label (column); labels of ``classes`` and above are void."""
    counted = labels < classes
    pairs = labels[counted].long() * classes + predicted[counted].long()
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def iou(counts: Int[Tensor, "classes classes"]) -> Float[Tensor, " classes"]:
    """Of each class, pixels that are it and were called it over those that are it or were called it.

    Everingham et al. (2010), PASCAL VOC, section 4.3. NaN for a class that is neither there nor predicted.

    >>> iou(torch.tensor([[3, 1], [0, 4]]))
    tensor([0.7500, 0.8000])
    """
    hit = counts.diagonal().double()
    return (hit / (counts.sum(0) + counts.sum(1) - hit)).float()


def scores_of(counts: Int[Tensor, "classes classes"]) -> dict[str, float]:
    """``miou`` over the classes that are there, and ``accuracy`` over pixels.

    A class without a pixel among the labels is left out of the mean, though it be predicted: its intersection is none.
    """
    there = counts.sum(1) > 0
    total = counts.sum().clamp_min(1)
    return {"miou": float(iou(counts)[there].mean()), "accuracy": float(counts.diagonal().sum() / total)}


def always(counts: Int[Tensor, "classes classes"], label: int) -> Int[Tensor, "classes classes"]:
    """The counts of one who gives every pixel the same label: the baseline that a score must beat."""
    same = torch.zeros_like(counts)
    same[:, label] = counts.sum(1)
    return same
