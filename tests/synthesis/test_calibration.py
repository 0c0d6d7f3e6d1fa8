"""Calibration: one strength means the same for every loss, network and size."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from impasto import networks
from impasto.losses.style import STYLE_LOSSES
from impasto.networks import Network, Taps
from impasto.synthesis.calibration import Style, content_weight, style_terms
from impasto.synthesis.objective import Objective
from impasto.synthesis.tiles import tiling, whole

EVERY_LOSS = pytest.mark.parametrize("loss", sorted(STYLE_LOSSES))


def scene(seed: int, height: int = 48, width: int = 56) -> torch.Tensor:
    """Coloured blobs; every seed has its own grain, so that styles differ."""
    chance = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 3 + 4 * seed, 4 + 4 * seed, generator=chance)
    tint = torch.rand(1, 3, 1, 1, generator=chance)
    return F.interpolate(coarse * tint, (height, width), mode="bilinear")


@pytest.fixture(scope="module")
def network() -> Network:
    return networks.load("pocket", padding="replicate")


@pytest.fixture(scope="module")
def make(network):
    """make(content, *styles): a function of pictures, the style term; a style may come with its weight."""

    def make(content, *styles, losses=("gram",), taps=None, side=None, regions=(), start=True, **more):
        names = taps or network.style_taps
        found = Taps(network, names)
        size = tuple(content.shape[2:])
        tiles = tiling(size, side, found.geometry()) if side else whole(size)
        weighted = [style if isinstance(style, tuple) else (style, 1.0) for style in styles]
        painted = [
            Style(partial(Tensor.clone, s), w, region=n if regions else None) for n, (s, w) in enumerate(weighted)
        ]
        pairs = [loss if isinstance(loss, tuple) else (loss, 1.0) for loss in losses]
        begin = (content, tiles, regions) if start else None
        terms = style_terms(found, painted, pairs, names, start=begin, **more)
        objective = Objective(found, tiles, terms, regions=regions)
        return lambda image: objective(image).terms["style"]

    return make


@EVERY_LOSS
@pytest.mark.parametrize("size", [(32, 32), (60, 70)])
def test_the_style_of_the_photograph_is_one_at_any_size_with_any_taps(make, loss, size):
    content, style = scene(1, *size), scene(4)
    for taps in (None, ("relu1_1",), ("relu2_1", "relu3_1")):
        # not more than one, where photograph and painting happen to agree at some tap
        assert make(content, style, losses=[loss], taps=taps)(content) == pytest.approx(1, abs=2e-3)


@EVERY_LOSS
def test_the_style_of_the_painting_itself_is_zero(make, loss):
    content, style = scene(1), scene(4)
    assert make(content, style, losses=[loss])(style) == pytest.approx(0, abs=1e-3)


@EVERY_LOSS
def test_half_a_photograph_beside_half_a_painting_is_between(make, loss):
    content, style = scene(1), scene(4)
    beside = torch.cat([content[..., :28], style[..., 28:]], dim=3)
    assert 0.02 < make(content, style, losses=[loss])(beside) < 0.9


@EVERY_LOSS
def test_a_photograph_that_has_the_style_already_is_not_divided_by_zero(make, loss):
    content = scene(1)
    objective = make(content, content, losses=[loss])
    assert objective(content) == pytest.approx(0, abs=1e-3)
    assert objective(scene(4)) < 1e4


@EVERY_LOSS
def test_only_the_proportion_of_style_weights_matters(make, loss):
    content, one, other, image = (scene(seed) for seed in (1, 3, 4, 2))
    small = make(content, (one, 1.0), (other, 3.0), losses=[loss])(image)
    large = make(content, (one, 20.0), (other, 60.0), losses=[loss])(image)
    assert small == pytest.approx(large, rel=1e-5)


@EVERY_LOSS
def test_several_styles_count_by_their_weights(make, loss):
    content, one, other, image = (scene(seed) for seed in (1, 3, 4, 2))
    alone = [make(content, style, losses=[loss])(image) for style in (one, other)]
    both = make(content, (one, 1.0), (other, 3.0), losses=[loss])(image)
    assert both == pytest.approx((alone[0] + 3 * alone[1]) / 4, rel=1e-4)


def test_several_losses_count_by_their_weights(make):
    content, style, image = scene(1), scene(4), scene(2)
    gram, moments = (make(content, style, losses=[name])(image) for name in ("gram", "meanstd"))
    both = make(content, style, losses=[("gram", 2.0), ("meanstd", 1.0)])(image)
    assert both == pytest.approx((2 * gram + moments) / 3, rel=1e-5)


@EVERY_LOSS
def test_a_painting_measured_in_tiles_is_the_same_painting(make, loss):
    content, style, image = scene(1), scene(4, 90, 75), scene(2)
    whole_one, tiled = (make(content, style, losses=[loss], side=side)(image) for side in (None, 40))
    # the Markov random field's patches come in another order, and all of them do
    assert tiled == pytest.approx(whole_one, rel=1e-4)


@pytest.mark.parametrize("loss", ["gram", "histogram", "mmd-gaussian"])
def test_without_a_start_an_empty_picture_is_about_one(make, loss):
    content, style = scene(1), scene(4)
    objective = make(content, style, losses=[loss], start=False)
    assert objective(style) == pytest.approx(0, abs=1e-3)
    assert 0.2 < objective(torch.full_like(content, 0.5)) < 20


def test_a_style_is_measured_within_its_mask(network):
    taps, content, style = Taps(network, ["relu1_1", "relu2_2"]), scene(1), scene(4, 60, 80)
    mask = torch.zeros(1, 1, 60, 80)
    mask[..., :40] = 1
    other = style.clone()
    other[..., 60:] = 1 - other[..., 60:]
    terms = [
        style_terms(
            taps,
            [Style(lambda picture=picture: picture, mask=lambda: mask)],
            [("gram", 1.0)],
            taps.names,
            start=(content, whole((48, 56)), []),
        )
        for picture in (style, other)
    ]
    for one, two in zip(*terms, strict=True):
        assert torch.equal(one.target, two.target) and one.weight == two.weight
    cropped = style_terms(taps, [Style(lambda: style[..., :40])], [("gram", 1.0)], taps.names)
    for one, two in zip(terms[0], cropped, strict=True):
        assert (one.target - two.target).norm() < 0.2 * two.target.norm(), "about what the half alone has"


def test_regions_are_painted_in_their_own_styles(make):
    content, one, other = scene(1), scene(3), scene(4)
    left = torch.zeros(1, 1, 48, 56)
    left[..., :28] = 1
    regions = [left, 1 - left]
    right = torch.cat([one[..., :28], other[..., 28:]], dim=3)
    wrong = torch.cat([other[..., :28], one[..., 28:]], dim=3)
    style = make(content, one, other, regions=regions)
    assert style(content) == pytest.approx(1, abs=2e-3)
    assert style(right) < 0.3 * style(wrong)


def test_paintings_are_measured_once_when_they_have_a_key(network, monkeypatch):
    taps, fitted = Taps(network, ["relu1_1", "relu2_2"]), {}
    styles = [Style(lambda: scene(4), key=("four",)), Style(lambda: scene(3))]
    calls = []
    run = Taps.__call__
    monkeypatch.setattr(Taps, "__call__", lambda self, image: calls.append(tuple(image.shape)) or run(self, image))
    first = style_terms(taps, styles, [("wasserstein", 1.0)], taps.names, fitted=fitted)
    once = len(calls)
    second = style_terms(taps, styles, [("wasserstein", 1.0)], taps.names, fitted=fitted)
    assert 0 < len(calls) - once < once, "the painting without a key is measured again"
    assert len(fitted) == 2
    assert first[0].target is second[0].target and first[2].target is not second[2].target
    style_terms(
        taps, [Style(lambda: scene(4, 40, 40), key=("four", 40))], [("wasserstein", 1.0)], taps.names, fitted=fitted
    )
    assert len(fitted) == 4, "another size is another painting"


def test_terms_have_nothing_to_differentiate(network):
    taps = Taps(network, ["relu1_1"])
    for term in style_terms(taps, [Style(lambda: scene(4))], [("gram", 1.0)], taps.names):
        assert not term.target.requires_grad


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


class Global(nn.Module):
    """A map that sees the whole picture at every position."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.mean(dim=(2, 3), keepdim=True)


def test_a_painting_is_measured_whole_where_a_tap_sees_everywhere():
    torch.manual_seed(3)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), Global()).double().requires_grad_(False)
    taps = Taps(Network("global", module), ["1", "2"])
    assert taps.geometry()["2"].everywhere
    style = scene(4, 90, 75).double()
    one, other = (
        style_terms(taps, [Style(lambda: style)], [("gram", 1.0), ("mrf", 1.0)], taps.names, side=side)
        for side in (None, 40)
    )
    for whole_one, tiled in zip(one, other, strict=True):
        torch.testing.assert_close(tiled.target, whole_one.target, rtol=0, atol=0)


def test_a_painting_is_measured_in_tiles_no_smaller_than_their_halo(network):
    taps, style = Taps(network, ["relu4_1"]), scene(4, 150, 140)
    one, tiled = (
        style_terms(taps, [Style(lambda: style)], [("gram", 1.0)], taps.names, side=side)[0].target
        for side in (None, 8)
    )
    torch.testing.assert_close(tiled, one, rtol=1e-4, atol=1e-5)
