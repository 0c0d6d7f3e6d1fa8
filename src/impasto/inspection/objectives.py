"""Objectives: what a picture is to excite; they add, scale and negate, and print what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.losses.statistics import gram, second_moment_sums
from impasto.networks import Network, Taps
from impasto.networks.hooks import at_rest
from impasto.networks.taps import OUTPUT

Found = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Objective:
    """What is made as large as it can be, of the activations of one picture or several.

    Attributes:
        label: What it is, in the notation in which it was built.
        taps: Whose activations it needs.
        value: From activations by tap, (n, C, h, w) of the objective's own n pictures, to a scalar.

    >>> print(channel("features.7", 42) - 2 * layer("features.3"))
    features.7:42 − 2·layer(features.3)
    """

    label: str
    taps: tuple[str, ...]
    value: Callable[[Found], Float[Tensor, ""]]

    def __add__(self, other: Objective) -> Objective:
        """Both at once."""
        taps = tuple(dict.fromkeys([*self.taps, *other.taps]))
        label = f"{self.label} − {other.label[1:]}" if other.label[:1] == "−" else f"{self.label} + {other.label}"
        return Objective(label, taps, lambda found: self.value(found) + other.value(found))

    def __radd__(self, other: Objective | int) -> Objective:
        """So that ``sum`` works, which begins at 0."""
        return self if isinstance(other, int) else other + self

    def __sub__(self, other: Objective) -> Objective:
        """The one, and as little of the other."""
        return self + -other

    def __neg__(self) -> Objective:
        """As little of it as there can be."""
        label = self.label[1:] if self.label[:1] == "−" and " " not in self.label else f"−{self._within()}"
        return Objective(label, self.taps, lambda found: -self.value(found))

    def __mul__(self, factor: float) -> Objective:
        """More of it, or less."""
        if factor < 0:
            return -(self * -factor)
        return Objective(f"{factor:g}·{self._within()}", self.taps, lambda found: factor * self.value(found))

    __rmul__ = __mul__

    def __str__(self) -> str:
        return self.label

    def _within(self) -> str:
        return f"({self.label})" if " " in self.label else self.label


def channel(tap: str, index: int) -> Objective:
    """The mean activation of one channel over all positions."""
    return Objective(f"{tap}:{index}", (tap,), lambda found: _one(found, tap, index).mean())


def class_score(index: int, name: str = "") -> Objective:
    """A classifier's score of a class, before the softmax, which would rather push the others down (Simonyan 2014)."""
    return Objective(f"class({name or index})", (OUTPUT,), channel(OUTPUT, index).value)


def neuron(tap: str, index: int, y: int | None = None, x: int | None = None) -> Objective:
    """The activation of one channel at one position, by default the middle one."""

    def value(found: Found) -> Tensor:
        maps = _one(found, tap, index)
        if maps.ndim == 1:
            return maps.mean()
        row = maps.shape[1] // 2 if y is None else y
        column = maps.shape[2] // 2 if x is None else x
        return maps[:, row, column].mean()

    where = "middle" if y is None and x is None else f"{y},{x}"
    return Objective(f"{tap}:{index}[{where}]", (tap,), value)


def layer(tap: str) -> Objective:
    """All of a layer at once: half its mean square, whose gradient is the activation (Mordvintsev 2015, DeepDream)."""
    return Objective(f"layer({tap})", (tap,), lambda found: found[tap].square().mean() / 2)


def direction(tap: str, vector: Float[Tensor, " c"], cosine: float = 0.0, label: str = "") -> Objective:
    """The activations' component along a vector of channels, averaged over positions.

    Args:
        tap: Where.
        vector: (C,), in the tap's channels.
        cosine: Power of the cosine between activations and vector (at least 0.1, as in lucid) by which the
            component is multiplied: 0 rewards length, more rewards pointing exactly there.
        label: What to call it.
    """

    def value(found: Found) -> Tensor:
        maps = found[tap].flatten(2).movedim(1, -1) if found[tap].ndim == 4 else found[tap][:, None]
        wanted = vector.to(maps)
        along = maps @ wanted
        if cosine:
            similar = F.cosine_similarity(maps, wanted.expand_as(maps), dim=-1)
            along = along * similar.clamp_min(0.1) ** cosine
        return along.mean()

    return Objective(label or f"direction({tap})", (tap,), value)


def like(network: Network, tap: str, picture: Float[Tensor, "1 3 h w"]) -> Objective:
    """What a guide shows: each position is drawn to the guide's activation that agrees with it best.

    The guided dreams of the DeepDream notebook (Mordvintsev et al. 2015): the gradient at a position is the guide's
    feature vector with the largest dot product.
    """
    with at_rest(network.module), torch.no_grad():
        maps = Taps(network, [tap])(picture)[tap]
    if maps.ndim != 4:
        raise UsageError(f"{tap} of {network.name} has no positions to be guided at: choose a layer with maps")
    guide = maps.flatten(2)[0]  # (C, positions)

    def value(found: Found) -> Tensor:
        maps = found[tap].flatten(2).movedim(1, -1)  # (n, positions, C)
        return (maps @ guide.to(maps)).amax(dim=-1).mean() / maps.shape[-1]

    return Objective(f"like({tap})", (tap,), value)


def style(network: Network, taps: Sequence[str], picture: Float[Tensor, "1 3 h w"]) -> Objective:
    """The style of a picture: minus the distance of Gram matrices, relative to their size (Gatys et al. 2016)."""
    with at_rest(network.module), torch.no_grad():
        wanted = {tap: _grams(maps)[0] for tap, maps in Taps(network, taps)(picture).items()}

    def value(found: Found) -> Tensor:
        apart = [
            (_grams(found[tap]) - one.to(found[tap].device)).square().mean() / one.square().mean()
            for tap, one in wanted.items()
        ]
        return -torch.stack(apart).mean().float()

    return Objective(f"style({', '.join(taps)})", tuple(taps), value)


def diversity(tap: str) -> Objective:
    """How much the objective's pictures differ: minus the mean cosine between their Gram matrices, pair by pair.

    Olah et al. (2017), "Feature visualization", on diversity. One picture alone differs from none: 0.
    """

    def value(found: Found) -> Tensor:
        grams = F.normalize(_grams(found[tap]).float().flatten(1), dim=1)
        count = len(grams)
        if count == 1:
            return grams.sum() * 0
        alike = grams @ grams.T
        return -(alike.sum() - alike.diagonal().sum()) / (count * (count - 1))

    return Objective(f"diversity({tap})", (tap,), value)


def diverse(objective: Objective, tap: str, weight: float) -> Objective:
    """An objective whose pictures must also differ at a tap, the two in a proportion that does not depend on units.

    The diversity counts ``weight`` times what the objective has reached, so that one weight serves channels whose
    activations are of order 1 and of order 100.
    """
    differ = diversity(tap)

    def value(found: Found) -> Tensor:
        reached = objective.value(found)
        return reached + weight * reached.detach().abs() * differ.value(found)

    taps = tuple(dict.fromkeys([*objective.taps, tap]))
    return Objective(f"{objective.label} + {weight:g}·{differ.label}", taps, value)


def taps_of(objectives: Iterable[Objective]) -> tuple[str, ...]:
    """All taps that some objectives need, each once."""
    return tuple(dict.fromkeys(tap for one in objectives for tap in one.taps))


def _one(found: Found, tap: str, index: int) -> Float[Tensor, "n ..."]:
    """The activations of one channel."""
    maps = found[tap]
    if not 0 <= index < maps.shape[1]:
        raise UsageError(f"{tap} has no unit {index}: they are 0 to {maps.shape[1] - 1}")
    return maps[:, index]


def _grams(maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c c"]:
    """The Gram matrix of each picture, as the style losses have it."""
    return torch.stack([gram(second_moment_sums(one[None])) for one in maps])
