"""Resizing: no aliasing, no shift, sizes in proportion, and the pyramid from small to large."""

from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from impasto.images.resize import fit, pyramid, resize

SIDES = st.integers(1, 5000)


def test_an_image_of_that_size_is_left_as_it_is():
    image = torch.rand(1, 3, 12, 17)
    assert torch.equal(resize(image, (12, 17)), image)


@pytest.mark.parametrize("size", [(5, 9), (12, 40), (40, 12), (1, 1)])
def test_an_even_image_stays_even_at_any_size(size):
    small = resize(torch.full((2, 3, 12, 17), 0.25), size)
    assert small.shape == (2, 3, *size)
    torch.testing.assert_close(small, torch.full_like(small, 0.25))


def test_shrinking_averages_a_checkerboard_instead_of_aliasing_it():
    board = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float().expand(1, 3, 64, 64)
    small = resize(board, (16, 16))[..., 2:-2, 2:-2]
    assert (small - 0.5).abs().max() < 0.02


@pytest.mark.parametrize("size", [(8, 8), (64, 64)])
def test_a_ramp_stays_where_it_was(size):
    ramp = ((torch.arange(32) + 0.5) / 32).expand(1, 1, 32, 32)
    there = ((torch.arange(size[1]) + 0.5) / size[1]).expand(1, 1, *size)
    inner = slice(size[1] // 4, -size[1] // 4)  # away from the border, where the cubic has nothing to lean on
    torch.testing.assert_close(resize(ramp, size)[..., inner], there[..., inner], atol=2e-3, rtol=0)


def test_mean_brightness_survives_shrinking():
    image = torch.rand(1, 3, 60, 90, generator=torch.Generator().manual_seed(0))
    means = resize(image, (20, 30)).mean(dim=(2, 3))
    torch.testing.assert_close(means, image.mean(dim=(2, 3)), atol=5e-3, rtol=0)


@given(height=SIDES, width=SIDES, longest=SIDES)
def test_fitted_sizes_have_the_longest_side_asked_for_and_keep_proportions(height, width, longest):
    fitted = fit((height, width), longest)
    assert max(fitted) == longest and min(fitted) >= 1
    exact = min(height, width) * longest / max(height, width)
    assert abs(min(fitted) - max(1.0, exact)) <= 0.5 + 1e-9
    assert fit((width, height), longest) == fitted[::-1]


@given(height=SIDES, width=SIDES, smallest=st.integers(2, 300))
def test_pyramids_go_from_coarse_to_fine_and_end_at_the_size(height, width, smallest):
    sizes = pyramid((height, width), smallest)
    longest = [max(size) for size in sizes]
    assert sizes[-1] == (height, width)
    assert longest == sorted(set(longest))
    for small, large in pairwise(longest):
        assert abs(large / 2 - small) <= 1
    assume(len(sizes) > 1)
    assert smallest <= longest[0] <= 2 * smallest


def test_a_picture_smaller_than_the_smallest_has_one_scale():
    assert pyramid((30, 40), 96) == [(30, 40)]


def test_pyramids_may_have_other_factors():
    assert pyramid((400, 800), 100, factor=4.0) == [(100, 200), (400, 800)]
