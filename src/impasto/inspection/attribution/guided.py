"""Guided backpropagation and the deconvnet: gradients that ReLUs let through by rules of their own."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from impasto.inspection.attribution.attribution import Attribution, unsigned
from impasto.inspection.attribution.gradients import gradients
from impasto.networks import Network


def guided_backprop(network: Network, image: Float[Tensor, "1 3 h w"], index: int) -> Attribution:
    """A gradient that passes only ReLUs that are open, and only where it is positive: g·[x > 0]·[g > 0].

    Springenberg et al., "Striving for simplicity: the all convolutional net" (2015), section 3.4. Clear pictures, but
    largely of the edges in the picture: see what the randomisation check says of it.

    Raises:
        UsageError: The network runs no ReLU.
    """
    return unsigned("guided", gradients(network, image, index, "guided")[0])


def deconvnet(network: Network, image: Float[Tensor, "1 3 h w"], index: int) -> Attribution:
    """A gradient that passes ReLUs where it is positive, whether they are open or not: g·[g > 0].

    Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014), section 2.1.

    Raises:
        UsageError: The network runs no ReLU.
    """
    return unsigned("deconvnet", gradients(network, image, index, "deconvnet")[0])
