"""Colours: a map of numbers as a picture that the eye reads rightly, alone and over the photograph."""

from __future__ import annotations

import torch
from jaxtyping import Float
from matplotlib import colormaps
from torch import Tensor

from impasto.inspection.attribution.attribution import Attribution

# Perceptually uniform, both black where there is nothing: the diverging one is Crameri's (2018), bluish for what speaks
# against the class and reddish for what speaks for it.
SEQUENTIAL, DIVERGING = "inferno", "berlin"
CLIPPED = 0.005  # the part of the pixels that is brighter than the scale
_GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601


def scaled(map: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """The map in [−1, 1], its highest values cut off so that one pixel does not darken all others; zero stays zero.

    >>> scaled(torch.tensor([[0.0, 2.0], [-1.0, 0.0]]))
    tensor([[ 0.0000,  1.0000],
            [-0.5000,  0.0000]])
    """
    magnitude = map.abs().float()
    highest = _quantile(magnitude, 1 - CLIPPED) or float(magnitude.max()) or 1.0
    return (map.float() / highest).clamp(-1, 1)


def heat_map(attribution: Attribution) -> Float[Tensor, "1 3 h w"]:
    """The map in colours: black where there is nothing."""
    values = scaled(attribution.map)
    if attribution.signed:
        values = (values + 1) / 2
    colours = colormaps[DIVERGING if attribution.signed else SEQUENTIAL](values.numpy())[..., :3]
    return torch.from_numpy(colours).permute(2, 0, 1)[None].float().contiguous()


def overlay(attribution: Attribution, image: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h w"]:
    """The map's colours over the picture in gray, the more opaque the more there is."""
    gray = (image.cpu() * image.new_tensor(_GRAY).cpu().view(1, 3, 1, 1)).sum(1, keepdim=True)
    there = scaled(attribution.map).abs().sqrt()[None, None]
    return (0.65 * gray * (1 - 0.9 * there) + heat_map(attribution) * there).clamp(0, 1)


def _quantile(values: Tensor, part: float) -> float:
    """torch's own refuses more than 16 million values."""
    return float(values.flatten().kthvalue(max(1, round(part * values.numel()))).values)
