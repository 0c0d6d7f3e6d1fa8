"""Maximum mean discrepancies: their closed forms and estimates against the kernels themselves."""

import pytest
import torch

from impasto.losses.statistics import covariance, gram, second_moment_sums
from impasto.losses.style import STYLE_LOSSES


def discrepancy(kernel, x: torch.Tensor, y: torch.Tensor) -> float:
    """The squared MMD over every pair of positions: Gretton et al. (2012), eq. 5."""
    a, b = x[0].flatten(1).T, y[0].flatten(1).T
    return float(kernel(a, a).mean() + kernel(b, b).mean() - 2 * kernel(a, b).mean())


def test_linear_and_polynomial_discrepancies_counted_by_hand(distance):
    x = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    y = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    assert float(distance("mmd-linear", x, y)) == 2**2
    assert float(distance("mmd-polynomial", x, y)) == 2**2 + 2**2 + 4**2 + 2 * 1 * 2**2


@pytest.mark.parametrize("seed", range(3))
def test_closed_forms_are_the_discrepancies_of_their_kernels(seed, features, distance):
    x, y = features(seed), features(seed + 50, height=4, width=9)
    assert float(distance("mmd-linear", x, y)) == pytest.approx(discrepancy(lambda a, b: a @ b.T, x, y), rel=1e-9)
    constant = gram(second_moment_sums(y)).trace()
    wanted = discrepancy(lambda a, b: (a @ b.T + constant).square(), x, y)
    assert float(distance("mmd-polynomial", x, y)) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_fourier_features_estimate_the_discrepancy_of_the_gaussian_kernel(seed, scale, features, distance):
    x, y = scale * features(seed), features(seed + 50, height=4, width=9)
    bandwidth = 2 * covariance(second_moment_sums(y)).trace()
    wanted = discrepancy(lambda a, b: (-torch.cdist(a, b).square() / (2 * bandwidth)).exp(), x, y)
    # a Monte-Carlo estimate from 256 frequencies, each of whose terms deviates by about its mean: 1 / √256 is 6 %
    assert float(distance("mmd-gaussian", x, y)) == pytest.approx(wanted, rel=0.25)


def test_the_bandwidth_is_the_mean_squared_distance_of_two_positions(features):
    flat = features(0)[0].flatten(1).T
    scatter = covariance(second_moment_sums(features(0))).trace()
    assert float(torch.cdist(flat, flat).square().mean()) == pytest.approx(float(2 * scatter))


def test_the_gaussian_discrepancy_does_not_see_a_shift_or_a_scale_of_both(features, distance):
    x, y = features(0), features(1)
    wanted = float(distance("mmd-gaussian", x, y))
    assert float(distance("mmd-gaussian", x + 100, y + 100)) == pytest.approx(wanted, rel=1e-9)
    assert float(distance("mmd-gaussian", 7 * x, 7 * y)) == pytest.approx(wanted, rel=1e-9)


def test_the_gaussian_size_is_the_mean_distance_of_a_picture_of_one_position(features, sketch_of, distance):
    y, loss = features(3), STYLE_LOSSES["mmd-gaussian"]
    target = loss.target(loss.statistic(sketch_of(y)).sums(y, None))
    single = [distance("mmd-gaussian", each.view(1, 4, 1, 1), y) for each in y[0].flatten(1).T]
    assert loss.size(target) == pytest.approx(float(torch.stack(single).mean()), rel=1e-9)


def test_the_gaussian_discrepancy_tells_maps_of_equal_mean_and_covariance_apart(distance):
    two = torch.tensor([-1.0, 1.0] * 18, dtype=torch.float64).view(1, 1, 6, 6)
    three = torch.tensor([-1.0, 0, 1] * 12, dtype=torch.float64).view(1, 1, 6, 6)
    three /= three.square().mean().sqrt()
    assert float(distance("gram", two, three)) < 1e-12
    assert float(distance("mmd-gaussian", two, three)) > 1e-3
