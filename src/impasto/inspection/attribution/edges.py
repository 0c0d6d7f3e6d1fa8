"""Edges: an attribution that does not ask the network at all; what the others have to be better than."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.inspection.attribution.attribution import Attribution, unsigned
from impasto.networks import Network


def edges(network: Network, image: Float[Tensor, "1 3 h w"], index: int) -> Attribution:
    """How steep the picture is at each pixel, by Sobel's filters; neither network nor class are looked at.

    Adebayo et al., "Sanity checks for saliency maps" (2018), section 5: some methods' maps look like this, and so look
    convincing. The randomisation check finds it out, as it should.
    """
    down = image.new_tensor([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]]) / 8
    kernels = torch.stack([down, down.T])[:, None]
    b, c, h, w = image.shape
    steep = F.conv2d(F.pad(image.reshape(b * c, 1, h, w), (1,) * 4, mode="replicate"), kernels)
    return unsigned("edges", steep.square().sum(1).sqrt().reshape(b, c, h, w)[0])
