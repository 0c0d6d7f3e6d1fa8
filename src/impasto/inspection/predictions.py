"""Predictions: what a classifier takes a picture for, with names."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.networks import Network, Taps
from impasto.networks.hooks import at_rest
from impasto.networks.taps import OUTPUT


@dataclass(frozen=True)
class Prediction:
    """One class, and how much a picture looks like it to a network.

    Attributes:
        index: The class's number.
        name: Its name.
        probability: After the softmax.
        score: Before it.
    """

    index: int
    name: str
    probability: float
    score: float

    def __str__(self) -> str:
        return f"{self.name} {percent(self.probability)}"


def top_classes(network: Network, image: Float[Tensor, "1 3 h w"], k: int = 5) -> tuple[Prediction, ...]:
    """The ``k`` most probable classes of a picture in [0, 1], the most probable first; all, when there are fewer.

    Raises:
        UsageError: The network is no classifier, or the picture is too small for it.
    """
    found = scores(network, image)[0].double().cpu()
    probabilities = found.softmax(0)
    order = found.argsort(descending=True, stable=True)[:k].tolist()
    return tuple(Prediction(i, network.classes[i], probabilities[i].item(), found[i].item()) for i in order)


def prediction(network: Network, image: Float[Tensor, "1 3 h w"], index: int) -> Prediction:
    """The same of one class, however probable it is."""
    return next(one for one in top_classes(network, image, len(network.classes)) if one.index == index)


def scores(network: Network, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
    """The scores of all classes before the softmax, of pictures in [0, 1]; without gradients, the network at rest."""
    parameter = next(network.module.parameters())
    with at_rest(network.module), torch.no_grad():
        return Taps(network, [OUTPUT])(pictures.to(parameter.device))[OUTPUT]


def percent(probability: float) -> str:
    """A probability for people.

    >>> percent(0.4567), percent(0.0004), percent(0.99996)
    ('45.7 %', '< 0.1 %', '> 99.9 %')
    """
    if 0 < probability < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if 0.999 < probability < 1 else f"{100 * probability:.1f} %"
