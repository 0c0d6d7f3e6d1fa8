"""Histogram losses: optimal transport between the distributions of single channels, or of random projections."""

from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.losses.statistics import Statistic, Sums, covariance, gram, mean, wide
from impasto.losses.style.loss import Sketch, StyleLoss
from impasto.losses.style.soft_histogram import NODES, Grid, soft_histogram_sums

DIRECTIONS = 64
SEED = 2012
# A channel whose deviation is below this part of the tap's root mean square counts as dead; its grid is this small.
DEAD = 1e-3


class Marginals(NamedTuple):
    """The painting's distributions: cumulative up to each node, mean square beyond the grid, and the nodes' width."""

    cumulative: Float[Tensor, "r n"]
    beyond: Float[Tensor, " r"]
    width: Float[Tensor, " r"]


@torch.no_grad()
def channel_statistic(sketch: Sketch) -> Statistic:
    """Histograms of the channels, from μ − 4σ to μ + 8σ of the painting: rectified features have a long upper tail."""
    sums = sketch.moments()
    grid = _grid(sums, wide(mean(sums)), covariance(sums).diagonal(), below=4, above=8)
    return Statistic("histogram", partial(soft_histogram_sums, grid=grid, directions=None))


@torch.no_grad()
def projected_statistic(sketch: Sketch) -> Statistic:
    """Histograms of the projections θᵀf onto fixed random directions, from μ − 6σ to μ + 6σ of the painting's.

    There are as many directions as channels, as in Heitz et al. (2021), or ``DIRECTIONS`` where there are fewer:
    orthonormal ones see the whole space. Theirs are drawn anew in every step; these stay, so that the loss is a
    function of the picture, which a line search needs.
    """
    sums = sketch.moments()
    axes = random_directions(len(sums["first"])).to(wide(sums["first"]))
    variance = ((axes @ covariance(sums)) * axes).sum(1)
    grid = _grid(sums, axes @ wide(mean(sums)), variance, below=6, above=6)
    return Statistic("projected histogram", partial(soft_histogram_sums, grid=grid, directions=axes))


def random_directions(channels: int) -> Float[Tensor, "r c"]:
    """Unit vectors: the rows of as many random orthogonal matrices as are needed."""
    chance = torch.Generator().manual_seed(SEED)
    count = max(channels, DIRECTIONS)
    squares = [
        torch.randn(channels, channels, generator=chance, dtype=torch.float64) for _ in range(0, count, channels)
    ]
    return torch.cat([torch.linalg.qr(square)[0].T for square in squares])[:count]


def transport_costs(sums: Sums, target: Marginals) -> Float[Tensor, " r"]:
    """W₂² between each row's distribution and the painting's, by W₂² = 2·∫ dx ∫_{Fₛ(x)}^{F(x)} (Qₛ(u) − x) du.

    Its slope in F at x is −2·(x − Qₛ(F(x))): what it does to a feature f is to pull it towards R(f) = Qₛ(F(f)), the
    remap of the painting's histogram onto the picture's, as ‖f − R(f)‖² with R held fixed does: Risser, Wilmot and
    Barnes, "Stable and controllable neural texture synthesis and style transfer using histogram losses" (2017);
    with R by sorting, Luan et al., "Deep painterly harmonization" (2018).

    The integral over x is the midpoint rule between the nodes, where F is the soft histogram's sum; Fₛ rises linearly
    around each node, by its mass. So the distance is zero for equal histograms alone, is smooth, and is exact for
    a shift by whole nodes.

    Values off the grid count at its end, d from where the painting has their share of mass; sticking out by o they
    cost (d + o)², so that 2·d·o + o² is added, with the mean d of each end, and o² less what the painting itself has.
    """
    histogram, below, above, beyond = (wide(sums[name]) for name in ("histogram", "below", "above", "beyond"))
    count = wide(sums["count"])
    cumulative, painted_beyond, width = (each.to(histogram) for each in target)
    own = _cumulative(histogram)
    edges = torch.arange(NODES, device=own.device) + 0.5
    gained = _quantile_integral(own, cumulative) - _quantile_integral(cumulative, cumulative)
    inside = 2 * width.square() * (gained - edges * (own - cumulative)).sum(1)
    first, last = _quantile_means_at_ends(own, cumulative)
    crossed = 2 * width * (below * first + above * (NODES - 1 - last)) / count
    outside = F.relu(beyond / count - painted_beyond)
    return (inside + crossed + outside).to(sums["histogram"])


@torch.no_grad()
def marginals(sums: Sums) -> Marginals:
    """What is kept of the painting's sums."""
    beyond, width = (wide(sums[name]) / wide(sums["count"]) for name in ("beyond", "width"))
    return Marginals(_cumulative(wide(sums["histogram"])), beyond, width)


def variances(target: Marginals) -> Float[Tensor, " r"]:
    """The variance of each of the painting's distributions: how far it is from its mean alone."""
    mass = target.cumulative.diff(dim=1, prepend=torch.zeros_like(target.cumulative[:, :1]))
    nodes = torch.arange(NODES, device=mass.device).to(mass)
    return ((mass @ nodes.square()) - (mass @ nodes).square()) * target.width.square()


def _grid(sums: Sums, middle: Tensor, variance: Tensor, *, below: int, above: int) -> Grid:
    floor = DEAD * (wide(gram(sums)).trace() / len(sums["first"])).sqrt().clamp_min(1e-6)
    deviation = variance.clamp_min(0).sqrt().maximum(floor)
    return Grid(middle - below * deviation, (below + above) / (NODES - 1) * deviation)


def _cumulative(histogram: Float[Tensor, "r n"]) -> Float[Tensor, "r n"]:
    total = histogram.cumsum(dim=1)
    return total / total[:, -1:]


def _quantile_integral(shares: Float[Tensor, "r m"], cumulative: Float[Tensor, "r n"]) -> Float[Tensor, "r m"]:
    """∫₀ᵘ Q, with Q rising from k − ½ to k + ½ as u goes through the mass of node k."""
    before = F.pad(cumulative, (1, 0))
    mass = before.diff(dim=1)
    means = F.pad((mass * torch.arange(NODES, device=mass.device)).cumsum(dim=1), (1, 0))
    # never a node without mass, but for a share of 0; and not one too many for a share that is no number
    node = torch.searchsorted(cumulative, shares.detach()).clamp_(max=NODES - 1)
    rest = shares - before.gather(1, node)
    slope = rest / (2 * mass.gather(1, node).clamp_min(torch.finfo(mass.dtype).tiny))
    return means.gather(1, node) + rest * (node - 0.5 + slope)


def _quantile_means_at_ends(own: Float[Tensor, "r n"], cumulative: Float[Tensor, "r n"]) -> tuple[Tensor, Tensor]:
    """The mean of Q over the lowest and over the highest share of mass, as large as that of ``own``'s end nodes."""
    shares = torch.stack([own[:, 0], own[:, -2], torch.ones_like(own[:, 0])], dim=1)
    until_first, until_last, whole = _quantile_integral(shares, cumulative).unbind(1)
    tiny = torch.finfo(own.dtype).tiny
    return until_first / shares[:, 0].clamp_min(tiny), (whole - until_last) / (1 - shares[:, 1]).clamp_min(tiny)


HISTOGRAM = StyleLoss(
    statistic=channel_statistic,
    target=marginals,
    distance=lambda sums, target: transport_costs(sums, target).sum(),
    size=lambda target: float(variances(target).sum()),
    content_factor=1.4,
)

SLICED = StyleLoss(
    statistic=projected_statistic,
    target=marginals,
    distance=lambda sums, target: transport_costs(sums, target).mean(),
    size=lambda target: float(variances(target).mean()),
    content_factor=1.7,
)
