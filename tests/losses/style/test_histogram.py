"""Histogram losses: against transport by sorting, with dead channels, empty bins and values off the grid."""

import pytest
import torch

from impasto.losses.style import STYLE_LOSSES
from impasto.losses.style.histogram import random_directions
from impasto.losses.style.soft_histogram import NODES, Grid, soft_histogram_sums


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def skewed(seed: int, channels: int = 3, side: int = 24, power: float = 1.0) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(1, channels, side, side, generator=chance, dtype=torch.float64).abs().pow(power)


def sorted_transport(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """W₂² of the rows of two (rows, positions) of equal length."""
    return (x.sort(dim=1).values - y.sort(dim=1).values).square().mean(1)


def test_a_soft_histogram_counted_by_hand():
    grid = Grid(torch.tensor([10.0]), torch.tensor([2.0]))
    sums = soft_histogram_sums(row(10, 13, 14.5, 4), row(1, 1, 1, 0.5), grid=grid, directions=None)
    assert sums["count"] == 3.5
    # 10 is node 0; 13 is half of nodes 1 and 2; 14.5 is 0.75 of node 2 and 0.25 of 3; 4 sticks out by 6 at node 0
    assert sums["histogram"][0, :5].tolist() == [1.5, 0.5, 1.25, 0.25, 0]
    assert [sums[name].tolist() for name in ("below", "above", "beyond")] == [[0.5 * 6], [0], [0.5 * 36]]
    assert (sums["width"] / sums["count"]).tolist() == [2]


def test_a_soft_histogram_keeps_the_mean_of_what_is_on_the_grid():
    x, grid = skewed(0, channels=1), Grid(*torch.tensor([[-1], [0.05]], dtype=torch.float64))
    sums = soft_histogram_sums(x, None, grid=grid, directions=None)
    nodes = -1 + 0.05 * torch.arange(NODES, dtype=torch.float64)
    assert float(sums["histogram"][0] @ nodes / sums["count"]) == pytest.approx(float(x.mean()), rel=1e-12)


@pytest.mark.parametrize("power", [0.5, 1, 1.5])
def test_the_histogram_loss_is_transport_by_sorting(power, distance):
    x, y = skewed(0, power=power), 1.3 * skewed(1) + 0.2
    wanted = sorted_transport(x[0].flatten(1), y[0].flatten(1)).sum()
    assert float(distance("histogram", x, y)) == pytest.approx(float(wanted), rel=5e-3)


@pytest.mark.parametrize("channels", [1, 3, 7, 80])
def test_the_sliced_loss_is_the_mean_over_directions_of_transport_by_sorting(channels, features, distance):
    x, y = features(0, channels, 20, 20), features(1, channels, 20, 20)
    axes = random_directions(channels)
    wanted = sorted_transport(axes @ x[0].flatten(1), axes @ y[0].flatten(1)).mean()
    # in some directions the picture is many times wider than the painting, and far off the grid
    assert float(distance("sliced", x, y)) == pytest.approx(float(wanted), rel=2e-2)


@pytest.mark.parametrize("channels", [1, 3, 64, 100])
def test_directions_are_unit_vectors_that_see_the_whole_space(channels):
    axes = random_directions(channels)
    assert axes.shape == (max(channels, 64), channels)
    torch.testing.assert_close(axes.square().sum(1), torch.ones(len(axes), dtype=torch.float64))
    square = axes[:channels]
    torch.testing.assert_close(square @ square.T, torch.eye(channels, dtype=torch.float64))
    assert torch.equal(axes, random_directions(channels))


@pytest.mark.parametrize("nodes", [-30, -3, 1, 40, 90])
def test_a_shift_by_whole_nodes_costs_its_square(nodes, distance):
    y = skewed(4, channels=1)
    shift = nodes * float(y.std(correction=0)) * 12 / (NODES - 1)
    assert float(distance("histogram", y + shift, y)) == pytest.approx(shift**2, rel=1e-9)


def test_a_shift_costs_the_sliced_loss_its_square_per_channel(features, distance):
    y = features(3, channels=4, height=30, width=30)  # 64 directions are 16 bases
    shift = torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=torch.float64)
    value = float(distance("sliced", y + shift.view(1, 4, 1, 1), y))
    assert value == pytest.approx(float(shift.square().sum()) / 4, rel=1e-3)


def test_the_gradient_pulls_each_value_to_its_place_in_the_paintings_histogram(gradient):
    x, y = skewed(5, channels=1), 2 * skewed(6, channels=1) + 0.5
    order = x.flatten().argsort()
    remapped = torch.empty_like(order, dtype=torch.float64)
    remapped[order] = y.flatten().sort().values
    pull = gradient("histogram", x, y).flatten() * x.numel() / 2
    error = pull - (x.flatten() - remapped)
    width = float(y.std()) * 12 / (NODES - 1)
    # the few largest values lie in bins of their own, between which the painting has gaps
    assert error.abs().quantile(0.97) < 1.5 * width
    assert error.square().mean().sqrt() < 0.05 * pull.square().mean().sqrt()


def test_descent_gives_a_map_the_paintings_distribution(gradient, distance):
    x, y = skewed(7, channels=2), 2 * skewed(8, channels=2, power=1.5)
    before = float(distance("histogram", x, y))
    for _ in range(40):
        x = x - 0.5 * 0.5 * 24 * 24 * gradient("histogram", x, y)
    assert float(distance("histogram", x, y)) < 1e-3 * before
    left = sorted_transport(x[0].flatten(1), y[0].flatten(1)) / y[0].flatten(1).var(1)
    assert (left < 2e-3).all()


@pytest.mark.parametrize("shift", [-300.0, -4.0, -1.0, 3.0, 8.0, 300.0])
def test_a_shift_off_the_grid_costs_about_its_square(shift, distance, gradient):
    y = skewed(4, channels=1)
    assert float(distance("histogram", y + shift, y)) == pytest.approx(shift**2, rel=0.05)
    slope = gradient("histogram", y + shift, y) * y.numel() / 2
    assert slope.sign().eq(slope.new_tensor(shift).sign()).all()
    assert float(slope.mean()) == pytest.approx(shift, rel=0.05)


@pytest.mark.parametrize("name", ["histogram", "sliced"])
@pytest.mark.parametrize("far", [-1e3, 1e3])
def test_values_far_off_the_grid_are_pulled_back(name, far, features, distance, gradient):
    x, y = features(0), features(1)
    x[..., 0, 0] = far
    slope = gradient(name, x, y)[..., 0, 0]
    assert (slope * far > 0).all() and float(distance(name, x, y)) > far**2 / 30 / 2


def test_what_the_painting_itself_has_off_the_grid_costs_nothing(distance):
    y = torch.zeros(1, 1, 40, 40, dtype=torch.float64)
    y[0, 0, 0, 0] = 5.0  # 40 deviations
    assert abs(float(distance("histogram", y, y))) < 1e-15
    assert float(distance("histogram", 2 * y, y)) > 1e-3


def test_a_constant_channel_is_met_exactly(distance, gradient):
    y = torch.cat([torch.full((1, 1, 6, 6), 3.0), skewed(0, channels=1, side=6).float()], dim=1).double()
    assert float(distance("histogram", y, y)) == 0
    x = y.clone()
    x[:, 0] += 0.5
    assert float(distance("histogram", x, y)) == pytest.approx(0.25, rel=0.02)
    slope = gradient("histogram", x, y)
    torch.testing.assert_close(slope[:, 0], torch.full_like(slope[:, 0], 2 * 0.5 / 36), rtol=0.02, atol=0)


def test_gaps_in_either_distribution_are_crossed(distance, gradient, finite_differences, relative_error):
    x, y = row(0.013, 0.62, 5.01, 5.64, 9.033), row(1.007, 1.1, 1.2, 9.3, 9.41)
    found = gradient("histogram", x, y)
    assert relative_error(found, finite_differences(lambda at: distance("histogram", at, y), x, 1e-6)) < 1e-6
    remapped = torch.tensor([1.007, 1.1, 1.2, 9.3, 9.41], dtype=torch.float64)
    torch.testing.assert_close(5 / 2 * found.flatten(), x.flatten() - remapped, rtol=0, atol=0.35)


def test_millions_of_equal_values_lose_no_digits():
    grid = Grid(torch.tensor([0.0]), torch.tensor([1.0]))
    x = torch.full((1, 1, 6000, 6000), 7.25)
    histogram = soft_histogram_sums(x, None, grid=grid, directions=None)["histogram"]
    torch.testing.assert_close(histogram[0, 7:9], torch.tensor([27e6, 9e6]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["histogram", "sliced"])
def test_the_distance_is_smooth_near_the_painting(name, features, gradient):
    y = features(3, height=30, width=30)
    chance = torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    far, near = (gradient(name, y + size * chance, y).norm() for size in (1e-1, 1e-3))
    assert near < 0.2 * far
    assert gradient(name, y, y).norm() < 1e-9


def test_the_statistic_of_each_painting_is_its_own(features, sketch_of):
    loss, sketch = STYLE_LOSSES["histogram"], sketch_of(features(0))
    assert loss.statistic(sketch) != loss.statistic(sketch_of(features(1)))
    assert STYLE_LOSSES["gram"].statistic(sketch) == STYLE_LOSSES["wasserstein"].statistic(sketch)
