"""The schedule: which network works at which size for how many steps, and what moves the pixels there."""

from __future__ import annotations

from dataclasses import dataclass

from impasto.images.resize import pyramid
from impasto.synthesis.options import StyleOptions, SynthesisOptions

SMALLEST = 96  # longest side of the coarsest scale, or up to twice that

# Steps at the finest scale, and fewer where it is above FULL megapixels: what is left to do there is fine detail. Each
# coarser scale makes twice as many as the next, up to MOST times the figure here.
STEPS = {"draft": 15, "good": 30, "best": 60}
FULL = 4e6
MOST = 2.5
# Steps of a big network that comes after pocket.
FINISHING_STEPS = 25
# An evaluation of a big network, in those of pocket (VGG-19 to relu3_3): for the progress bar alone.
BIG_COST = 10.0

# L-BFGS remembers as many steps as these many megapixels hold, within bounds; in half precision, and not at all, above
# these sizes. They depend on the size alone, not on the memory that happens to be free, so that the same options
# give the same picture.
HISTORY_MEGAPIXELS = 80
LONGEST_HISTORY, SHORTEST_HISTORY = 20, 5
HALF_ABOVE = 8e6
ADAM_ABOVE = 24e6


@dataclass(frozen=True)
class Stage:
    """One network at one size.

    Attributes:
        size: (height, width) of the picture.
        network: Name of the network.
        steps: Steps at most.
        optimizer: ``lbfgs`` or ``adam``.
        history: Steps that L-BFGS remembers.
        half: Whether it remembers them in half precision.
    """

    size: tuple[int, int]
    network: str
    steps: int
    optimizer: str = "lbfgs"
    history: int = LONGEST_HISTORY
    half: bool = False

    @property
    def cost(self) -> float:
        """Relative cost, by which progress is told."""
        return self.size[0] * self.size[1] * self.steps * (1.0 if self.network == "pocket" else BIG_COST)

    @property
    def pictures(self) -> float:
        """Pictures of this size, float32, that are in memory at once while it is worked."""
        if self.optimizer == "adam":
            return 10.0  # x, gradient, the next x and its (float64 at first), two moments, the photograph, and a spare
        return 11.0 + 2 * self.history * (0.5 if self.half else 1.0)


def schedule(size: tuple[int, int], options: StyleOptions, multiple: int = 1) -> tuple[Stage, ...]:
    """Stages for a result of this size, coarse to fine.

    With a big network, ``draft`` is pocket alone, ``good`` is pocket and then the big network at the finest scale,
    ``best`` the big network throughout. With pocket itself they are more and more steps.

    Args:
        size: (height, width) of the result.
        options: Network, quality, steps, scales, optimizer.
        multiple: What all sides must be multiples of.
    """
    sizes = [at for at in pyramid(size, SMALLEST) if min(at) >= 16 or at == size]
    sizes = sizes[-options.scales :] if options.scales else sizes
    if multiple > 1:
        coarse = [tuple(max(multiple, round(side / multiple) * multiple) for side in at) for at in sizes[:-1]]
        sizes = [*coarse, size]  # type: ignore[list-item]
    network = options.network
    throughout = network if options.quality == "best" else "pocket"
    usual = STEPS["good" if network != "pocket" and options.quality == "draft" else options.quality]
    fewer = min(1.0, (FULL / (size[0] * size[1])) ** 0.5)
    steps = options.steps or round(usual * fewer)
    counts = [round(min(steps * 2**below, MOST * max(steps, usual))) for below in reversed(range(len(sizes)))]
    stages = [stage(at, throughout, count, options) for at, count in zip(sizes, counts, strict=True)]
    if network != "pocket" and options.quality == "good":
        stages.append(stage(size, network, options.steps or round(FINISHING_STEPS * fewer), options))
    return tuple(stages)


def stage(size: tuple[int, int], network: str, steps: int, options: SynthesisOptions) -> Stage:
    """One stage, with the optimizer that suits its size."""
    pixels = size[0] * size[1]
    optimizer = options.optimizer
    if optimizer == "auto":
        optimizer = "adam" if pixels > ADAM_ABOVE else "lbfgs"
    return _stage(size, network, steps, optimizer)


def smaller(stage: Stage, size: tuple[int, int]) -> Stage:
    """The stage at a smaller size, with the optimizer that takes more memory where Adam is there by its size alone."""
    pixels = size[0] * size[1]
    return _stage(size, stage.network, stage.steps, stage.optimizer if pixels > ADAM_ABOVE else "lbfgs")


def _stage(size: tuple[int, int], network: str, steps: int, optimizer: str) -> Stage:
    pixels = size[0] * size[1]
    if optimizer == "adam":
        return Stage(size, network, steps, "adam", 0)
    history = min(LONGEST_HISTORY, max(SHORTEST_HISTORY, round(HISTORY_MEGAPIXELS * 1e6 / pixels)))
    return Stage(size, network, steps, "lbfgs", history, pixels > HALF_ABOVE)
