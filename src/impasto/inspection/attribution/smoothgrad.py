"""SmoothGrad: the mean of gradients around the picture, in which what is accidental cancels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.inspection.attribution.attribution import Attribution, unsigned
from impasto.inspection.attribution.gradients import batch_size, device_of, gradients
from impasto.networks import Network


def smoothgrad(
    network: Network,
    image: Float[Tensor, "1 3 h w"],
    index: int,
    *,
    samples: int = 25,
    noise: float = 0.15,
    seed: int = 0,
    squared: bool = False,
) -> Attribution:
    """The mean gradient of pictures with noise added.

    Smilkov et al., "SmoothGrad: removing noise by adding noise" (2017), eq. 1; ``squared`` averages the squares, as in
    Hooker et al. (2019), section 3: what matters in any sample matters, whatever its sign.

    Args:
        network: A classifier.
        image: In [0, 1].
        index: The class.
        samples: How many noisy pictures.
        noise: Standard deviation of the noise, as a part of the picture's range of values; the paper's figure 3 finds
            10 to 20 % best. Noisy pixels may leave [0, 1].
        seed: Of the noise.
        squared: Average squares.
    """
    generator = torch.Generator().manual_seed(seed)
    sigma = noise * float(image.max() - image.min())
    device, picture = device_of(network), image.detach().cpu()
    total = torch.zeros_like(picture, device=device)
    left = samples
    while left:
        count = min(left, batch_size(image))
        # one draw a picture, so that the samples do not depend on how many go at once
        drawn = torch.cat([torch.randn(picture.shape, generator=generator) for _ in range(count)])
        found = gradients(network, (picture + sigma * drawn).to(device), index)
        total += (found.square() if squared else found).sum(0, keepdim=True)
        left -= count
    name = "smoothgrad-squared" if squared else "smoothgrad"
    return unsigned(name, (total / samples)[0], samples=samples, noise=noise)
