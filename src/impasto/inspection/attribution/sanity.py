"""Sanity: does a map change when the network's weights do? If not, it shows the picture and not the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from impasto.inspection.attribution.attribution import Attribution
from impasto.networks import Network
from impasto.networks.hooks import hooked
from impasto.networks.surgery.proof import copied

Which = Literal["all", "cascading", "independent"]

# Below the first, a map's order of pixels is another's; above the second, it is the same but for details.
CHANGES, STAYS = 0.5, 0.8
PARTS = 6
ATTEMPTS = 8
_WINDOW = 7  # structural_similarity's own


@dataclass(frozen=True)
class Similarity:
    """How alike two maps are, without their signs; None where one of them is the same all over.

    Attributes:
        what: Which weights of the second's network are random.
        rank_correlation: Spearman's, of all pixels: 1 where both order the pixels alike.
        ssim: Mean structural similarity of the maps in [0, 1].
    """

    what: str
    rank_correlation: float | None
    ssim: float | None


@dataclass(frozen=True)
class Randomisation:
    """What the check found.

    Attributes:
        stages: One for each random network.
        verdict: In words, whether the map depends on what the network has learnt.
    """

    stages: tuple[Similarity, ...]
    verdict: str

    @property
    def rank_correlation(self) -> float | None:
        """Where all weights are random; of parts by themselves, the largest."""
        return max((s.rank_correlation for s in self._judged if s.rank_correlation is not None), default=None)

    @property
    def ssim(self) -> float | None:
        """Likewise."""
        return max((s.ssim for s in self._judged if s.ssim is not None), default=None)

    @property
    def _judged(self) -> tuple[Similarity, ...]:
        return self.stages[-1:] if self.stages[-1].what.startswith("all") else self.stages

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        one = {"rank_correlation": self.rank_correlation, "ssim": self.ssim, "verdict": self.verdict}
        return one | ({"stages": [asdict(stage) for stage in self.stages]} if len(self.stages) > 1 else {})


def randomisation(
    network: Network,
    image: Float[Tensor, "1 3 h w"],
    attribute: Callable[[Network], Attribution],
    original: Attribution,
    which: Which = "all",
    *,
    seed: int = 0,
) -> Randomisation:
    """The model-randomisation check: make the map again with a network whose weights are random.

    Adebayo et al., "Sanity checks for saliency maps" (2018), section 4. The network itself is not touched: a copy's
    weights are drawn anew. Departure: where the random network is blind to the class, its score having met a closed
    ReLU everywhere, it says nothing of the method, and others are drawn.

    Args:
        network: The network of the original map.
        image: The picture, in [0, 1], on the network's device.
        attribute: Makes the map of the same picture and class with another network.
        original: The map.
        which: ``all`` weights; ``cascading``, from the output's layers on ever more, up to all; ``independent``, a part
            of the layers at a time.
        seed: Of the random weights.
    """
    layers = [
        path
        for path, layer in network.module.named_modules()
        if isinstance(layer, _BatchNorm) or any(True for _ in layer.parameters(False))
    ]
    stages = []
    for what, paths in _stages(layers, which):
        for attempt in range(1 if original.empty else ATTEMPTS):
            map = attribute(randomised(network, paths, image, seed + attempt)).map
            if map.any():
                break
        stages.append(similarity(original.map, map, what))
    return Randomisation(tuple(stages), _verdict(Randomisation(tuple(stages), "").rank_correlation))


def randomised(network: Network, paths: Sequence[str], image: Float[Tensor, "1 3 h w"], seed: int = 0) -> Network:
    """A copy of the network in which the named layers' own weights are random.

    Kernels and matrices are drawn from a normal distribution around zero with each tensor's own root mean square, so
    that activations keep their scale; vectors (biases, a normalisation's scales) are shuffled within themselves.
    The running statistics of the named batch norms are learnt as well, and of other weights: they become those that
    the picture has in the random network, layer after layer; 0 and 1, where it has a single position.

    >>> from impasto import networks
    >>> pocket = networks.load("pocket")
    >>> other = randomised(pocket, ["features.0"], torch.rand(1, 3, 32, 32))
    >>> [bool(torch.equal(pocket.module.features[k].weight, other.module.features[k].weight)) for k in (0, 3)]
    [False, True]
    """
    copy = copied(network)
    done: set[int] = set()
    with torch.no_grad():
        for number, (path, layer) in enumerate(copy.module.named_modules()):
            generator = torch.Generator().manual_seed(seed + 1000 * number)  # the same, whichever others are random
            for parameter in layer.parameters(recurse=False):
                if path in paths and id(parameter) not in done:
                    done.add(id(parameter))
                    parameter.copy_(_random(parameter.float().cpu(), generator))
        norms = [path for path in paths if isinstance(copy.module.get_submodule(path), _BatchNorm)]
        if norms:
            with hooked(copy.module, before=dict.fromkeys(norms, _take_statistics)):
                copy.module(copy.normalise(image))
    return copy


def _take_statistics(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Give a batch norm the mean and the variance of what it is about to be given."""
    norm, seen = cast(_BatchNorm, layer), inputs[0]
    if norm.running_mean is None or norm.running_var is None:
        return
    norm.reset_running_stats()
    over = [0, *range(2, seen.ndim)]
    if seen.numel() > seen.shape[1]:
        norm.running_mean.copy_(seen.mean(over))
        norm.running_var.copy_(seen.var(over, correction=0))


def _random(weights: Tensor, generator: torch.Generator) -> Tensor:
    if weights.ndim == 1:
        return weights[torch.randperm(len(weights), generator=generator)]
    return weights.square().mean().sqrt() * torch.randn(weights.shape, generator=generator)


def similarity(one: Float[Tensor, "h w"], other: Float[Tensor, "h w"], what: str = "") -> Similarity:
    """How alike two maps are, without their signs.

    >>> ramp = torch.arange(64.0).view(8, 8)
    >>> similarity(ramp, 2 * ramp)
    Similarity(what='', rank_correlation=1.0, ssim=1.0)
    """
    a, b = (_normalised(map) for map in (one, other))
    if a is None or b is None:
        return Similarity(what, None, None)
    correlation = float(spearmanr(a.ravel(), b.ravel()).statistic)
    enough = min(a.shape) >= _WINDOW
    alike = float(structural_similarity(a, b, data_range=1.0)) if enough else math.nan  # type: ignore[no-untyped-call]
    return Similarity(what, round(correlation, 4), None if math.isnan(alike) else round(alike, 4))


def _stages(layers: list[str], which: Which) -> list[tuple[str, list[str]]]:
    """Which layers are shuffled in each network, in words and by path; from the output's on."""
    everything = ("all weights", layers)
    parts = [list(part) for part in np.array_split(np.array(layers[::-1], dtype=object), min(PARTS, len(layers)))]
    match which:
        case "cascading":
            grown = [[path for part in parts[: k + 1] for path in part] for k in range(len(parts) - 1)]
            return [*((f"from the output to {paths[-1] or 'the root'}", paths) for paths in grown), everything]
        case "independent":
            return [(f"{part[-1] or 'the root'} to {part[0] or 'the root'}", part) for part in parts]
    return [everything]


def _normalised(map: Float[Tensor, "h w"]) -> np.ndarray | None:
    """The map's magnitude in [0, 1], cut at its highest thousandth; None where it is the same all over."""
    magnitude = map.abs().double().numpy()
    if magnitude.max() == magnitude.min():
        return None
    highest = np.quantile(magnitude, 0.999) or magnitude.max()
    return np.clip(magnitude / highest, 0, 1)


def _verdict(correlation: float | None) -> str:
    if correlation is None:
        return "cannot be told: a map is the same all over"
    if correlation >= STAYS:
        return "hardly depends on the weights: a picture of the picture"
    return "depends on the weights" if correlation < CHANGES else "depends on the weights only in part"
