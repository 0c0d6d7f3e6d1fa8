"""The Markov random field loss: every patch of a map against the painting's patch that is most like it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.losses.statistics import Statistic, Sums
from impasto.losses.style.loss import Sketch, StyleLoss

# Patches of the painting that are matched with.
MOST = 4096
# Numbers in the largest matrix (patches × candidates, or patches × 9C) that is held at once: 32 MB in float32.
NUMBERS_AT_ONCE = 2**23


@torch.no_grad()
def patch_statistic(sketch: Sketch) -> Statistic:
    """Σ ‖Ψ(f) − Ψ_NN(fₛ)‖² over 3×3 patches Ψ, with the painting's patch that matches best.

    Li and Wand, "Combining Markov random fields and convolutional neural networks for image synthesis" (2016),
    eq. 2, with the match of eq. 3, NN = argmaxⱼ Ψᵀ·Ψⱼ / (‖Ψ‖·‖Ψⱼ‖). The match is held fixed for the gradient.

    Departures: the mean over patches in place of the sum, so that pictures of different sizes can be compared; and
    at most ``MOST`` patches of the painting, evenly spread, without turned or scaled copies, to bound the time.
    """
    patches = sketch.patches(MOST)
    database = patches.permute(0, 2, 3, 1).flatten(1).contiguous()
    return Statistic("patches", partial(_patch_sums, database=database), reach=1)


def patch_distance(sums: Sums, target: float) -> Float[Tensor, ""]:
    """The mean squared distance of a patch from its match; the target is only its unit."""
    return sums["loss"] / sums["count"]


def _patch_sums(
    features: Float[Tensor, "1 c h w"], mask: Float[Tensor, "1 1 h w"] | None, *, database: Float[Tensor, "n 9c"]
) -> Sums:
    """count = Σ w, loss = Σ w·‖Ψ − Ψ_NN‖², norm = Σ w·‖Ψ‖² over the patches around the inner positions."""
    _, channels, height, width = features.shape
    flat = features[0].permute(1, 2, 0).reshape(-1, channels).contiguous()
    cells = torch.arange(height * width, device=flat.device).view(height, width)
    corners = cells[:-2, :-2].flatten()  # a patch is known by its top left position
    weights = flat.new_ones(len(corners)) if mask is None else mask[..., 1:-1, 1:-1].flatten()
    loss, norm = _Matched.apply(  # type: ignore[no-untyped-call]
        flat, weights, corners, cells[:3, :3].flatten(), database.to(flat)
    )
    return {"count": weights.sum(), "loss": loss, "norm": norm}


class _Matched(torch.autograd.Function):
    """Σ w·‖Ψ − Ψ_NN‖² and Σ w·‖Ψ‖² of the patches; keeps the features and the number of each patch's match."""

    @staticmethod
    def forward(
        ctx: Any, flat: Tensor, weights: Tensor, corners: Tensor, around: Tensor, database: Tensor
    ) -> tuple[Tensor, Tensor]:
        # the patch's own norm does not change which candidate is the best
        inverse = database.norm(dim=1).clamp_min(torch.finfo(flat.dtype).tiny).reciprocal()
        loss, norm, matches = flat.new_zeros(()), flat.new_zeros(()), []
        for cells, weight in _blocks(corners, weights, around, database):
            patches = flat[cells].flatten(1)
            match = (patches @ database.T).mul_(inverse).argmax(dim=1)
            loss += weight @ (patches - database[match]).square_().sum(1)
            norm += weight @ patches.square_().sum(1)
            matches.append(match)
        ctx.save_for_backward(flat, weights, corners, around, database, torch.cat(matches))
        return loss, norm

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None, None, None]:
        flat, weights, corners, around, database, matches = ctx.saved_tensors
        found = torch.zeros_like(flat)
        blocks = _blocks(corners, weights, around, database)
        for (cells, weight), match in zip(blocks, torch.split(matches, _most(database))):
            patches = flat[cells].flatten(1)
            slope = (slopes[0] + slopes[1]) * patches - slopes[0] * database[match]
            slope *= 2 * weight[:, None]
            found.index_add_(0, cells.flatten(), slope.view(-1, flat.shape[1]))
        return found, None, None, None, None


def _blocks(
    corners: Tensor, weights: Tensor, around: Tensor, database: Tensor
) -> Iterator[tuple[Float[Tensor, "n 9"], Float[Tensor, " n"]]]:
    """The positions of some patches at a time, and the patches' weights."""
    most = _most(database)
    for corner, weight in zip(torch.split(corners, most), torch.split(weights, most)):
        yield corner[:, None] + around, weight


def _most(database: Tensor) -> int:
    """How many patches are held at once."""
    return max(1, NUMBERS_AT_ONCE // max(database.shape))


MRF = StyleLoss(
    statistic=patch_statistic,
    target=lambda sums: float((sums["norm"] / sums["count"]).detach()),
    distance=patch_distance,
    size=lambda target: target,
    content_factor=40.0,
)
