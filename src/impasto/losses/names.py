"""Names of the losses of style, pixels and critics, without torch: the command line must not wait for it."""

from typing import Literal

StyleLossName = Literal[
    "gram",
    "wasserstein",
    "meanstd",
    "mmd-linear",
    "mmd-polynomial",
    "mmd-gaussian",
    "histogram",
    "sliced",
    "mrf",
]

PixelLossName = Literal["charbonnier", "l1", "mse"]
AdversarialLossName = Literal["bce", "hinge", "least-squares", "wasserstein"]
