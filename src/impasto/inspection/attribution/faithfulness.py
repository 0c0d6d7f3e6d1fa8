"""Faithfulness: take away the pixels that a map calls important, and see whether the network minds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.inspection.attribution.baselines import baseline
from impasto.inspection.attribution.gradients import batch_size, device_of
from impasto.inspection.attribution.imputation import impute
from impasto.inspection.attribution.options import BaselineName
from impasto.inspection.predictions import scores
from impasto.networks import Network

STEPS = 24
PARTS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the pixels that ROAD removes
NOISE = 0.01  # of what is imputed, standard deviation in [0, 1]; Rong et al.'s code
PATCHES = 28  # patches along the shorter side
RANDOM_ORDERS = 2


@dataclass(frozen=True)
class Faithfulness:
    """What becomes of the class's probability, as a part of what the whole picture has.

    Attributes:
        deletion: Mean while the most important patches go first; lower is better.
        insertion: Mean while the most important patches come first, over a blurred picture; higher is better.
        road: How much more is left when the least important pixels are removed than when the most important are;
            higher is better, and 0 is what an order without meaning gets.
    """

    deletion: float
    insertion: float
    road: float

    def facts(self) -> dict[str, float]:
        """For JSON."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def faithfulness(
    network: Network,
    image: Float[Tensor, "1 3 h w"],
    index: int,
    map: Float[Tensor, "h w"],
    *,
    away: BaselineName = "blur",
    patch: int | None = None,
    seed: int = 0,
) -> Faithfulness:
    """Deletion, insertion and ROAD of one map.

    Deletion and insertion: Petsiuk et al., "RISE: randomized input sampling for explanation of black-box models"
    (2018), section 4.2. Departures: what is deleted gives way to the blurred picture that insertion begins with, not to
    gray, whose edges alone confuse a network (with gray, SqueezeNet's maps were hardly better than chance). Whole
    patches go, in the order of their mean, as in Samek et al. (2017): single pixels taken out at random harm a network
    by their pattern more than by what they hide (``patch=1`` is the paper's way). And probabilities are divided by the
    whole picture's, so that pictures can be compared.

    ROAD: Rong et al. (2022): pixels are removed by noisy linear imputation, the most important first and the least
    important first; the mean difference over a tenth to nine tenths of the pixels.

    Equal values are ordered by chance.

    Args:
        network: A classifier.
        image: In [0, 1].
        index: The class.
        map: How much each pixel matters.
        away: What is in the place of a patch that is deleted.
        patch: Side of a patch. Default: a 28th of the picture's shorter side.
        seed: Of the order of equal values, and of the noise.
    """
    image = image.to(device_of(network))
    chance = np.random.default_rng(seed)
    fraction = _fractions(map, patch or max(1, round(min(map.shape) / PATCHES)), chance).to(image.device)
    gone, nothing = baseline(image, away), baseline(image, "blur")
    parts = torch.linspace(0, 1, STEPS + 1).tolist()
    deleted = (torch.where(fraction < part, gone, image) for part in parts)
    inserted = (torch.where(fraction < part, image, nothing) for part in parts)
    whole = max(float(scores(network, image).double().softmax(1)[0, index]), 1e-12)

    def left(pictures: Iterable[Tensor]) -> np.ndarray:
        return _probabilities(network, pictures, batch_size(image), index) / whole

    curves = [left(deleted), left(inserted)]
    areas = [float(np.trapezoid(curve, dx=1 / STEPS)) for curve in curves]
    most, least = (left(_road(image, map, sign, chance)) for sign in (1, -1))
    return Faithfulness(areas[0], areas[1], float((least - most).mean()))


def random_order(
    network: Network,
    image: Float[Tensor, "1 3 h w"],
    index: int,
    *,
    away: BaselineName = "blur",
    patch: int | None = None,
    seed: int = 0,
) -> Faithfulness:
    """The same figures of maps of pure chance, averaged: what a map that knows something has to beat."""
    found = []
    for number in range(RANDOM_ORDERS):
        noise = torch.rand(image.shape[-2:], generator=torch.Generator().manual_seed(seed + number))
        found.append(asdict(faithfulness(network, image, index, noise, away=away, patch=patch, seed=seed)))
    return Faithfulness(**{name: sum(one[name] for one in found) / len(found) for name in found[0]})


def _fractions(map: Float[Tensor, "h w"], patch: int, chance: np.random.Generator) -> Float[Tensor, "h w"]:
    """For each pixel, the part of all pixels that goes before it, its patch being in its turn."""
    h, w = map.shape
    means = F.avg_pool2d(map[None, None].double(), patch, ceil_mode=True)[0, 0]
    sizes = F.avg_pool2d(torch.ones(1, 1, h, w), patch, ceil_mode=True, divisor_override=1)[0, 0]
    order = np.lexsort((chance.random(means.numel()), -means.numpy().ravel()))
    before = np.zeros(means.numel())
    before[order] = np.cumsum(sizes.numpy().ravel()[order]) - sizes.numpy().ravel()[order]
    grid = torch.from_numpy(before / (h * w)).view(means.shape)
    return grid.repeat_interleave(patch, 0).repeat_interleave(patch, 1)[:h, :w].float()


def _road(
    image: Float[Tensor, "1 3 h w"], map: Float[Tensor, "h w"], sign: int, chance: np.random.Generator
) -> Iterator[Float[Tensor, "1 3 h w"]]:
    """The picture with ever more pixels imputed, the most (or with sign −1 the least) important first."""
    pixels = image[0].cpu().double().numpy()
    order = np.lexsort((chance.random(map.numel()), -sign * map.double().numpy().ravel()))
    for part in PARTS:
        missing = np.zeros(map.numel(), bool)
        missing[order[: round(part * map.numel())]] = True
        filled = impute(pixels, missing.reshape(map.shape), NOISE * chance.standard_normal(pixels.shape))
        yield torch.from_numpy(filled)[None].to(image)


def _probabilities(network: Network, pictures: Iterable[Tensor], size: int, index: int) -> np.ndarray:
    """(n,) float64, the class's probability in each picture (1, 3, h, w); ``size`` go through the network at once."""
    rest, found = iter(pictures), []
    while some := list(islice(rest, size)):
        found.append(scores(network, torch.cat(some)).double().softmax(1)[:, index].cpu().numpy())
    return np.concatenate(found)
