"""Classification: how much a network's class scores miss what a picture shows, or what a teacher says of it."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Targets = Int[Tensor, " b"] | Float[Tensor, "b k"]


def cross_entropy(
    logits: Float[Tensor, "b k"], targets: Targets, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    """−Σ q·log p, where p is the softmax of the logits and q the target, over classes; the mean over pictures.

    Label smoothing ε takes (1 − ε)·q + ε/k for q (Szegedy et al. 2016, section 7).

    Args:
        logits: Class scores.
        targets: Indices of the true classes, or a distribution over the classes for each picture.
        label_smoothing: ε in [0, 1].
        reduction: ``mean`` or ``none``, which gives a value for each picture.

    >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2])).exp()
    tensor(4.)
    """
    if targets.is_floating_point():
        targets = targets.to(logits.dtype)
    return F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction=reduction)


def distillation(
    logits: Float[Tensor, "b k"], teacher_logits: Float[Tensor, "b k"], temperature: float = 4.0
) -> Float[Tensor, ""]:
    """T² · KL(teacher ‖ student) of the distributions softened by the temperature T; the mean over pictures.

    Hinton, Vinyals and Dean (2015), section 2: the gradients of softened distributions fall as 1/T², so T² keeps their
    size, whatever the temperature. The paper has the cross-entropy, which differs by the teacher's entropy: a constant;
    this one is 0 when the student agrees. The teacher gets no gradient.

    >>> distillation(torch.tensor([[2.0, 0.0]]), torch.tensor([[2.0, 0.0]]))
    tensor(0.)
    """
    student = F.log_softmax(logits / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits.detach() / temperature, dim=1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def as_distribution(targets: Targets, classes: int) -> Float[Tensor, "b k"]:
    """Targets as distributions over the classes: an index puts all of it on one.

    >>> as_distribution(torch.tensor([1]), 3)
    tensor([[0., 1., 0.]])
    """
    return targets if targets.is_floating_point() else F.one_hot(targets.long(), classes).float()


def mixed(
    values: Float[Tensor, "b *rest"], partners: Int[Tensor, " b"], shares: Float[Tensor, " b"]
) -> Float[Tensor, "b *rest"]:
    """Mixup: λ·x_i + (1 − λ)·x_j, where j is the partner of i; for pictures and for their distributions alike.

    Zhang et al. (2018), eq. 1, with a λ of its own for each picture.

    >>> mixed(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 0]), torch.tensor([0.75, 1.0]))
    tensor([[0.7500, 0.2500],
            [0.0000, 1.0000]])
    """
    own = shares.to(values).view(-1, *[1] * (values.ndim - 1))
    return own * values + (1 - own) * values[partners]


def mixup_shares(count: int, alpha: float, generator: torch.Generator) -> Float[Tensor, " b"]:
    """λ of each picture, drawn from Beta(α, α) and turned to the larger part, so that a picture stays mostly itself.

    α is positive; near 0 nothing is mixed. With λ and 1 − λ as likely, and partners as a permutation, taking the
    larger changes nothing but which of two pictures a mixture is called after.
    """
    # torch's Beta takes no generator. It is X / (X + Y) of two Gamma(α), and Gamma(α) = Gamma(α + 1)·U^(1/α)
    # (Marsaglia and Tsang 2000, section 6), taken in logarithms since both come out as 0 for a small α.
    gammas = torch._standard_gamma(torch.full((2, count), alpha + 1, dtype=torch.float64), generator=generator)
    uniform = torch.rand(2, count, generator=generator, dtype=torch.float64)
    logs = gammas.log() + (1 - uniform).log() / alpha
    return (logs[0] - logs[1]).abs().sigmoid().float()
