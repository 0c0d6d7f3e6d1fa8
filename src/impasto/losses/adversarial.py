"""Adversarial losses: what a critic minimises to tell real pictures from made ones, and a generator to be believed.

Scores are what a critic says, higher for more real: (B, …), one for a picture or one for each of its patches. A mean is
over all of them. Each loss is the published one, without a weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from impasto.errors import UsageError
from impasto.losses.names import AdversarialLossName
from impasto.networks.names import nearest


def critic_loss(
    real: Float[Tensor, b * scores], fake: Float[Tensor, c * scores], name: AdversarialLossName
) -> Float[Tensor, ""]:
    """What the critic minimises.

    - ``bce``: ½(E softplus(−real) + E softplus(fake)), the binary cross-entropy of logits (Goodfellow et al. 2014, eq.
      1), with fastai's ½: ln 2 = 0.69 is the loss of a critic that knows nothing, whence its threshold of 0.65.
    - ``hinge``: E max(0, 1 − real) + E max(0, 1 + fake) (Lim and Ye 2017; Miyato et al. 2018, eq. 16).
    - ``least-squares``: ½E(real − 1)² + ½E fake² (Mao et al. 2017, eq. 2 with a = 0, b = 1).
    - ``wasserstein``: E fake − E real (Arjovsky et al. 2017, algorithm 1), for a critic that is kept Lipschitz.

    Args:
        real: Scores of real pictures.
        fake: Scores of made ones.
        name: Which loss.

    Raises:
        UsageError: No such loss.

    >>> critic_loss(torch.zeros(2), torch.zeros(2), "bce").exp()
    tensor(2.)
    """
    match _known(name):
        case "bce":
            return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
        case "hinge":
            return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        case "least-squares":
            return ((real - 1).square().mean() + fake.square().mean()) / 2
        case "wasserstein":
            return fake.mean() - real.mean()


def generator_loss(fake: Float[Tensor, b * scores], name: AdversarialLossName) -> Float[Tensor, ""]:
    """What the generator minimises, by the critic's scores of its pictures.

    - ``bce``: E softplus(−fake), the non-saturating one (Goodfellow et al. 2014, section 3).
    - ``hinge`` and ``wasserstein``: −E fake.
    - ``least-squares``: ½E(fake − 1)² (Mao et al. 2017, eq. 2 with c = 1).

    Raises:
        UsageError: No such loss.
    """
    match _known(name):
        case "bce":
            return F.softplus(-fake).mean()
        case "least-squares":
            return (fake - 1).square().mean() / 2
        case "hinge" | "wasserstein":
            return -fake.mean()


def boundary(name: AdversarialLossName) -> float:
    """The score above which a critic of that loss takes a picture for real: 0, or midway between the targets 0 and 1.

    Wasserstein's scores have no zero of their own; what it tells apart is a difference.
    """
    return 0.5 if _known(name) == "least-squares" else 0.0


def chance_loss(name: AdversarialLossName) -> float:
    """The loss of a critic that takes every picture for neither real nor made.

    >>> [round(chance_loss(name), 2) for name in ("bce", "hinge", "least-squares")]
    [0.69, 2.0, 0.25]
    """
    scores = torch.full((1,), boundary(name))
    return float(critic_loss(scores, scores, name))


@torch.no_grad()
def clip_weights(critic: nn.Module, bound: float) -> None:
    """Bring every parameter into [−bound, bound], in place (Arjovsky et al. 2017, algorithm 1: 0.01)."""
    for parameter in critic.parameters():
        parameter.clamp_(-bound, bound)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Float[Tensor, "b c h w"],
    fake: Float[Tensor, "b c h w"],
    chance: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """E(‖∇D(x̂)‖₂ − 1)² at points x̂ = ε·real + (1 − ε)·fake, with an ε of its own for each picture.

    Gulrajani et al. (2017), eq. 3, to be weighted with their λ = 10. D of a critic of patches is the mean of a
    picture's scores. The critic may have no batch norm (section 4: each picture's gradient is to be its own), and
    attention is computed in the way that can be differentiated twice. Neither picture gets a gradient, the critic's
    weights do.

    Args:
        critic: From pictures to scores.
        real: Real pictures.
        fake: Made ones, as many.
        chance: Of ε, on the CPU; None for torch's own.
    """
    share = torch.rand(len(real), generator=chance).to(real).view(-1, 1, 1, 1)
    between = torch.lerp(fake.detach(), real.detach(), share).requires_grad_()
    with sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
        score = critic(between).reshape(len(between), -1).mean(dim=1).sum()
        (slope,) = torch.autograd.grad(score, between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def drift(real: Float[Tensor, b * scores]) -> Float[Tensor, ""]:
    """E real²: keeps Wasserstein scores, of which only differences count, near 0 (Karras et al. 2018, A.1: 0.001)."""
    return real.square().mean()


def _known(name: AdversarialLossName) -> AdversarialLossName:
    if name not in get_args(AdversarialLossName):
        raise UsageError(f"no adversarial loss {name!r}: there are {nearest(name, get_args(AdversarialLossName))}")
    return name
