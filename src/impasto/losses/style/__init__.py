"""Style losses: how far the statistics of a feature map are from those of a painting."""

from impasto.losses.names import StyleLossName
from impasto.losses.style.gram import GRAM
from impasto.losses.style.histogram import HISTOGRAM, SLICED
from impasto.losses.style.loss import Sketch, StyleLoss
from impasto.losses.style.mean_std import MEAN_STD
from impasto.losses.style.mmd import MMD_GAUSSIAN, MMD_LINEAR, MMD_POLYNOMIAL
from impasto.losses.style.patches import MRF
from impasto.losses.style.wasserstein import WASSERSTEIN

STYLE_LOSSES: dict[StyleLossName, StyleLoss] = {
    "gram": GRAM,
    "wasserstein": WASSERSTEIN,
    "meanstd": MEAN_STD,
    "mmd-linear": MMD_LINEAR,
    "mmd-polynomial": MMD_POLYNOMIAL,
    "mmd-gaussian": MMD_GAUSSIAN,
    "histogram": HISTOGRAM,
    "sliced": SLICED,
    "mrf": MRF,
}

__all__ = ["STYLE_LOSSES", "Sketch", "StyleLoss", "StyleLossName"]
