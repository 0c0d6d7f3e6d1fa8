"""Architectures: from a description that JSON holds to a network that has learnt nothing yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from impasto.translation.architectures.described import described
from impasto.translation.architectures.light import Light
from impasto.translation.architectures.transformer import Transformer
from impasto.translation.architectures.unet import unet
from impasto.translation.names import ArchitectureName

ARCHITECTURES: dict[ArchitectureName, Callable[..., nn.Module]] = {
    "light": Light,
    "unet": unet,
    "transformer": Transformer,
}


def build(architecture: dict[str, Any]) -> nn.Module:
    """The network that a description says: ``kind`` is its name, the rest are its settings.

    >>> sum(p.numel() for p in build({"kind": "light", "scale": 2, "width": 16, "blocks": 2}).parameters())
    14316

    Raises:
        UsageError: No such architecture, or a setting that it does not have.
    """
    return described(ARCHITECTURES, "architecture", architecture)
