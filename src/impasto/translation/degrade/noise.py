"""Noise: Gaussian, as of amplifiers, and Poisson, as of photons."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.translation.degrade.draw import Drawn
from impasto.translation.degrade.gray import luma

PHOTONS = 256  # that a white pixel is made of


def gaussian(images: Float[Tensor, "b 3 h w"], drawn: Sequence[Drawn]) -> Float[Tensor, "b 3 h w"]:
    """Gaussian noise of ``sigma`` gray levels (of 255) in each channel, or, ``gray``, the same in all."""
    size = images.shape[-2:]
    noise = [
        torch.randn(1 if one.values["gray"] else 3, *size, generator=one.random).mul_(one.values["sigma"] / 255)
        for one in drawn
    ]
    return images + _stacked(noise, images)


def poisson(images: Float[Tensor, "b 3 h w"], drawn: Sequence[Drawn]) -> Float[Tensor, "b 3 h w"]:
    """The noise of counting photons, of which a white pixel has 256, times ``scale``; or, ``gray``, that of the luma.

    As Real-ESRGAN's (basicsr/data/degradations.py, generate_poisson_noise_pt), which counts as many photons as the
    picture has levels, rounded up to a power of two. That is 256 in most photographs; in a patch of sky it is less,
    and the noise stronger. Here a patch has the noise of its picture.
    """
    noise = []
    for image, one in zip(images, drawn):
        seen = luma(image[None])[0] if one.values["gray"] else image
        photons = (seen * 255).round().cpu() / 255 * PHOTONS  # of whole levels, so that devices agree
        noise.append((torch.poisson(photons, generator=one.random) - photons) * (one.values["scale"] / PHOTONS))
    return images + _stacked(noise, images)


def _stacked(noise: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack([one.expand(3, -1, -1) for one in noise]).to(like.device)
