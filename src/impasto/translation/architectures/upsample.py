"""Upsampling: bicubic, and by PixelShuffle, with initial weights that give no checkerboard, and a blur."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.nn.utils.parametrize import is_parametrized

from impasto.images.resample import kernel_at
from impasto.training.parametrizations import settle
from impasto.translation.names import Norm


@torch.no_grad()
def icnr_(conv: nn.Conv2d, scale: int) -> None:
    """Initialise a convolution before a PixelShuffle so that it first enlarges by repetition (ICNR).

    Aitken et al. (2017), "Checkerboard artifact free sub-pixel convolution", section 3: all scale² filters that make
    one channel begin alike. The *weight* is assigned, not written into: where it is derived from other parameters
    (weight or spectral norm) these are set to what gives it, so that the initialisation is not lost (fastai's was).
    Under spectral norm it is given up to its scale, which the norm sets to 1.
    """
    weight = conv.weight
    kernel = torch.empty(weight.shape[0] // scale**2, *weight.shape[1:], dtype=weight.dtype, device=weight.device)
    nn.init.kaiming_normal_(kernel, nonlinearity="relu")
    repeated = kernel.repeat_interleave(scale**2, dim=0)
    if is_parametrized(conv, "weight"):
        conv.weight = repeated  # through the parametrization's right inverse
        settle(conv)
    else:
        conv.weight.copy_(repeated)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def parametrized(conv: nn.Conv2d, norm: Norm) -> nn.Conv2d:
    """A convolution, its weight under weight or spectral norm if that is the norm."""
    if norm == "weight":
        weight_norm(conv)
    elif norm == "spectral":
        spectral_norm(conv)
    return conv


class PixelShuffleUp(nn.Module):
    """1×1 convolution to scale²·out channels → ReLU → PixelShuffle → blur, as in fastai's U-Net.

    The blur is an average of each 2×2 window (Sugawara et al. 2018: it removes checkerboards); the first row and
    column are repeated, so that the size stays.
    """

    def __init__(
        self, channels: int, out: int, scale: int = 2, *, blur: bool = True, icnr: bool = True, norm: Norm = "none"
    ) -> None:
        """Make it; of the norms, ``weight`` and ``spectral`` are of its convolution, as fastai has it."""
        super().__init__()
        self.conv = parametrized(nn.Conv2d(channels, out * scale**2, 1), norm)
        self.scale, self.blur = scale, blur
        if icnr:
            icnr_(self.conv, scale)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k H W"]:
        """(B, C, h, w) → (B, out, scale·h, scale·w)."""
        x = F.pixel_shuffle(F.relu(self.conv(x)), self.scale)
        return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1) if self.blur else x


class Bicubic(nn.Module):
    """Enlarges by bicubic interpolation (Keys 1981, a = −½: MATLAB's and Pillow's), the picture's border repeated.

    Output pixel (s·i + p, s·j + q) is filter s·p + q over the 5×5 pixels around (i, j): a convolution and a
    PixelShuffle, which every exporter knows. Under autocast it computes in its own precision all the same: float32,
    unless the module has been cast, as a network is that is exported in half precision (there it is within 0.002).
    """

    filters: Tensor

    def __init__(self, scale: int, channels: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("filters", _bicubic_filters(scale).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c H W"]:
        """(B, C, h, w) → (B, C, scale·h, scale·w)."""
        if self.scale == 1:
            return image
        with torch.autocast(image.device.type, enabled=False):
            framed = F.pad(image.to(self.filters.dtype), (2, 2, 2, 2), mode="replicate")
            return F.pixel_shuffle(F.conv2d(framed, self.filters, groups=image.shape[1]), self.scale)


def _bicubic_filters(scale: int) -> Float[Tensor, "k 1 5 5"]:
    """One filter for each place of an output pixel between the input's."""
    distances = torch.arange(-2, 3, dtype=torch.float64)
    places = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    weights = kernel_at("bicubic", places[:, None] - distances)
    return torch.einsum("pi,qj->pqij", weights, weights).reshape(scale * scale, 1, 5, 5).float()
