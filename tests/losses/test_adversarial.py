"""Adversarial losses: their values by hand, what their gradients do, and a penalty that agrees with finite differences."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from impasto.errors import UsageError
from impasto.losses.adversarial import (
    boundary,
    clip_weights,
    critic_loss,
    drift,
    generator_loss,
    gradient_penalty,
)
from impasto.losses.names import AdversarialLossName
from impasto.translation.gan.critic import build_critic

REAL, FAKE = torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 0.25])


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


BCE = ((softplus(-2) + softplus(-0.5)) / 2 + (softplus(-1) + softplus(0.25)) / 2) / 2
HINGE = (0 + 0.5) / 2 + (0 + 1.25) / 2
SQUARES = ((1 + 0.25) / 2 + (1 + 0.0625) / 2) / 2


@pytest.mark.parametrize(
    ("name", "critic", "generator"),
    [
        ("bce", BCE, (softplus(1) + softplus(-0.25)) / 2),
        ("hinge", HINGE, 0.375),
        ("least-squares", SQUARES, (4 + 0.5625) / 4),
        ("wasserstein", -0.375 - 1.25, 0.375),
    ],
)
def test_values_are_those_of_the_papers(name: AdversarialLossName, critic: float, generator: float) -> None:
    assert float(critic_loss(REAL, FAKE, name)) == pytest.approx(critic)
    assert float(generator_loss(FAKE, name)) == pytest.approx(generator)


@pytest.mark.parametrize("name", ["bce", "hinge", "least-squares", "wasserstein"])
def test_a_critic_learns_to_part_scores_and_a_generator_to_raise_its_own(name: AdversarialLossName) -> None:
    real, fake = torch.zeros(4, 1, 3, 3, requires_grad=True), torch.zeros(2, 1, 3, 3, requires_grad=True)
    critic_loss(real, fake, name).backward()
    assert (real.grad < 0).all() and (fake.grad >= 0).all()
    assert name == "least-squares" or (fake.grad > 0).all()  # whose target of made ones is 0
    made = torch.zeros(2, requires_grad=True)
    generator_loss(made, name).backward()
    assert (made.grad < 0).all()


def test_a_critic_that_knows_nothing_stands_at_ln_two_above_the_courses_threshold() -> None:
    assert float(critic_loss(torch.zeros(3), torch.zeros(5), "bce")) == pytest.approx(math.log(2))
    assert math.log(2) > 0.65


def test_a_non_saturating_generator_is_driven_where_a_saturating_one_is_not() -> None:
    lost = torch.tensor([-20.0], requires_grad=True)
    generator_loss(lost, "bce").backward()
    assert float(lost.grad) == pytest.approx(-1, abs=1e-6)


def test_a_wrong_name_lists_the_right_ones() -> None:
    for call in (lambda: critic_loss(REAL, FAKE, "wgan"), lambda: generator_loss(FAKE, "wgan"), lambda: boundary("l1")):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="bce, hinge, least-squares, wasserstein"):
            call()


def test_clipping_brings_every_parameter_into_bounds_and_leaves_those_within() -> None:
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    with torch.no_grad():
        critic[0].weight[0, 0, 0, :2] = torch.tensor([0.005, -3.0])
    clip_weights(critic, 0.01)
    assert all(float(parameter.detach().abs().max()) <= 0.01 for parameter in critic.parameters())
    assert critic[0].weight[0, 0, 0, :2].tolist() == pytest.approx([0.005, -0.01])


def linear(weight: Tensor):
    return lambda image: (image.flatten(1) * weight.flatten()).sum(dim=1)


def test_the_penalty_of_a_linear_critic_is_how_far_its_slope_is_from_one() -> None:
    weight = torch.tensor([3.0, 0.0, 4.0], requires_grad=True)  # its slope is 5 everywhere
    real, fake = torch.rand(4, 3, 1, 1), torch.rand(4, 3, 1, 1)
    penalty = gradient_penalty(linear(weight), real, fake)
    assert float(penalty.detach()) == pytest.approx(16)
    penalty.backward()
    torch.testing.assert_close(weight.grad, 2 * 4 * torch.tensor([0.6, 0.0, 0.8]))


def test_points_lie_between_each_real_picture_and_its_made_one_with_a_share_of_its_own() -> None:
    seen: list[Tensor] = []

    def critic(image: Tensor) -> Tensor:
        seen.append(image.detach())
        return image.flatten(1).sum(dim=1)

    real, fake = torch.ones(64, 2, 2, 2), torch.zeros(64, 2, 2, 2)
    gradient_penalty(critic, real, fake, torch.Generator().manual_seed(0))
    gradient_penalty(critic, real, fake, torch.Generator().manual_seed(0))
    shares = seen[0][:, 0, 0, 0]
    assert torch.equal(seen[0], shares.view(-1, 1, 1, 1).expand_as(seen[0]))
    assert 0 <= shares.min() < 0.1 and 0.9 < shares.max() <= 1 and len(shares.unique()) == 64
    assert torch.equal(seen[0], seen[1])


def test_the_penalty_agrees_with_finite_differences_of_the_score_and_of_itself() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Conv2d(4, 1, 2)).double()
    real, fake = torch.rand(1, 2, 4, 4).double(), torch.rand(1, 2, 4, 4).double()

    def penalty() -> Tensor:
        return gradient_penalty(critic, real, fake, torch.Generator().manual_seed(3))

    share = torch.rand(1, generator=torch.Generator().manual_seed(3)).double()
    point, step = torch.lerp(fake, real, share), 1e-6
    slopes = []
    for place in range(point.numel()):
        moved = torch.zeros(point.numel()).double()
        moved[place] = step
        ends = [critic(point + sign * moved.view_as(point)).mean() for sign in (1, -1)]
        slopes.append(float((ends[0] - ends[1]).detach()) / (2 * step))
    found = penalty()
    assert float(found.detach()) == pytest.approx((math.hypot(*slopes) - 1) ** 2, rel=1e-6)
    weight = critic[0].weight
    (gradient,) = torch.autograd.grad(found, weight)
    with torch.no_grad():
        for place in [(0, 0, 0, 0), (3, 1, 2, 1)]:
            ends = []
            for sign in (1, -2):
                weight[place] += sign * step
                with torch.enable_grad():
                    ends.append(float(penalty().detach()))
            weight[place] += step
            assert float(gradient[place]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)


def test_the_penalty_of_patches_is_of_a_pictures_mean_score() -> None:
    weight = torch.full((1, 1, 1, 1), 6.0)

    def patches(image: Tensor) -> Tensor:
        return nn.functional.conv2d(image, weight)  # the mean score has slope 6/4 at each of 4 pixels, 3 in all

    found = gradient_penalty(patches, torch.rand(2, 1, 2, 2), torch.rand(2, 1, 2, 2))
    assert float(found.detach()) == pytest.approx(4)


@pytest.mark.parametrize(
    "critic",
    [
        {"kind": "course", "width": 4, "blocks": 1},
        {"kind": "dcgan", "size": 16, "width": 4, "norm": "layer"},
        {"kind": "patch", "width": 4, "layers": 1, "norm": "spectral"},
    ],
    ids=lambda critic: critic["kind"],
)
def test_every_critic_can_be_differentiated_twice(critic: dict[str, object]) -> None:
    module = build_critic(critic)
    penalty = gradient_penalty(module, torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16))
    penalty.backward()
    assert float(penalty.detach()) > 0
    assert any(float(parameter.grad.abs().max()) > 0 for parameter in module.parameters() if parameter.grad is not None)


def test_pictures_get_no_gradient_and_the_critic_does() -> None:
    real, fake = torch.rand(2, 3, 4, 4, requires_grad=True), torch.rand(2, 3, 4, 4, requires_grad=True)
    critic = spectral_norm(nn.Linear(48, 1))
    gradient_penalty(lambda image: critic(image.flatten(1)), real, fake).backward()
    assert real.grad is None and fake.grad is None
    assert critic.parametrizations.weight.original.grad is not None


def test_drift_is_of_the_real_scores_alone_and_none_at_zero() -> None:
    assert float(drift(torch.tensor([3.0, -1.0]))) == 5
    assert float(drift(torch.zeros(2))) == 0
