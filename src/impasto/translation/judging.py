"""Judging: what a restoration is worth on validation pairs, by what it is to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from impasto.networks import Network
from impasto.translation.degrade import Recipe
from impasto.translation.degrade.gray import luma
from impasto.translation.metrics import colourfulness, feature_distance, psnr, psnr_b, ssim
from impasto.translation.recolour import with_chroma
from impasto.translation.training_recipe import steps_of

# dB that are told where every pair comes out exact: of 256² pixels 8 bits have none between 96 and infinity
EXACT = 100.0


def scores(
    bad: Float[Tensor, "1 3 h w"],
    output: Float[Tensor, "1 3 H W"],
    good: Float[Tensor, "1 3 H W"],
    recipe: Recipe,
    *,
    colours: bool = False,
    network: Network | None = None,
) -> dict[str, float]:
    """What a restored picture is worth.

    PSNR (dB) and SSIM of Y, without a border of the scale (the published protocol), and PSNR-B of it where the
    recipe leaves the blocks of JPEG. Of a colorization the luma is what the network was given: it is put back, as it is
    where the model is used, and told are ``psnr_chroma`` and ``colourfulness``, as `impasto benchmark` has them.

    Args:
        bad: What the network was given, in [0, 1].
        output: What it made of it, not clamped.
        good: The truth.
        recipe: What made it bad.
        colours: Whether this is a colorization.
        network: To tell a ``feature_distance`` too, one to see by.
    """
    if colours:
        output = output.clamp(0, 1)
        output = with_chroma(luma(bad), output - luma(output))
        found = {"psnr_chroma": psnr(output, good, colour="chroma"), "colourfulness": colourfulness(output)}
    else:
        border = recipe.scale if recipe.scale > 1 else 0
        found = {"psnr": psnr(output, good, border=border), "ssim": ssim(output, good, border=border)}
        if recipe.scale == 1 and any(step.operation == "jpeg" for step in steps_of(recipe.steps)):
            found["psnr_b"] = psnr_b(output, good, colour="y")
    if network:
        found["feature_distance"] = feature_distance(output, good, network)
    return {name: float(value.detach()[0]) for name, value in found.items()}


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each score over pictures; of PSNR over those that are not exact, or `EXACT` where all are.

    An exact picture's PSNR is infinite, and so would be any mean with it: of what a recipe leaves as it is, a network
    that does nothing would then be the best.

    >>> means([{"psnr": 30.0}, {"psnr": math.inf}]), means([{"psnr": math.inf}])
    ({'psnr': 30.0}, {'psnr': 100.0})
    """
    found = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name.startswith("psnr"):
            values = [value for value in values if value != math.inf] or [EXACT]
        found[name] = float(np.mean(values))
    return found
