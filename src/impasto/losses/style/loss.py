"""What a style loss is: sums to take, what to keep of the painting's, and how far a picture's are from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from impasto.losses.statistics import Statistic, Sums


@dataclass(frozen=True)
class Sketch:
    """What a statistic may ask of the painting before anything is summed, for one tap.

    Attributes:
        moments: The sums of ``second_moment_sums`` over the painting's map.
        patches: ``patches(most)`` are 3×3 patches of the painting's map, spread evenly over it, ``most`` at most.
    """

    moments: Callable[[], Sums]
    patches: Callable[[int], Float[Tensor, "n c 3 3"]]


@dataclass(frozen=True)
class StyleLoss:
    """A style loss, for one tap: ``distance(sums of the picture, target(sums of the painting))``.

    Attributes:
        statistic: The additive sums that it compares; where they depend on the painting, it asks the sketch.
        target: What is kept of the painting's sums.
        distance: Scalar ≥ 0, zero when the statistics agree; differentiable in the picture's sums.
        size: The distance from an empty picture (or another natural unit): what a distance is measured against.
        content_factor: Weight of the content beside this loss, relative to beside Gram's, so that a strength keeps as
            much of the content with every loss (measured by ``benchmarks/strength.py``).
    """

    statistic: Callable[[Sketch], Statistic]
    target: Callable[[Sums], Any]
    distance: Callable[[Sums, Any], Float[Tensor, ""]]
    size: Callable[[Any], float]
    content_factor: float = 1.0
