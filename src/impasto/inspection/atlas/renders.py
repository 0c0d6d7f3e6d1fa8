"""Renders: the pieces that hold the visualizations of units and their diversity sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.images import Picture, write
from impasto.inspection.atlas.cache import Piece, Tell, Work, key_of
from impasto.inspection.atlas.layers import AtlasLayer
from impasto.inspection.atlas.options import AtlasOptions
from impasto.inspection.objectives import channel, diverse
from impasto.inspection.options import VisualizationOptions
from impasto.inspection.render import Rendering, render

VERSION = 1  # of what is rendered: raised when the same key would give another picture

QUALITY = 85  # of WebP: a 96-pixel visualization has 4 kB

_BATCH = 32  # units, or 64-pixel pictures twice as many, that are rendered at once: a kill loses these
_DIVERSITY_WEIGHT = VisualizationOptions.model_fields["diversity_weight"].default
_LARGEST_GRAM = 512  # channels: of more, the matrices that tell pictures apart would fill the memory


def render_pieces(layer: AtlasLayer, network: str, options: AtlasOptions, subject: int = 0) -> list[Piece]:
    """The pieces that hold a layer's visualizations, ``CHANNEL.webp`` each.

    Args:
        layer: The layer.
        network: The network's fingerprint.
        options: Of the atlas.
        subject: Which of the atlas's networks.
    """
    how = _rendering(options, options.size, options.steps)
    return [
        _piece(layer, network, how, channels, subject, "", 1)
        for channels in _batches(layer.channels, max(1, round(_BATCH * min(1.0, (128 / options.size) ** 2))))
    ]


def diversity_pieces(
    layer: AtlasLayer, layers: Sequence[AtlasLayer], network: str, options: AtlasOptions, subject: int = 0
) -> list[Piece]:
    """The pieces that hold a layer's diversity sheets: small pictures side by side, at half the steps; none for 0.

    Pictures are told apart by the Gram matrices of the layer itself; of a layer without a map, or with so many channels
    that the matrices are too large, by those of the nearest layer before it that has them.
    """
    if not options.diversity:
        return []
    before = [one for one in layers[: layers.index(layer) + 1] if one.stride and one.channels <= _LARGEST_GRAM]
    if not before:
        return []
    how = _rendering(options, options.diversity_size, max(1, options.steps // 2))
    size = max(1, 2 * _BATCH // options.diversity)
    return [
        _piece(layer, network, how, channels, subject, before[-1].rendered, options.diversity)
        for channels in _batches(layer.channels, size)
    ]


def render_units(
    work: Work,
    into: Path,
    tell: Tell,
    *,
    subject: int,
    tap: str,
    channels: Sequence[int],
    how: Rendering,
    differ: str,
    per: int,
) -> None:
    """Render units and write each one's picture, or its ``per`` pictures side by side."""
    objectives = [channel(tap, index) for index in channels]
    if differ:
        objectives = [diverse(objective, differ, _DIVERSITY_WEIGHT) for objective in objectives]
    rendered = render(work.networks[subject], objectives, how, per=per, progress=tell)
    if not rendered.finished:  # an interrupt: half-made pictures are not kept
        raise KeyboardInterrupt
    for index, pictures in zip(channels, torch.split(rendered.pictures, per)):
        write(into / f"{index}.webp", Picture(side_by_side(pictures)), quality=QUALITY)


def side_by_side(pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "1 3 h nw"]:
    """Pictures in a row.

    >>> side_by_side(torch.zeros(4, 3, 8, 8)).shape
    torch.Size([1, 3, 8, 32])
    """
    return torch.cat(list(pictures.clamp(0, 1)), dim=-1)[None].contiguous()


def _piece(
    layer: AtlasLayer, network: str, how: Rendering, channels: range, subject: int, differ: str, per: int
) -> Piece:
    kind = "diversity" if differ else "visualization"
    facts = (how.size, how.steps, how.precision, how.seed, per, differ, _DIVERSITY_WEIGHT if differ else 0)
    return Piece(
        "pictures",
        key_of("render", VERSION, network, layer.rendered, list(channels), facts),
        f"{kind} of {layer.tap}:{channels[0]}-{channels[-1]}",
        f"{kind} {layer.tap} {subject}",
        cost=len(channels) * per * how.steps * how.size[0] * how.size[1] * (0.1 + layer.cost) * 3 / 224**2,
        job=partial(
            render_units,
            subject=subject,
            tap=layer.rendered,
            channels=tuple(channels),
            how=how,
            differ=differ,
            per=per,
        ),
    )


def _rendering(options: AtlasOptions, size: int, steps: int) -> Rendering:
    return Rendering(size=(size, size), steps=steps, precision=options.precision, seed=options.seed)


def _batches(channels: int, size: int) -> Iterator[range]:
    for first in range(0, channels, size):
        yield range(first, min(first + size, channels))
