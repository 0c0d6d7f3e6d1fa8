"""Integrated gradients: the score shared out among the pixels, so that the shares add up."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto.inspection.attribution.attribution import Attribution, signed
from impasto.inspection.attribution.baselines import baseline as baseline_picture
from impasto.inspection.attribution.gradients import batch_size, device_of, gradients
from impasto.inspection.attribution.options import BaselineName
from impasto.inspection.predictions import scores
from impasto.networks import Network


def integrated_gradients(
    network: Network,
    image: Float[Tensor, "1 3 h w"],
    index: int,
    *,
    baseline: BaselineName = "black",
    steps: int = 50,
) -> Attribution:
    """The gradient's mean on the way from a baseline to the picture, times how far each pixel goes.

    Sundararajan et al., "Axiomatic attribution for deep networks" (2017), eq. 1, by Gauss-Legendre quadrature. The
    shares add up to score(picture) − score(baseline); by how much they fail to is the fact ``gap``: more steps make it
    smaller. What is as the baseline has no share: with a black one, nothing black matters.

    Args:
        network: A classifier.
        image: In [0, 1].
        index: The class.
        baseline: The picture that shows nothing.
        steps: Points of the quadrature; they go through the network in batches of bounded memory.
    """
    image = image.to(device_of(network))
    start = baseline_picture(image, baseline)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    places, shares = (image.new_tensor(values).view(-1, 1, 1, 1) for values in (0.5 * (1 + nodes), 0.5 * weights))
    mean = torch.zeros_like(image)
    size = batch_size(image)
    for first in range(0, steps, size):
        place, share = places[first : first + size], shares[first : first + size]
        mean += (share * gradients(network, start + place * (image - start), index)).sum(0, keepdim=True)
    values = mean * (image - start)
    whole, nothing = scores(network, torch.cat([image, start]))[:, index].tolist()
    total = values.double().sum().item() if values.device.type != "mps" else values.sum().item()
    return signed(
        "integrated-gradients",
        values[0],
        baseline=baseline,
        steps=steps,
        score=whole,
        baseline_score=nothing,
        gap=total - (whole - nothing),
    )
