"""The schedule: which network works at which size for how many steps, from coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

from impasto.images.resize import pyramid
from impasto.synthesis.options import StyleTransferOptions

SMALLEST = 96  # longest side of the coarsest scale, or up to twice that

# Steps at the finest scale; the next coarser one makes twice as many, all below it two and a half times.
STEPS = {"draft": 15, "good": 30, "best": 60}
COARSER = (1.0, 2.0, 2.5)
# Steps of a big network that comes after pocket.
FINISHING_STEPS = 25
HISTORY = 20
# An evaluation of a big network, in those of pocket (VGG-19 to relu3_3): for the progress bar alone.
BIG_COST = 10.0


@dataclass(frozen=True)
class Stage:
    """One network at one size.

    Attributes:
        size: (height, width) of the picture.
        network: Name of the network.
        steps: Steps at most.
        history: Steps that L-BFGS remembers.
    """

    size: tuple[int, int]
    network: str
    steps: int
    history: int = HISTORY

    @property
    def cost(self) -> float:
        """Relative cost, by which progress is told."""
        return self.size[0] * self.size[1] * self.steps * (1.0 if self.network == "pocket" else BIG_COST)


def schedule(size: tuple[int, int], options: StyleTransferOptions) -> tuple[Stage, ...]:
    """Stages for a result of this size.

    With a big network, ``draft`` is pocket alone, ``good`` is pocket and then the big network at the finest scale,
    ``best`` the big network throughout. With pocket itself they are more and more steps.
    """
    sizes = [at for at in pyramid(size, SMALLEST) if min(at) >= 16 or at == size]
    network = options.network
    throughout = network if options.quality == "best" else "pocket"
    steps = options.steps or STEPS["good" if network != "pocket" and options.quality == "draft" else options.quality]
    factors = [COARSER[min(below, len(COARSER) - 1)] for below in reversed(range(len(sizes)))]
    stages = [Stage(at, throughout, round(steps * factor)) for at, factor in zip(sizes, factors, strict=True)]
    if network != "pocket" and options.quality == "good":
        stages.append(Stage(size, network, options.steps or FINISHING_STEPS))
    return tuple(stages)
