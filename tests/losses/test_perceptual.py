"""The feature loss: a hand computation, its gradient, and what it leaves alone."""

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from impasto import networks
from impasto.losses.perceptual import FeatureLoss
from impasto.losses.pixel import PIXEL_LOSSES, charbonnier
from impasto.networks.network import Network

L1 = PIXEL_LOSSES["l1"]


def tiny(gain: float = 1.0) -> Network:
    """A network that says red and green, times a gain, and says it again."""
    first, second = nn.Conv2d(3, 2, 1, bias=False), nn.Conv2d(2, 2, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(gain * torch.eye(3)[:2, :, None, None])
        second.weight.copy_(torch.eye(2)[..., None, None])
    module = nn.Sequential(OrderedDict(one=first, two=second)).requires_grad_(False).eval()
    return Network("tiny", module, mean=(0.0,) * 3, std=(1.0,) * 3)


def strip(red: list[float], green: list[float]) -> Tensor:
    """A picture of one row without blue."""
    return torch.tensor([red, green, [0.0] * len(red)]).view(1, 3, 1, -1)


OUTPUT, TARGET = strip([1, 0], [0, 1]), strip([1, 1], [1, 1])


@pytest.mark.parametrize("gain", [1.0, 30.0])
def test_it_is_what_a_hand_computes_however_loud_the_network(gain: float) -> None:
    """The activations differ by 1 in two of four places; Gram matrices are [½ 0; 0 ½] and all ones; pixels 2 of 6."""
    loss = FeatureLoss(L1, tiny(gain), ("one",), features=2.0, gram=4.0)
    terms = {name: float(value) for name, value in loss.terms(OUTPUT, TARGET).items()}
    assert terms == pytest.approx({"pixels": 1 / 3, "features": 2 * 0.5, "gram": 4 * 0.75})
    assert float(loss(OUTPUT, TARGET)) == pytest.approx(1 / 3 + 1 + 3)


def test_the_measure_is_the_target_s_root_mean_square() -> None:
    target = strip([3, 4], [0, 0])  # of its activations: (9 + 16) / 4 = 2.5²
    loss = FeatureLoss(L1, tiny(), ("one",), features=1.0)
    assert float(loss.terms(strip([3, 0], [1, 0]), target)["features"]) == pytest.approx((4 + 1) / 4 / 2.5)


def test_weights_are_shared_evenly_among_the_taps() -> None:
    both = FeatureLoss(L1, tiny(), ("one", "two"), features=2.0, gram=4.0)
    assert float(both(OUTPUT, TARGET)) == pytest.approx(1 / 3 + 1 + 3)


def test_a_weight_of_zero_leaves_a_term_out() -> None:
    pixels = FeatureLoss(L1, tiny(), ("one",)).terms(OUTPUT, TARGET)
    assert {name: float(value) for name, value in pixels.items()} == pytest.approx(
        {"pixels": 1 / 3, "features": 0, "gram": 0}
    )
    assert float(FeatureLoss(L1, tiny(), ("one",), gram=4.0).terms(OUTPUT, TARGET)["features"]) == 0


def test_gram_matrices_do_not_see_where_things_are() -> None:
    loss = FeatureLoss(L1, tiny(), ("one",), features=1.0, gram=1.0)
    terms = loss.terms(strip([0, 1, 0.5], [0.5, 0, 1]), strip([1, 0.5, 0], [0, 1, 0.5]))
    assert float(terms["gram"]) == pytest.approx(0, abs=1e-6) and float(terms["features"]) > 0.1
    black = loss.terms(strip([0] * 3, [0] * 3), strip([1] * 3, [1] * 3))
    assert float(black["gram"]) == pytest.approx(1), "a mean over positions"


def test_equal_pictures_cost_nothing_and_black_ones_are_finite() -> None:
    image = torch.rand(2, 3, 24, 24)
    pocket = networks.load("pocket")
    assert float(FeatureLoss(L1, pocket, pocket.style_taps, 1.0, 1.0)(image, image)) == pytest.approx(0, abs=1e-6)
    assert FeatureLoss(charbonnier, tiny(), ("one",), 1.0, 1.0)(image, torch.zeros_like(image)).isfinite()


def test_the_gradient_is_that_of_finite_differences_and_reaches_the_output_alone() -> None:
    pocket = networks.load("pocket").to("cpu", torch.float64)
    loss = FeatureLoss(charbonnier, pocket, ("relu1_1", "relu2_1"), features=0.7, gram=0.3)
    chance = torch.Generator().manual_seed(0)
    output, target = (torch.rand(2, 3, 6, 6, generator=chance, dtype=torch.float64) for _ in range(2))
    output.requires_grad_()
    target.requires_grad_()
    loss(output, target.detach()).backward()
    assert output.grad is not None
    step, exact = 1e-6, output.grad
    for place in torch.randperm(output.numel(), generator=chance)[:25]:
        moved = torch.zeros(output.numel(), dtype=torch.float64)
        moved[place] = step
        with torch.no_grad():
            up, down = (loss(output + sign * moved.view_as(output), target) for sign in (1, -1))
        assert float(exact.flatten()[place]) == pytest.approx(float(up - down) / (2 * step), rel=1e-4, abs=1e-9)
    features = loss.terms(output, target)["features"] + loss.terms(output, target)["gram"]
    assert torch.autograd.grad(features, target, allow_unused=True) == (None,), "the target is what is wanted"
    assert not any(p.requires_grad for p in pocket.module.parameters()) and not pocket.module.training
    assert not any(layer._forward_hooks for layer in pocket.module.modules())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_autocast_neither_overflows_nor_rounds_it(kind: torch.dtype) -> None:
    chance = torch.Generator().manual_seed(0)
    output, target = (torch.rand(1, 3, 256, 256, generator=chance) for _ in range(2))
    pocket = networks.load("pocket")
    loss = FeatureLoss(charbonnier, pocket, pocket.style_taps[:2], features=1.0, gram=1.0)
    with torch.no_grad():
        wanted = loss(output, target)
        with torch.autocast("cpu", kind):
            found = loss(output, target)
            assert torch.isfinite(loss(output.to(kind), target))
    assert torch.equal(found, wanted)
