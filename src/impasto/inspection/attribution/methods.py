"""Methods of attribution, by name: what each is, says and needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from jaxtyping import Float
from torch import Tensor

from impasto.inspection.attribution.attribution import Attribution
from impasto.inspection.attribution.edges import edges
from impasto.inspection.attribution.grad_cam import grad_cam
from impasto.inspection.attribution.guided import deconvnet, guided_backprop
from impasto.inspection.attribution.integrated_gradients import integrated_gradients
from impasto.inspection.attribution.occlusion import occlusion
from impasto.inspection.attribution.options import ExplainOptions, MethodName
from impasto.inspection.attribution.saliency import gradient, saliency
from impasto.inspection.attribution.smoothgrad import smoothgrad
from impasto.networks import Network

Attribute = Callable[[Network, Tensor, int, ExplainOptions], Attribution]


@dataclass(frozen=True)
class Method:
    """A way to attribute.

    Attributes:
        attribute: From network, picture (1, 3, h, w) in [0, 1], class and options to the attribution.
        about: What the map says, in a few words.
        default: Whether it is among those made when none is named.
        needs_relu: Whether it is about ReLUs, and says nothing of a network without them.
    """

    attribute: Attribute
    about: str
    default: bool = False
    needs_relu: bool = False


METHODS: dict[MethodName, Method] = {
    "saliency": Method(
        lambda n, x, k, o: saliency(n, x, k), "which pixels the score is most sensitive to", default=True
    ),
    "gradient": Method(lambda n, x, k, o: gradient(n, x, k), "where lighter raises the score, and where it lowers it"),
    "guided": Method(
        lambda n, x, k, o: guided_backprop(n, x, k),
        "what excites open ReLUs on the way to the score",
        default=True,
        needs_relu=True,
    ),
    "deconvnet": Method(
        lambda n, x, k, o: deconvnet(n, x, k), "what would excite ReLUs on the way to the score", needs_relu=True
    ),
    "integrated-gradients": Method(
        lambda n, x, k, o: integrated_gradients(n, x, k, baseline=o.baseline or "black", steps=o.steps),
        "each pixel's share of the score",
        default=True,
    ),
    "smoothgrad": Method(
        lambda n, x, k, o: smoothgrad(n, x, k, samples=o.samples, noise=o.noise, seed=o.seed),
        "sensitivity, averaged over noisy copies",
        default=True,
    ),
    "smoothgrad-squared": Method(
        lambda n, x, k, o: smoothgrad(n, x, k, samples=o.samples, noise=o.noise, seed=o.seed, squared=True),
        "squared sensitivity, averaged over noisy copies",
    ),
    "occlusion": Method(
        lambda n, x, k, o: occlusion(n, x, k, baseline=o.baseline or "gray", window=o.window, stride=o.stride),
        "how the score falls when a window is covered",
        default=True,
    ),
    "grad-cam": Method(
        lambda n, x, k, o: grad_cam(n, x, k, tap=o.tap), "where a deep layer sees what raises the score", default=True
    ),
    "edges": Method(lambda n, x, k, o: edges(n, x, k), "the picture's edges; does not ask the network"),
}
assert METHODS.keys() == set(get_args(MethodName))


def attribute(
    network: Network, image: Float[Tensor, "1 3 h w"], index: int, method: MethodName, options: ExplainOptions
) -> Attribution:
    """The attribution of a class to the pixels of a picture in [0, 1], by the method of that name."""
    return METHODS[method].attribute(network, image, index, options)
