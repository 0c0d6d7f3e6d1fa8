"""Saliency: the gradient of a class score, the first and plainest of all attributions."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from impasto.inspection.attribution.attribution import Attribution, signed, unsigned
from impasto.inspection.attribution.gradients import gradients
from impasto.networks import Network


def saliency(network: Network, image: Float[Tensor, "1 3 h w"], index: int) -> Attribution:
    """How much the score of class ``index`` changes with each pixel: the largest |∂score/∂x| over the colours.

    Simonyan et al., "Deep inside convolutional networks" (2014), section 3; CS231n. It tells what the score is
    sensitive to where the picture is, which is not what the score is made of.

    Args:
        network: A classifier.
        image: In [0, 1].
        index: The class.
    """
    return unsigned("saliency", gradients(network, image, index)[0])


def gradient(network: Network, image: Float[Tensor, "1 3 h w"], index: int) -> Attribution:
    """The same gradient with its signs: where making the pixel lighter would raise the score, and where lower it."""
    return signed("gradient", gradients(network, image, index)[0])
