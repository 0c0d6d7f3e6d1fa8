"""The objective: one number that says how far a picture is from what is wanted of it, and its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.losses.content import content_distance, content_size
from impasto.losses.smoothness import out_of_range, total_variation
from impasto.losses.style import StyleLoss
from impasto.networks import Taps

# A term is divided by what it is at the photograph, so that 1 is "no style yet" for any network, loss and size; but
# a tap at which photograph and painting happen to agree must not be blown up.
SMALLEST_GAP = 0.05
OUT_OF_RANGE_WEIGHT = 20.0


@dataclass(frozen=True)
class StyleTerm:
    """One style at one tap: ``weight`` × distance of the picture's sums to ``target``."""

    tap: str
    loss: StyleLoss
    target: Any
    weight: float


@dataclass(frozen=True)
class ContentTerm:
    """The content at one tap: ``weight`` × the part of it that is lost."""

    tap: str
    target: Float[Tensor, "1 c h w"]
    weight: float


@dataclass(frozen=True)
class Objective:
    """Style terms, content terms and smoothness of one picture, through one run of one network."""

    taps: Taps
    style: tuple[StyleTerm, ...]
    content: tuple[ContentTerm, ...]
    smoothness: float = 0.0

    def __call__(self, image: Float[Tensor, "1 3 h w"]) -> dict[str, Float[Tensor, ""]]:
        """The terms: style, content and smooth where asked for, and range. Their sum is what is minimised."""
        features = self.taps(image)
        sums: dict[tuple[str, str], dict[str, Tensor]] = {}
        for term in self.style:
            key = (term.tap, term.loss.statistic.name)
            if key not in sums:
                compared = self.taps.network.in_metric(term.tap, features[term.tap])
                sums[key] = term.loss.statistic.sums(compared, None)
        terms = {}
        if self.style:
            terms["style"] = torch.stack(
                [t.weight * t.loss.distance(sums[t.tap, t.loss.statistic.name], t.target) for t in self.style]
            ).sum()
        if self.content:
            terms["content"] = torch.stack(
                [t.weight * content_distance(features[t.tap], t.target) for t in self.content]
            ).sum()
        if self.smoothness:
            terms["smooth"] = self.smoothness * total_variation(image)
        terms["range"] = OUT_OF_RANGE_WEIGHT * out_of_range(image)
        return terms


@torch.no_grad()
def style_transfer_objective(
    taps: Taps,
    content: Float[Tensor, "1 3 h w"],
    styles: Sequence[tuple[Float[Tensor, "1 3 k l"], float]],
    *,
    loss: StyleLoss,
    style_taps: Sequence[str],
    content_taps: Sequence[str],
    strength: float,
    smoothness: float = 0.0,
) -> Objective:
    """What makes a picture show ``content`` in the manner of ``styles``, calibrated.

    The style term is 1 for the photograph itself and 0 for the painting's statistics, whatever the network, the
    loss, the resolution and the number of taps; the content term is the part of the content that is lost, times
    :func:`content_weight`.
    """
    features = taps(content)
    total = sum(weight for _, weight in styles)
    style_terms = []
    if strength > 0:
        in_metric = taps.network.in_metric
        own = {tap: loss.statistic.sums(in_metric(tap, features[tap]), None) for tap in style_taps}
        for picture, weight in styles:
            painted = taps(picture)
            for tap in style_taps:
                target = loss.target(loss.statistic.sums(in_metric(tap, painted[tap]), None))
                gap = max(float(loss.distance(own[tap], target)), SMALLEST_GAP * loss.size(target), 1e-12)
                style_terms.append(StyleTerm(tap, loss, target, weight / total / len(style_taps) / gap))
    importance = content_weight(strength) * loss.content_factor
    content_terms = [
        ContentTerm(tap, features[tap], importance / len(content_taps) / _content_unit(features[tap]))
        for tap in content_taps
        if importance > 0
    ]
    return Objective(taps, tuple(style_terms), tuple(content_terms), smoothness)


def _content_unit(features: Tensor) -> float:
    """What a lost content is measured against; a blank photograph, which shows nothing, must not weigh endlessly."""
    return max(content_size(features), 1e-3 * float(features.square().sum()), 1e-12)


def content_weight(strength: float) -> float:
    """Weight of the content against a style of weight 1.

    At 0.5 it is ``MIDDLE``; it falls to nothing at 1 and rises steeply towards 0.
    """
    if strength == 0:
        return 1.0  # there is no style then
    return MIDDLE * min((1 - strength) / strength, 1e4) ** 2


MIDDLE = 0.005
