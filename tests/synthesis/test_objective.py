"""The objective: calibrated, so that one strength means the same for every loss, network and size."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto import networks
from impasto.losses.smoothness import total_variation
from impasto.losses.style import STYLE_LOSSES
from impasto.networks import Network, Taps
from impasto.synthesis.objective import Objective, content_weight, style_transfer_objective

EVERY_LOSS = pytest.mark.parametrize("loss", sorted(STYLE_LOSSES))


def scene(seed: int, height: int = 48, width: int = 64) -> torch.Tensor:
    """Coloured blobs; every seed has its own grain, so that styles differ."""
    chance = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 3 + 4 * seed, 4 + 4 * seed, generator=chance)
    tint = torch.rand(1, 3, 1, 1, generator=chance)
    return torch.nn.functional.interpolate(coarse * tint, (height, width), mode="bilinear")


@pytest.fixture(scope="module")
def network() -> Network:
    return networks.load("pocket", padding="replicate")


@pytest.fixture(scope="module")
def make(network):
    """make(content, styles, …): an objective on pocket's own taps."""

    def make(content, *styles, loss="gram", strength=0.5, taps=None, **more) -> Objective:
        style_taps = taps or network.style_taps
        weighted = [style if isinstance(style, tuple) else (style, 1.0) for style in styles]
        return style_transfer_objective(
            Taps(network, (*style_taps, *network.content_taps)),
            content,
            weighted,
            loss=STYLE_LOSSES[loss],
            style_taps=style_taps,
            content_taps=network.content_taps,
            strength=strength,
            **more,
        )

    return make


def terms(objective: Objective, image: torch.Tensor) -> dict[str, float]:
    with torch.no_grad():
        return {name: float(value) for name, value in objective(image).items()}


@EVERY_LOSS
@pytest.mark.parametrize("size", [(32, 32), (48, 64), (90, 70)])
def test_the_style_of_the_photograph_is_one_at_any_size_with_any_taps(make, loss, size):
    content, style = scene(1, *size), scene(4)
    for taps in (None, ("relu1_1",), ("relu2_1", "relu3_1")):
        assert terms(make(content, style, loss=loss, taps=taps), content)["style"] == pytest.approx(1, abs=2e-3)


@EVERY_LOSS
def test_the_style_of_the_painting_itself_is_zero(make, loss):
    content, style = scene(1), scene(4)
    assert terms(make(content, style, loss=loss), style)["style"] == pytest.approx(0, abs=1e-3)


@EVERY_LOSS
def test_half_a_photograph_beside_half_a_painting_is_between(make, loss):
    content, style = scene(1), scene(4)
    beside = torch.cat([content[..., :32], style[..., 32:]], dim=3)
    assert 0.02 < terms(make(content, style, loss=loss), beside)["style"] < 0.9


@EVERY_LOSS
def test_a_photograph_that_has_the_style_already_is_not_divided_by_zero(make, loss):
    content = scene(1)
    objective = make(content, content, loss=loss)
    assert terms(objective, content)["style"] == pytest.approx(0, abs=1e-3)
    assert terms(objective, scene(4))["style"] < 1e4
    image = content.clone().requires_grad_(True)
    gradient = torch.autograd.grad(sum(objective(image).values()), image)[0]
    assert gradient.isfinite().all() and gradient.abs().max() < 1


@EVERY_LOSS
@pytest.mark.parametrize("gray", [0.0, 0.5, 1.0])
def test_pictures_that_show_nothing_have_a_finite_objective(make, loss, gray):
    flat = torch.full((1, 3, 48, 64), gray)
    for content, style in ((flat, scene(4)), (scene(1), flat), (flat, flat)):
        image = (content + 0.01).requires_grad_(True)
        total = sum(make(content, style, loss=loss)(image).values())
        assert total.isfinite() and torch.autograd.grad(total, image)[0].isfinite().all()


def test_the_content_of_the_photograph_is_not_lost_and_that_of_others_is(make):
    content = scene(1)
    objective = make(content, scene(4))
    assert terms(objective, content)["content"] == 0
    blurred = torch.nn.functional.avg_pool2d(content, 5, 1, 2, count_include_pad=False)
    assert 0 < terms(objective, blurred)["content"] < terms(objective, scene(4))["content"]


def test_the_content_term_is_the_lost_part_times_its_weight(make):
    content, image = scene(1), scene(2)
    parts = [terms(make(content, scene(4), strength=s), image)["content"] / content_weight(s) for s in (0.2, 0.5, 0.9)]
    assert parts == pytest.approx([parts[0]] * 3, rel=1e-4)
    assert 0.1 < parts[0] < 10  # another scene: about all of it is lost


@given(one=st.floats(1e-3, 1), other=st.floats(1e-3, 1))
def test_the_content_weighs_less_the_stronger_the_style(one, other):
    one, other = sorted((one, other))
    assert content_weight(one) >= content_weight(other) >= 0
    if other - one > 1e-6:
        assert content_weight(one) > content_weight(other)


def test_the_content_weighs_nothing_at_full_strength():
    assert content_weight(1) == 0


@given(strength=st.floats(0, 1))
def test_the_content_weight_is_a_number_at_any_strength(strength):
    assert math.isfinite(content_weight(strength))


def test_strength_zero_has_no_style_and_strength_one_no_content(make):
    content, style = scene(1), scene(4)
    weakest, middle, strongest = (terms(make(content, style, strength=s), scene(2)) for s in (0, 0.5, 1))
    assert "style" not in weakest and weakest["content"] > 0
    assert "content" not in strongest and strongest["style"] > 0
    assert middle["style"] > 0 and middle["content"] > 0


@EVERY_LOSS
def test_only_the_proportion_of_style_weights_matters(make, loss):
    content, one, other, image = (scene(seed) for seed in (1, 3, 4, 2))
    small = terms(make(content, (one, 1.0), (other, 3.0), loss=loss), image)
    large = terms(make(content, (one, 20.0), (other, 60.0), loss=loss), image)
    assert small == pytest.approx(large, rel=1e-5)


@EVERY_LOSS
def test_several_styles_count_by_their_weights(make, loss):
    content, one, other, image = (scene(seed) for seed in (1, 3, 4, 2))
    alone = [terms(make(content, style, loss=loss), image)["style"] for style in (one, other)]
    both = terms(make(content, (one, 1.0), (other, 3.0), loss=loss), image)["style"]
    assert both == pytest.approx((alone[0] + 3 * alone[1]) / 4, rel=1e-4)
    nearly = terms(make(content, (one, 1.0), (other, 1e-7), loss=loss), image)["style"]
    assert nearly == pytest.approx(alone[0], rel=1e-4)


def test_smoothness_is_total_variation_by_its_weight_and_absent_by_default(make):
    content, style, image = scene(1), scene(4), scene(2)
    assert "smooth" not in terms(make(content, style), image)
    smooth = terms(make(content, style, smoothness=3.0), image)["smooth"]
    assert smooth == pytest.approx(3 * float(total_variation(image)), rel=1e-5)


def test_values_out_of_range_are_pushed_back(make):
    content = scene(1)
    objective = make(content, scene(4))
    assert terms(objective, content)["range"] == 0
    assert terms(objective, content + 1)["range"] > 0.1


@EVERY_LOSS
def test_the_gradient_leads_down(make, loss):
    content = scene(1)
    objective = make(content, scene(4), loss=loss)
    image = content.clone().requires_grad_(True)
    total = sum(objective(image).values())
    (gradient,) = torch.autograd.grad(total, image)
    step = 1e-3 * gradient / gradient.abs().mean()
    assert sum(terms(objective, content - step).values()) < float(total.detach())


def test_making_an_objective_leaves_nothing_to_differentiate(make):
    objective = make(scene(1), scene(4))
    assert not any(term.target.requires_grad for term in (*objective.style, *objective.content))
