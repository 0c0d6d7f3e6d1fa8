"""Colour axes: along which the colours of photographs vary independently."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

# Square root of the covariance of ImageNet's colours, as lucid gives it (lucid/optvis/param/color.py); its columns
# are lightness, blue against yellow, and green against magenta.
ROOT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


@cache
def colour_axes() -> Float[Tensor, "3 3"]:
    """From independent components to RGB, scaled so that the longest axis has length 1."""
    root = torch.tensor(ROOT)
    return root / root.norm(dim=0).max()


def to_rgb(components: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """RGB before the sigmoid, of components that vary independently."""
    axes = colour_axes().to(components)
    return torch.einsum("rc,nchw->nrhw", axes, components)
