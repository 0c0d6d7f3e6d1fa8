"""Smoothness: total variation and the distance to what a file can hold."""

from itertools import pairwise

import pytest
import torch

from impasto.losses.smoothness import out_of_range, total_variation


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_an_even_picture_has_no_variation():
    assert total_variation(torch.full((1, 3, 7, 9), 0.3)) == 0


def test_variation_of_a_ramp_is_its_slope_squared_at_any_size():
    for size in (5, 50):
        ramp = torch.arange(size, dtype=torch.float64) * 0.01
        image = ramp.view(1, 1, 1, -1) * 2 + ramp.view(1, 1, -1, 1) * 3
        assert float(total_variation(image.expand(1, 3, -1, -1))) == pytest.approx(0.02**2 + 0.03**2, rel=1e-9)


def test_turning_a_picture_leaves_its_variation():
    image = noise(1, 3, 8, 5)
    torch.testing.assert_close(total_variation(image.transpose(2, 3)), total_variation(image))
    torch.testing.assert_close(total_variation(image.flip(2, 3)), total_variation(image))


def test_a_blurred_picture_varies_less():
    image = noise(1, 3, 16, 16)
    assert total_variation(torch.nn.functional.avg_pool2d(image, 3, 1)) < total_variation(image) / 2


@pytest.mark.parametrize("rows, columns", [((0, 4, 9), (0, 5, 11)), ((0, 1, 8, 9), (0, 11)), ((0, 9), (0, 10, 11))])
def test_what_is_counted_over_a_partition_adds_up(rows, columns):
    image = noise(1, 3, 9, 11)
    total = 0.0
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            # one pixel more is seen below and to the right, as far as the picture goes, and two before
            above, before = max(0, top - 2), max(0, left - 2)
            part = image[..., above : bottom + 1, before : right + 1]
            own = slice(top - above, bottom - above), slice(left - before, right - before)
            total += total_variation(part, own, (9, 11))
    torch.testing.assert_close(total, total_variation(image))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_pictures_of_one_row_or_column_have_a_variation(size):
    assert total_variation(noise(1, 3, *size)).isfinite()
    assert (total_variation(noise(1, 3, *size)) > 0) == (max(size) > 1)


def test_nothing_is_not_out_of_range():
    assert out_of_range(torch.zeros(1, 3, 0, 4)) == 0


def test_values_in_range_cost_nothing_and_have_no_gradient():
    image = noise(1, 3, 4, 4).requires_grad_(True)
    value = out_of_range(image)
    assert value == 0
    assert (torch.autograd.grad(value, image)[0] == 0).all()


def test_values_out_of_range_cost_their_squared_distance_and_are_pushed_back():
    image = torch.tensor([-0.5, 0.0, 1.0, 2.0]).view(1, 1, 1, 4).requires_grad_(True)
    value = out_of_range(image)
    assert float(value.detach()) == pytest.approx((0.25 + 1) / 4)
    gradient = torch.autograd.grad(value, image)[0].flatten()
    assert gradient[0] < 0 < gradient[3] and gradient[1] == gradient[2] == 0


@pytest.mark.parametrize("term", [total_variation, out_of_range])
def test_gradients_agree_with_finite_differences(term):
    image = (3 * noise(1, 3, 4, 5) - 1).requires_grad_(True)
    assert torch.autograd.gradcheck(term, image, rtol=1e-6, atol=1e-6)
