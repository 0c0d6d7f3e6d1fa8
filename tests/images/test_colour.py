"""Colour: OkLab as published, a picture's colours kept, and another's taken on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.images.colour import from_oklab, keep_colours, match_colours, match_histograms, to_oklab


def colour(*rgb: float) -> torch.Tensor:
    return torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)


def picture(seed: int, low: float = 0.0, high: float = 1.0, size: tuple[int, int] = (24, 32)) -> torch.Tensor:
    values = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))
    return low + (high - low) * values


# Ottosson (2020) and the CSS Color 4 examples, to four decimals
@pytest.mark.parametrize(
    "rgb, lab",
    [
        ((1, 1, 1), (1, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
        ((0.5, 0.5, 0.5), (0.59818, 0, 0)),
    ],
)
def test_oklab_has_its_published_values(rgb, lab):
    torch.testing.assert_close(to_oklab(colour(*rgb)), colour(*lab), atol=1e-4, rtol=0)
    torch.testing.assert_close(from_oklab(colour(*lab)), colour(*rgb), atol=1e-3, rtol=0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), dark=st.sampled_from([1.0, 0.1, 0.01]))
def test_colours_come_back_from_oklab(seed, dark):
    image = picture(seed, high=dark)
    apart = (from_oklab(to_oklab(image)) - image).abs()
    # float32 leaves most where one channel is almost black and another bright: there a hundredth of an 8-bit level
    assert apart.quantile(0.99) <= 1e-5 and apart.max() <= 4e-5
    exact = image.double()
    assert (from_oklab(to_oklab(exact)) - exact).abs().max() <= 1e-9


def test_the_corners_of_the_colour_cube_come_back_from_oklab():
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3).T.reshape(1, 3, 2, 4)
    assert (from_oklab(to_oklab(corners)) - corners).abs().max() <= 1e-4


def test_colours_outside_srgb_are_clipped_into_it():
    wild = from_oklab(torch.tensor([0.9, 0.4, -0.4]).view(1, 3, 1, 1))
    assert wild.isfinite().all() and wild.min() >= 0 and wild.max() <= 1


def test_kept_colours_have_the_contents_hues_and_the_paintings_lightness():
    # near gray, so that every mixture lies inside sRGB
    painted, content = picture(0, 0.45, 0.55), picture(1, 0.45, 0.55)
    kept = to_oklab(keep_colours(painted, content))
    torch.testing.assert_close(kept[:, 1:], to_oklab(content)[:, 1:], atol=1e-4, rtol=0)
    torch.testing.assert_close(kept[:, :1], to_oklab(painted)[:, :1], atol=1e-4, rtol=0)


def test_a_gray_photograph_stays_gray_under_any_paint():
    gray = picture(2)[:, :1].expand(-1, 3, -1, -1)
    kept = keep_colours(picture(3), gray)
    assert (kept.amax(1) - kept.amin(1)).max() < 1e-3


def test_matched_colours_have_the_mean_and_covariance_asked_for():
    image = picture(4, 0.3, 0.7)
    mixing = torch.tensor([[0.6, 0.3, 0.0], [0.2, 0.5, 0.2], [0.0, 0.1, 0.4]])
    like = torch.einsum("ij,bjhw->bihw", mixing, picture(5, 0.3, 0.7, (10, 50))) + 0.05
    matched = match_colours(image, like)
    assert matched.shape == image.shape and matched.dtype == image.dtype
    assert matched.min() > 0 and matched.max() < 1  # nothing was clipped, so that the moments can be exact
    torch.testing.assert_close(matched.mean(dim=(0, 2, 3)), like.mean(dim=(0, 2, 3)), atol=1e-5, rtol=0)
    covariances = [torch.cov(each.flatten(2)[0], correction=0) for each in (matched, like)]
    torch.testing.assert_close(*covariances, atol=1e-5, rtol=0)


def test_matching_a_picture_with_itself_changes_nothing():
    image = picture(6)
    torch.testing.assert_close(match_colours(image, image), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("image", [torch.full((1, 3, 8, 8), 0.4), picture(7)[:, :1].expand(-1, 3, -1, -1)])
@pytest.mark.parametrize("like", [torch.full((1, 3, 8, 8), 0.7), picture(8)])
def test_even_and_gray_pictures_can_be_matched(image, like):
    matched = match_colours(image, like)
    assert matched.isfinite().all()
    torch.testing.assert_close(matched.mean(dim=(0, 2, 3)), like.mean(dim=(0, 2, 3)), atol=0.02, rtol=0)


def quantiles(values: torch.Tensor) -> torch.Tensor:
    """The 1st to the 99th percentile on each OkLab axis: (99, 3)."""
    return torch.quantile(to_oklab(values)[0].flatten(1), torch.linspace(0.01, 0.99, 99), dim=1)


def test_matched_histograms_have_the_quantiles_asked_for():
    # muted, so that every mixture lies inside sRGB
    image = 0.4 + 0.2 * picture(9, size=(200, 300))
    like = 0.35 + 0.25 * picture(10, size=(300, 150)) ** 2
    matched = match_histograms(image, like)
    assert matched.shape == image.shape and matched.dtype == image.dtype
    torch.testing.assert_close(quantiles(matched), quantiles(like), atol=1e-3, rtol=0)
    assert (quantiles(image) - quantiles(like)).abs().max() > 0.05


def test_a_ramp_of_grays_takes_the_known_quantiles_of_another():
    # Every level once, and the like of it with levels squared: so the n-th gray becomes the n-th square.
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 4, 256)
    matched = match_histograms(ramp, ramp.square())
    torch.testing.assert_close(matched, ramp.square(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("image", [picture(11), picture(12, 0.0, 0.01), picture(13)[:, :1].expand(-1, 3, -1, -1)])
def test_matching_a_pictures_histograms_with_its_own_changes_nothing(image):
    torch.testing.assert_close(match_histograms(image, image), image, atol=1e-3, rtol=0)


def test_matched_histograms_keep_the_order_of_lightness():
    image, like = picture(14, 0.4, 0.6), picture(15, 0.4, 0.6) ** 2
    before, after = (to_oklab(each)[0, 0].flatten() for each in (image, match_histograms(image, like)))
    assert (after[before.argsort()].diff() >= -1e-4).all()


def test_an_even_picture_becomes_the_median_and_an_even_like_makes_all_alike():
    like = 0.5 + 0.1 * picture(16, size=(101, 101))
    even = match_histograms(colour(0.2, 0.4, 0.6).expand(1, 3, 8, 8), like)
    median = to_oklab(like)[0].flatten(1).median(dim=1).values
    torch.testing.assert_close(to_oklab(even)[0, :, 0, 0], median, atol=1e-3, rtol=0)
    painted = match_histograms(picture(17), colour(0.2, 0.4, 0.6))
    torch.testing.assert_close(painted, colour(0.2, 0.4, 0.6).expand_as(painted), atol=1e-3, rtol=0)
