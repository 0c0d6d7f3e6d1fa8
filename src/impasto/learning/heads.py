"""Heads: what stands on a network's activations and gives each class a score."""

from __future__ import annotations

from typing import Literal

from torch import nn

HeadName = Literal["linear", "pooled"]


def head(name: HeadName, width: int, classes: int, dropout: float = 0.25) -> nn.Sequential:
    """Layers from pooled activations, (B, width), to one score a class.

    ``linear`` is a logistic regression on activations that batch norm has standardised: without it their scales, which
    differ by orders of magnitude from channel to channel, decide which of them are heard. ``pooled`` is fastai's:
    batch norm, half the dropout, 512 units, ReLU, batch norm, dropout.

    >>> import torch
    >>> head("linear", 1024, 2)(torch.zeros(3, 1024)).shape
    torch.Size([3, 2])
    """
    if name == "linear":
        return nn.Sequential(nn.BatchNorm1d(width), nn.Dropout(dropout), last(width, classes))
    return nn.Sequential(
        nn.BatchNorm1d(width),
        nn.Dropout(dropout / 2),
        nn.Linear(width, 512, bias=False),
        nn.ReLU(),
        nn.BatchNorm1d(512),
        nn.Dropout(dropout),
        last(512, classes),
    )


def last(width: int, classes: int) -> nn.Linear:
    """A layer that begins by giving every class the same score: the loss begins at log(classes)."""
    layer = nn.Linear(width, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
