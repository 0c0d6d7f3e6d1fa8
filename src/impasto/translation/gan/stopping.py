"""When to stop: watches what adversarial training gains in realism and what it costs in fidelity, and finds the turn.

DeOldify's NoGAN stops a short adversarial training at an inflection point that is found by eye: before it pictures
get better, behind it they get odd. Here both sides of that judgement are numbers of the same validation pictures:

- what training has **gained**: the part by which the generator's pictures have come nearer to real ones as a crowd of
  patches (:mod:`~impasto.translation.gan.patches`) since the game began;
- what it has **cost**: the part by which their content loss has risen, beyond a tolerated one.

Both are smoothed over a few checks. Their difference is the **merit**; it rises as long as a hundredth of realism costs
less than a hundredth of content. The turn is its highest point, the later one of equals. Training stops when the turn
lies ``patience`` checks back and the content loss is past the tolerance; what is kept are the weights of the turn.

The critic's own ability is watched too, and drawn, but does not judge: it learns as the generator does. On patterns
whose sharpness an adversarial training doubled, it told all pictures apart before as behind, and the critic of the
beginning swung from one verdict to the other, while the distance of patches fell as the sharpness rose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Check(NamedTuple):
    """What was found at one moment, of the validation pictures.

    Attributes:
        step: Steps of the game that were done.
        distance: Of the made pictures' patches from the real ones'.
        content: The content loss.
        ability: Of the critic: how probably it scores a real patch above a made one, in [0, 1].
        accuracy: Part of the scores on the right side of the boundary, real and made ones counting equally.
        gap: Mean score of real pictures less that of made ones.
    """

    step: int
    distance: float
    content: float
    ability: float = 0.5
    accuracy: float = 0.5
    gap: float = 0.0


class Verdict(NamedTuple):
    """What the checks say.

    Attributes:
        best: Number of the check at the turn.
        stop: Whether to stop.
        merits: By check, 0 at the first.
    """

    best: int
    stop: bool
    merits: tuple[float, ...]


def ability(real: Float[Tensor, " n"], fake: Float[Tensor, " m"]) -> float:
    """How probably a real score is above a made one, equals counting half: Mann and Whitney's U over n·m.

    It is the area under the ROC curve, and depends neither on the scale nor on the zero of the scores.

    >>> ability(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0]))
    0.75
    """
    made = fake.double().sort().values
    scores = real.double()
    below = torch.searchsorted(made, scores, side="left") + torch.searchsorted(made, scores, side="right")
    return float(below.double().mean() / (2 * len(made)))


def verdict(checks: Sequence[Check], *, tolerance: float = 0.1, patience: int = 5, window: int = 3) -> Verdict:
    """Where the turn is, and whether training is far enough behind it.

    Args:
        checks: All so far, the first before the game.
        tolerance: Part by which the content loss may rise for nothing.
        patience: Checks without a higher merit.
        window: Checks that each value is the mean of, itself and those before it.

    >>> checks = [Check(0, 4.0, 1.0), Check(1, 3.0, 1.0), Check(2, 3.0, 1.5)]
    >>> verdict(checks, tolerance=0.25, patience=1, window=1)
    Verdict(best=1, stop=True, merits=(0.0, 0.25, 0.0))
    """
    nearer = [1 - risen for risen in _risen([one.distance for one in checks], window)]
    dearer = [risen - 1 for risen in _risen([one.content for one in checks], window)]
    merits = tuple(gain - max(0.0, cost - tolerance) for gain, cost in zip(nearer, dearer, strict=True))
    best = max(range(len(merits)), key=lambda number: (merits[number], number))
    return Verdict(best, len(merits) - 1 - best >= patience and dearer[-1] > tolerance, merits)


def _risen(values: Sequence[float], window: int) -> list[float]:
    """Smoothed values as multiples of the first."""
    recent = [values[max(0, end - window) : end] for end in range(1, len(values) + 1)]
    return [sum(some) / len(some) / max(values[0], 1e-12) for some in recent]
