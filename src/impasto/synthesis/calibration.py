"""Calibration: weights such that a strength means the same for any network, loss, size and number of taps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.images.resize import size_of
from impasto.losses.statistics import SECOND_MOMENTS, Statistic, Sums
from impasto.losses.style import STYLE_LOSSES, Sketch, StyleLoss
from impasto.networks import Taps
from impasto.synthesis.content_targets import ContentTargets, Place
from impasto.synthesis.measure import Summed, measure, sample_patches
from impasto.synthesis.objective import Objective, StyleTerm
from impasto.synthesis.tiles import Tiling, least_side, tiling, whole

# A term is divided by what it is at the photograph, so that 1 is "no style yet" for any network, loss and size; but
# a tap at which photograph and painting happen to agree must not be blown up.
SMALLEST_GAP = 0.05
MIDDLE = 0.005
STYLE_TILE = 1024  # side of the tiles in which paintings are measured

Fitted = dict[tuple[Any, ...], tuple[Statistic, Any]]
"""Statistics and targets of paintings that have been measured, for those that come again (a batch)."""


@dataclass(frozen=True, eq=False)
class Style:
    """A painting; it is made as large as it is measured only while it is.

    Attributes:
        picture: Gives the painting, (1, 3, k, l).
        weight: How much it counts.
        region: Number of the region that it paints; None for the whole picture.
        mask: Gives what part of the painting counts, (1, 1, k, l); None for all of it.
        key: What painting, size, network and mask are known by in a cache; None where there is none.
    """

    picture: Callable[[], Float[Tensor, "1 3 k l"]]
    weight: float = 1.0
    region: int | None = None
    mask: Callable[[], Float[Tensor, "1 1 k l"]] | None = None
    key: tuple[Any, ...] | None = None


@torch.no_grad()
def style_transfer_objective(
    taps: Taps,
    content: Float[Tensor, "1 3 h w"],
    styles: Sequence[Style],
    *,
    losses: Sequence[tuple[str, float]],
    style_taps: Sequence[str],
    content_taps: Sequence[str],
    strength: float,
    smoothness: float = 0.0,
    regions: Sequence[Float[Tensor, "1 1 h w"]] = (),
    tiles: Tiling | None = None,
    kept: int = 1,
    place: Place = "memory",
    fitted: Fitted | None = None,
) -> Objective:
    """What makes a picture show ``content`` in the manner of ``styles``.

    The style term is 1 for the photograph itself and 0 for the paintings' statistics; the content term is the part of
    the content that is lost, times :func:`content_weight`.

    Args:
        taps: The network, and all its taps that are used.
        content: The photograph.
        styles: The paintings.
        losses: Names of style losses, and their weights.
        style_taps: Where style is compared.
        content_taps: Where content is.
        strength: From 0, content alone, to 1, style alone.
        smoothness: Weight of total variation.
        regions: Masks of the photograph's size that the styles name.
        tiles: The photograph's tiles; by default it is worked whole.
        kept: Tiles whose first pass is kept for the second.
        place: Where content targets wait.
        fitted: Statistics of paintings fitted before, looked up by the styles' keys and added to.
    """
    tiles = tiles or whole(size_of(content))
    terms: list[StyleTerm] = []
    if strength > 0:
        start = content, tiles, regions
        terms = style_terms(taps, styles, losses, style_taps, start=start, fitted=fitted)
    kinds = [(STYLE_LOSSES[name], weight) for name, weight in losses]  # type: ignore[index]
    factor = sum(loss.content_factor * weight for loss, weight in kinds) / sum(weight for _, weight in kinds)
    importance = content_weight(strength) * factor
    if importance == 0:
        return Objective(taps, tiles, terms, smoothness=smoothness, regions=regions, kept=kept)
    targets = ContentTargets(Taps(taps.network, content_taps), content, tiles, place)
    weights = {tap: importance / len(content_taps) / targets.shown[tap] for tap in content_taps}
    return Objective(taps, tiles, terms, weights, targets, smoothness, regions, kept)


@torch.no_grad()
def style_terms(
    taps: Taps,
    styles: Sequence[Style],
    losses: Sequence[tuple[str, float]],
    style_taps: Sequence[str],
    *,
    side: int | None = STYLE_TILE,
    start: tuple[Float[Tensor, "1 3 h w"], Tiling, Sequence[Tensor]] | None = None,
    fitted: Fitted | None = None,
) -> list[StyleTerm]:
    """What makes a picture look like the paintings.

    Their sum is 0 where every painting's statistics are met. It is 1 at ``start``, whatever the network, the loss,
    the resolution and the number of taps; without one, it is 1 at an empty picture, roughly.

    Args:
        taps: The network.
        styles: The paintings.
        losses: Names of style losses, and their weights.
        style_taps: Where they are compared.
        side: Tiles in which the paintings are measured; None measures them whole.
        start: The picture that is 1, its tiles, and its regions.
        fitted: Statistics fitted before, looked up by the styles' keys and added to.
    """
    kinds = [(name, STYLE_LOSSES[name], weight) for name, weight in losses]  # type: ignore[index]
    share = sum(style.weight for style in styles) * sum(weight for _, weight in losses) * len(style_taps)
    found: list[tuple[Summed, StyleLoss, Any, float]] = []
    for style in styles:
        store = {} if fitted is None or style.key is None else fitted
        keys = {(tap, name): (style.key, tap, name) for tap in style_taps for name, _, _ in kinds}
        _fit(taps, style, keys, side, store)
        for name, loss, weight in kinds:
            for tap in style_taps:
                statistic, target = store[keys[tap, name]]
                found.append((Summed(tap, statistic, style.region), loss, target, style.weight * weight / share))
    own = {}
    if start:
        picture, tiles, regions = start
        own = measure(taps, tiles, picture, list(dict.fromkeys(summed for summed, *_ in found)), regions)
    terms = []
    for summed, loss, target, part in found:
        size = loss.size(target)
        gap = max(float(loss.distance(own[summed], target)), SMALLEST_GAP * size) if own else size
        terms.append(StyleTerm(summed, loss, target, part / max(gap, 1e-12)))
    return terms


def _fit(
    taps: Taps, style: Style, keys: dict[tuple[str, str], tuple[Any, ...]], side: int | None, fitted: Fitted
) -> None:
    """Measure a painting for every (tap, loss) that has not been measured."""
    missing = {pair: key for pair, key in keys.items() if key not in fitted}
    if not missing:
        return
    names = list(dict.fromkeys(tap for tap, _ in missing))
    here = Taps(taps.network, names)
    picture = style.picture()
    size = size_of(picture)
    regions = [] if style.mask is None else [style.mask()]
    region = None if style.mask is None else 0
    geometry = here.geometry() if side is not None and side < max(size) else {}
    if any(of.everywhere for of in geometry.values()):
        geometry = {}
    side = max(side, least_side(geometry, 1)) if side is not None and geometry else None
    tiles = tiling(size, side, geometry, reach=1)

    @cache
    def moments() -> dict[Summed, Sums]:
        return measure(here, tiles, picture, [Summed(tap, SECOND_MOMENTS, region) for tap in names], regions)

    def sketch(tap: str) -> Sketch:
        return Sketch(
            moments=lambda: moments()[Summed(tap, SECOND_MOMENTS, region)],
            patches=lambda most: sample_patches(Taps(taps.network, [tap]), tiles, picture, tap, most, regions),
        )

    statistics = {(tap, name): STYLE_LOSSES[name].statistic(sketch(tap)) for tap, name in missing}  # type: ignore[index]
    wanted = {pair: Summed(pair[0], statistic, region) for pair, statistic in statistics.items()}
    sums = measure(here, tiles, picture, list(dict.fromkeys(wanted.values())), regions)
    for (tap, name), key in missing.items():
        target = STYLE_LOSSES[name].target(sums[wanted[tap, name]])  # type: ignore[index]
        fitted[key] = statistics[tap, name], target


def content_weight(strength: float) -> float:
    """Weight of the content against a style of weight 1.

    At 0.5 it is ``MIDDLE``; it falls to nothing at 1 and rises steeply towards 0.
    """
    if strength == 0:
        return 1.0  # there is no style then
    return MIDDLE * min((1 - strength) / strength, 1e4) ** 2
