"""Classification losses: known values, and gradients that are those of finite differences."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from impasto.losses.classification import as_distribution, cross_entropy, distillation, mixed, mixup_shares


def logits(seed: int = 0, rows: int = 3, classes: int = 4) -> Tensor:
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_cross_entropy_is_minus_the_log_of_the_true_class() -> None:
    scores = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # p = 3/4, 1/4 and 1/2, 1/2
    assert cross_entropy(scores, torch.tensor([0, 1])) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert cross_entropy(scores, torch.tensor([1, 1]), reduction="none").tolist() == pytest.approx(
        [math.log(4), math.log(2)]
    )


def test_indices_and_their_distributions_are_the_same_target() -> None:
    targets = torch.tensor([2, 0, 3])
    for smoothing in (0.0, 0.1):
        soft = cross_entropy(logits(), as_distribution(targets, 4), smoothing)
        assert soft == pytest.approx(float(cross_entropy(logits(), targets, smoothing)))


def test_label_smoothing_spreads_a_part_over_all_classes() -> None:
    scores = torch.tensor([[math.log(3.0), 0.0]])
    # q = 0.8·(1, 0) + 0.2·(½, ½)
    expected = 0.9 * math.log(4 / 3) + 0.1 * math.log(4)
    assert cross_entropy(scores, torch.tensor([0]), 0.2) == pytest.approx(expected)


def test_distillation_is_nothing_when_the_student_agrees_and_a_divergence_when_not() -> None:
    assert distillation(logits() + 5, logits()) == pytest.approx(0, abs=1e-12)
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2 * math.log(3.0), 0.0]])
    # at T = 2 the teacher says 3/4 and 1/4, the student 1/2 and 1/2
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert distillation(student, teacher, 2.0) == pytest.approx(4 * divergence)


def test_hot_distillation_matches_logits() -> None:
    """Hinton et al., eq. 4: for a high temperature the gradient is that of ½·Σ(z − v)²/k of centred logits."""
    student, teacher = logits(1, rows=1).requires_grad_(), logits(2, rows=1)
    (gradient,) = torch.autograd.grad(distillation(student, teacher, 1e4), student)
    apart = (student - student.mean()) - (teacher - teacher.mean())
    assert torch.allclose(gradient, apart.detach() / 4, rtol=1e-3, atol=1e-5)


def test_gradients_are_those_of_finite_differences() -> None:
    scores = logits().requires_grad_()
    soft = logits(3).softmax(dim=1)
    assert gradcheck(lambda z: cross_entropy(z, torch.tensor([1, 0, 3]), 0.1), scores)
    assert gradcheck(lambda z: cross_entropy(z, soft), scores)
    assert gradcheck(lambda z: distillation(z, logits(4), 3.0), scores)


def test_a_teacher_learns_nothing() -> None:
    teacher = logits(1).requires_grad_()
    distillation(logits().requires_grad_(), teacher).backward()
    assert teacher.grad is None


def test_a_mixture_has_the_mixture_of_the_losses() -> None:
    partners, shares = torch.tensor([2, 0, 1]), torch.tensor([0.7, 1.0, 0.5])
    targets = torch.tensor([0, 3, 1])
    soft = mixed(as_distribution(targets, 4), partners, shares)
    own = cross_entropy(logits(), targets, reduction="none")
    other = cross_entropy(logits(), targets[partners], reduction="none")
    assert torch.allclose(cross_entropy(logits(), soft, reduction="none"), shares * own + (1 - shares) * other)


def test_pictures_are_mixed_as_their_targets_are() -> None:
    images = torch.stack([torch.zeros(3, 2, 2), torch.ones(3, 2, 2)])
    assert torch.allclose(
        mixed(images, torch.tensor([1, 0]), torch.tensor([0.75, 0.75])).mean((1, 2, 3)), torch.tensor([0.25, 0.75])
    )


def test_shares_come_from_the_seed_and_leave_a_picture_mostly_itself() -> None:
    def draw(alpha: float, seed: int = 0) -> Tensor:
        return mixup_shares(20_000, alpha, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(0.4), draw(0.4)) and not torch.equal(draw(0.4), draw(0.4, 1))
    for alpha in (0.2, 0.4, 1.0):
        shares = draw(alpha)
        assert shares.min() >= 0.5 and shares.max() <= 1
        # Var Beta(α, α) = 1 / (4·(2α + 1)), about ½
        assert float((shares - 0.5).square().mean()) == pytest.approx(0.25 / (2 * alpha + 1), rel=0.03)
    assert draw(1e-9).min() == 1.0
