"""Preparation: the picture as the classifier is shown it, and in words what was done to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, read
from impasto.images.resize import resize
from impasto.networks import Network

Source = Path | str | Picture

DEFAULT_SIZE = 224  # of the shorter side: what most classifiers of ImageNet were trained at
SMALLEST = 16


def prepared(network: Network, image: Source, size: int | None = None) -> tuple[Float[Tensor, "1 3 h w"], str]:
    """The picture at the size at which a network sees it, and the way there in words.

    The shorter side becomes ``size``, the picture staying whole; only for a network that does not take every size (a
    transformer takes multiples of its patch, or one size alone) it is then cropped to the centre.

    Args:
        network: Who is to see it.
        image: A file, or a picture in memory.
        size: Shorter side in pixels. Default: what timm says that the network was trained at, else 224.

    Raises:
        UsageError: It is no picture, too small, or too small for what the network takes.
    """
    if not isinstance(image, Source):
        raise UsageError(f"the picture is a {type(image).__name__}: give the path of a file, or a Picture")
    picture, name = (image, "the picture") if isinstance(image, Picture) else (read(image), str(image))
    if min(picture.height, picture.width) < SMALLEST:
        raise UsageError(
            f"{name} is {picture.width}×{picture.height} pixels: a classifier needs {SMALLEST} or more on each side"
        )
    fixed, multiple = taken_sizes(network)
    shorter = size or _trained_size(network) or DEFAULT_SIZE
    scale = shorter / min(picture.height, picture.width)
    if fixed:
        scale = max(scale, fixed[0] / picture.height, fixed[1] / picture.width)
    h, w = max(1, round(picture.height * scale)), max(1, round(picture.width * scale))
    pixels = resize(picture.pixels, (h, w)).clamp(0, 1)
    told = f"{picture.width}×{picture.height} resized to {w}×{h}" if scale != 1 else f"as it is, {w}×{h}"
    down, across = fixed or (h - h % multiple[0], w - w % multiple[1])
    if not down or not across:
        raise UsageError(
            f"{name} at {w}×{h} pixels is smaller than a patch of {network.name}, {multiple[1]}×{multiple[0]}: "
            "make --size larger"
        )
    if (down, across) != (h, w):
        top, left = (h - down) // 2, (w - across) // 2
        pixels = pixels[..., top : top + down, left : left + across]
        told += f", the centre {across}×{down} taken"
    return pixels.contiguous(), told


def taken_sizes(network: Network) -> tuple[tuple[int, int] | None, tuple[int, int]]:
    """The one (height, width) that a network takes, or None; and of which sides' multiples it takes any.

    >>> from impasto import networks
    >>> taken_sizes(networks.load("pocket"))
    (None, (1, 1))
    """
    embed: Any = getattr(network.module, "patch_embed", None)
    if embed is None or not hasattr(embed, "patch_size"):
        return None, (1, 1)
    if getattr(embed, "img_size", None) and getattr(embed, "strict_img_size", False):
        return _pair(embed.img_size), (1, 1)
    return None, (1, 1) if getattr(embed, "dynamic_img_pad", False) else _pair(embed.patch_size)


def _trained_size(network: Network) -> int | None:
    settings: Any = getattr(network.module, "pretrained_cfg", None) or {}
    sides = settings.get("input_size")
    return int(min(sides[-2:])) if sides else None


def _pair(sides: Any) -> tuple[int, int]:
    return (int(sides), int(sides)) if isinstance(sides, int) else (int(sides[0]), int(sides[1]))
