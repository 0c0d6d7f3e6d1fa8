"""Recolour: a model's colours with the picture's own luminance, at whatever size the picture has."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.images.resize import fit, resize, size_of
from impasto.images.strips import strips
from impasto.translation.apply import apply
from impasto.translation.degrade.gray import LUMA, luma
from impasto.translation.model import TranslationModel

RENDER = 384  # pixels, of a model whose card says nothing


@torch.no_grad()
def colorize(
    model: TranslationModel,
    pixels: Float[Tensor, "1 3 h w"],
    *,
    render: int | None = None,
    saturation: float = 1.0,
    **how: Any,
) -> Float[Tensor, "1 3 h w"]:
    """The picture with the model's colours and its own luma, in [0, 1].

    The model sees the picture in gray, at ``render`` pixels on its longer side at most, for it has learnt what things
    look like at such sizes, and colours need no more (as in DeOldify, whose ``render_factor`` is a sixteenth of it).
    Only chroma is taken of what it gives.

    Args:
        model: One that gives colours to gray pictures.
        pixels: The picture; colours of its own do not count.
        render: In pixels. None: what the model's card says, else 384.
        saturation: Chroma is multiplied by it; what is learnt from few pictures is pale, the mean of all it might be.
        how: For :func:`~impasto.translation.apply.apply`.
    """
    size = size_of(pixels)
    render = render or int(model.card.get("render", RENDER))
    small = pixels if max(size) <= render else resize(pixels, fit(size, render)).clamp(0, 1)
    given = apply(model, luma(small).expand(-1, 3, -1, -1), **how).clamp_(0, 1)
    chroma = resize((given - luma(given)).mul_(saturation), size)
    for rows in strips(*size):
        chroma[:, :, rows] = with_chroma(luma(pixels[:, :, rows]), chroma[:, :, rows])
    return chroma


def with_chroma(brightness: Float[Tensor, "b 1 h w"], chroma: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Colours in [0, 1] of exactly this luma (BT.601, of gamma-encoded values), with the hue of ``chroma``.

    ``chroma`` is a colour less its luma: added to any luma it keeps that luma. Where the sum would lie outside [0, 1],
    it is made smaller, and with it the saturation, so that nothing has to be cut off, which would change the luma.

    >>> red = torch.tensor([0.701, -0.299, -0.299]).view(1, 3, 1, 1)
    >>> made = with_chroma(torch.full((1, 1, 1, 1), 0.9), red)
    >>> made.flatten().tolist(), round(float(luma(made)), 6)
    ([1.0, 0.857..., 0.857...], 0.9)
    """
    chroma = chroma - luma(chroma)  # enlarging has rounded
    # how often chroma fits into the room there is above and below
    room = torch.where(chroma > 0, 1 - brightness, brightness) / chroma.abs().clamp_min(1e-12)
    return (brightness + chroma * room.amin(1, keepdim=True).clamp(0, 1)).clamp_(0, 1)


def is_gray(pixels: Float[Tensor, "1 3 h w"]) -> bool:
    """Whether red, green and blue are the same everywhere."""
    return all(
        bool((part[:, :1] == part[:, 1:]).all()) for part in (pixels[:, :, rows] for rows in strips(*pixels.shape[2:]))
    )


def make_gray(pixels: Float[Tensor, "1 3 h w"]) -> None:
    """Put the picture's luma in the place of its colours."""
    for rows in strips(*pixels.shape[2:]):
        pixels[:, :, rows] = luma(pixels[:, :, rows]) / sum(LUMA)
