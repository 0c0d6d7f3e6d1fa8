"""Gradients of a class score with respect to the pixels: what most methods are made of."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.networks import Network, Taps
from impasto.networks.gates import Gates, Rule
from impasto.networks.hooks import at_rest
from impasto.networks.taps import OUTPUT

# Pixels that go through a network at once: ten pictures of 224 × 224. VGG-19's activations and gradients of them take
# two gigabytes; larger batches are no faster on a processor.
AT_ONCE = 2**19


def batch_size(picture: Float[Tensor, "b 3 h w"]) -> int:
    """How many pictures of this size go through a network at once, so that memory stays bounded.

    >>> batch_size(torch.zeros(1, 3, 224, 224))
    10
    """
    return max(1, AT_ONCE // (picture.shape[-2] * picture.shape[-1]))


def gradients(
    network: Network,
    pictures: Float[Tensor, "b 3 h w"],
    index: int,
    rule: Rule | None = None,
    *,
    log_probability: bool = False,
) -> Float[Tensor, "b 3 h w"]:
    """∂score/∂pixel for the score of class ``index`` before the softmax, of each picture by itself.

    The network evaluates, and its weights gather no gradients; it is left as it was. The pictures are in [0, 1], so
    that the network's normalisation is part of what is derived.

    Args:
        network: A classifier.
        pictures: In [0, 1], on any device.
        index: The class.
        rule: What ReLUs do with gradients, instead of what is right (:class:`~impasto.networks.gates.Gates`).
        log_probability: Derive the logarithm of the class's probability and not its score.

    Raises:
        UsageError: The network is no classifier, or a rule is asked of a network that runs no ReLU.
    """
    taps = Taps(network, [OUTPUT])
    gates = Gates(rule) if rule else None
    with at_rest(network.module), torch.enable_grad():
        x = pictures.detach().to(device_of(network)).clone().requires_grad_()
        with gates or nullcontext():
            found = taps(x)[OUTPUT]
            score = (found.log_softmax(1) if log_probability else found)[:, index]
        if gates and not gates.met:
            raise UsageError(
                f"{network.name} runs no ReLU, and {rule} is about ReLUs: choose saliency or integrated-gradients"
            )
        (slope,) = torch.autograd.grad(score.sum(), x, materialize_grads=True)
    return slope


def device_of(network: Network) -> torch.device:
    """Where the network's weights are."""
    return next(network.module.parameters()).device
