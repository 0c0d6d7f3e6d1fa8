"""Style losses: known values, exact gradients, and the Wasserstein distance where it is hard."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.losses.statistics import add, second_moment_sums
from impasto.losses.style import STYLE_LOSSES

EVERY_LOSS = pytest.mark.parametrize("name", sorted(STYLE_LOSSES))
W2 = STYLE_LOSSES["wasserstein"]


def features(seed: int, channels: int = 4, height: int = 5, width: int = 6, offset: float = 1.0) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=chance, dtype=torch.float64)
    flat = mixing @ torch.randn(channels, height * width, generator=chance, dtype=torch.float64) + offset
    return flat.view(1, channels, height, width)


def with_spectrum(seed: int, eigenvalues: list[float], positions: int = 40) -> torch.Tensor:
    """Features whose covariance has exactly these eigenvalues, in random directions, around a random mean."""
    chance = np.random.default_rng(seed)
    channels = len(eigenvalues)
    flat = chance.normal(size=(channels, positions))
    flat -= flat.mean(1, keepdims=True)
    flat = np.linalg.inv(np.linalg.cholesky(np.cov(flat, bias=True))) @ flat  # white
    turn, _ = np.linalg.qr(chance.normal(size=(channels, channels)))
    flat = turn @ (np.sqrt(eigenvalues)[:, None] * flat) + 0.3 * chance.normal(size=(channels, 1))
    return torch.from_numpy(flat).view(1, channels, 1, positions)


def distance(name: str, x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    loss = STYLE_LOSSES[name]
    return loss.distance(loss.statistic.sums(x, mask), loss.target(loss.statistic.sums(y, None)))


def gradient(name: str, x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    x = x.detach().clone().requires_grad_(True)
    return torch.autograd.grad(distance(name, x, y, mask), x)[0]


def finite_differences(name, x, y, mask=None, step=1e-3) -> torch.Tensor:
    """The gradient by central differences of the eighth order, so that float64's rounding alone is left."""
    found = torch.zeros_like(x)
    flat, out = x.clone().view(-1), found.view(-1)
    for i in range(flat.numel()):
        at = float(flat[i])
        for k, weight in enumerate((4 / 5, -1 / 5, 4 / 105, -1 / 280), 1):
            for sign in (1, -1):
                flat[i] = at + sign * k * step
                out[i] += sign * weight / step * distance(name, flat.view_as(x), y, mask)
        flat[i] = at
    return found


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


def moments(x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    flat = x[0].flatten(1).numpy()
    return flat.mean(1), np.cov(flat, bias=True)


@EVERY_LOSS
def test_the_distance_of_a_map_from_itself_is_zero_and_from_others_is_not(name):
    x, y = features(0), features(1)
    assert abs(float(distance(name, x, x))) < 1e-12
    assert float(distance(name, x, y)) > 0.1


@EVERY_LOSS
def test_gradients_agree_with_finite_differences(name):
    x, y = features(2), features(3)
    assert relative_error(gradient(name, x, y), finite_differences(name, x, y)) <= 1e-6


@EVERY_LOSS
def test_gradients_under_a_soft_mask_agree_with_finite_differences(name):
    x, y = features(4), features(5)
    mask = torch.rand(1, 1, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = gradient(name, x, y, mask)
    assert relative_error(found, finite_differences(name, x, y, mask)) <= 1e-6


@EVERY_LOSS
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), parts=st.integers(2, 5))
def test_value_and_gradient_from_summed_parts_are_those_of_the_whole(name, seed, parts):
    x, y, loss = features(seed), features(seed + 1), STYLE_LOSSES[name]
    owner = torch.randint(0, parts, (1, 1, 5, 6), generator=torch.Generator().manual_seed(seed))
    split = x.clone().requires_grad_(True)
    total = loss.statistic.sums(split, (owner == 0).double())
    for part in range(1, parts):
        total = add(total, loss.statistic.sums(split, (owner == part).double()))
    value = loss.distance(total, loss.target(loss.statistic.sums(y, None)))
    torch.testing.assert_close(value, distance(name, x, y), rtol=1e-9, atol=1e-11)
    assert relative_error(torch.autograd.grad(value, split)[0], gradient(name, x, y)) < 1e-8


@EVERY_LOSS
def test_positions_outside_a_binary_mask_have_no_say_and_no_gradient(name):
    x, y = features(6), features(7)
    mask = torch.zeros(1, 1, 5, 6, dtype=torch.float64)
    mask[..., :3] = 1
    inside = x[..., :3]
    torch.testing.assert_close(distance(name, x, y, mask), distance(name, inside, y), rtol=1e-9, atol=1e-11)
    found = gradient(name, x, y, mask)
    assert (found[..., 3:] == 0).all()
    assert relative_error(found[..., :3], gradient(name, inside, y)) < 1e-8


@EVERY_LOSS
def test_the_size_is_the_distance_from_an_empty_picture(name):
    y, loss = features(8), STYLE_LOSSES[name]
    target = loss.target(loss.statistic.sums(y, None))
    empty = float(loss.distance(loss.statistic.sums(torch.zeros_like(y), None), target))
    assert loss.size(target) == pytest.approx(empty, rel=1e-3)


@EVERY_LOSS
def test_the_painting_is_held_fixed(name):
    y = features(9).requires_grad_(True)
    assert not distance(name, features(10), y).requires_grad


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_have_the_type_of_the_features(name, dtype):
    x, y = features(11).to(dtype), features(12).to(dtype)
    assert distance(name, x, y).dtype == dtype and gradient(name, x, y).dtype == dtype
    wanted = gradient(name, x.double(), y.double())
    assert relative_error(gradient(name, x, y).double(), wanted) < (1e-4 if dtype == torch.float32 else 1e-12)


def test_gram_distance_counted_by_hand():
    # Gram matrices [[1, 2], [2, 4]] and [[1, 0], [0, 0]]
    x = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    y = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    assert float(distance("gram", x, y)) == 2**2 + 2**2 + 4**2


def test_mean_and_deviation_distance_counted_by_hand():
    x = torch.tensor([-1.0, 1.0], dtype=torch.float64).view(1, 1, 1, 2)  # mean 0, deviation 1
    y = torch.tensor([2.0, 8.0], dtype=torch.float64).view(1, 1, 1, 2)  # mean 5, deviation 3
    assert float(distance("meanstd", x, y)) == pytest.approx(25 + 4, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(a=st.floats(0.01, 100), b=st.floats(0.01, 100), m=st.floats(-100, 100))
def test_wasserstein_of_two_normal_distributions_in_one_dimension(a, b, m):
    x = torch.tensor([-a, a], dtype=torch.float64).view(1, 1, 1, 2)
    y = torch.tensor([m - b, m + b], dtype=torch.float64).view(1, 1, 1, 2)
    scale = m * m + a * a + b * b
    assert float(distance("wasserstein", x, y)) == pytest.approx(m * m + (a - b) ** 2, abs=1e-9 * scale)


@pytest.mark.parametrize("seed", range(5))
def test_wasserstein_is_the_formula_with_scipys_matrix_roots(seed):
    x, y = features(seed), features(seed + 50, height=4, width=9)
    (mean, cov), (mean_s, cov_s) = moments(x), moments(y)
    half = scipy.linalg.sqrtm(cov_s).real
    cross = scipy.linalg.sqrtm(half @ cov @ half).real
    wanted = ((mean - mean_s) ** 2).sum() + np.trace(cov + cov_s - 2 * cross)
    assert float(distance("wasserstein", x, y)) == pytest.approx(wanted, rel=1e-9)


def test_the_gradient_of_wasserstein_is_the_formula_with_the_optimal_map():
    x, y = features(13), features(14)
    (mean, cov), (mean_s, cov_s) = moments(x), moments(y)
    half = scipy.linalg.sqrtm(cov_s).real
    optimal = half @ np.linalg.inv(scipy.linalg.sqrtm(half @ cov @ half).real) @ half
    flat = x[0].flatten(1).numpy()
    positions = flat.shape[1]
    wanted = 2 / positions * ((mean - mean_s)[:, None] + (np.eye(4) - optimal) @ (flat - mean[:, None]))
    found = gradient("wasserstein", x, y)[0].flatten(1)
    assert relative_error(found, torch.from_numpy(wanted)) < 1e-9


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-10, 10))
def test_wasserstein_is_symmetric_and_a_shift_adds_its_square(seed, shift):
    x, y = features(seed), features(seed + 1)
    there, back = float(distance("wasserstein", x, y)), float(distance("wasserstein", y, x))
    assert there == pytest.approx(back, rel=1e-8, abs=1e-10)
    assert float(distance("wasserstein", x, x + shift)) == pytest.approx(4 * shift**2, rel=1e-8, abs=1e-8)
    assert float(distance("wasserstein", x + shift, y + shift)) == pytest.approx(there, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    "own, painted",
    [
        ([1, 1e-2, 1e-4, 1e-6], [1, 0.5, 0.3, 0.1]),
        ([1, 0.5, 0.3, 0.1], [1, 1e-2, 1e-4, 1e-6]),
        ([1, 1e-2, 1e-4, 1e-6], [1e-6, 1e-4, 1e-2, 1]),
        ([1, 1, 1e-6, 1e-6], [1, 1, 1, 1]),
        ([1, 1, 1, 1], [1, 1, 1, 1]),
    ],
)
def test_wasserstein_gradients_stay_exact_down_to_eigenvalues_of_a_millionth(own, painted):
    x, y = with_spectrum(0, own), with_spectrum(1, painted)
    found = gradient("wasserstein", x, y)
    # the step stays well inside the narrowest direction, whose deviation is 1e-3
    step = 1e-3 * min(own) ** 0.5 * 40
    assert relative_error(found, finite_differences("wasserstein", x, y, step=step)) <= 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "make",
    [
        lambda: (features(0, channels=12, height=1, width=3), features(1, channels=12, height=1, width=4)),
        lambda: (features(0, channels=12, height=1, width=3), features(1, channels=12, height=6, width=6)),
        lambda: (features(0, channels=12, height=6, width=6), features(1, channels=12, height=1, width=2)),
        lambda: (features(0, channels=12, height=1, width=1), features(1, channels=12, height=1, width=1)),
        lambda: (torch.zeros(1, 6, 4, 4).double(), features(1, channels=6)),
        lambda: (features(1, channels=6), torch.zeros(1, 6, 4, 4).double()),
        lambda: (torch.zeros(1, 6, 4, 4).double(), torch.zeros(1, 6, 4, 4).double()),
        lambda: (torch.full((1, 6, 4, 4), 7.0).double(), torch.full((1, 6, 4, 4), 5.0).double()),
    ],
    ids=["both", "picture", "painting", "one position", "dead picture", "dead painting", "dead", "flat"],
)
def test_wasserstein_of_rank_deficient_maps_is_finite_and_right(make, dtype):
    x, y = (each.to(dtype) for each in make())
    (mean, cov), (mean_s, cov_s) = moments(x.double()), moments(y.double())
    value, slope = float(distance("wasserstein", x, y)), gradient("wasserstein", x, y)
    assert np.isfinite(value) and slope.isfinite().all()

    def root(matrix: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(np.atleast_2d(matrix))
        return (vectors * np.sqrt(values.clip(0))) @ vectors.T

    nuclear = np.linalg.svd(root(cov) @ root(cov_s), compute_uv=False).sum()
    size = np.trace(np.atleast_2d(cov)) + np.trace(np.atleast_2d(cov_s)) + (mean**2).sum() + (mean_s**2).sum()
    wanted = ((mean - mean_s) ** 2).sum() + np.trace(np.atleast_2d(cov + cov_s)) - 2 * nuclear
    # float32 sums leave 1e-7 of the covariance as noise, whose root is 3e-4 in each empty direction
    assert value == pytest.approx(wanted, abs=(2e-3 if dtype == torch.float32 else 1e-6) * size + 1e-12)


@pytest.mark.parametrize("name", sorted(STYLE_LOSSES))
def test_a_step_against_the_gradient_goes_down_even_from_a_rank_deficient_map(name):
    x, y = features(0, channels=12, height=1, width=5), features(1, channels=12, height=6, width=6)
    before, slope = distance(name, x, y), gradient(name, x, y)
    assert distance(name, x - 1e-4 * slope / slope.norm(), y) < before


def test_gradient_descent_on_wasserstein_gives_a_map_the_paintings_mean_and_covariance():
    x, y = features(20), features(21)
    target = W2.target(second_moment_sums(y))
    for _ in range(60):
        # a full step to the optimal map: N/2 times the gradient, which is f - T(f)
        x = x - 0.5 * 30 * gradient("wasserstein", x, y)
    (mean, cov), (mean_s, cov_s) = moments(x), moments(y)
    np.testing.assert_allclose(mean, mean_s, atol=1e-6)
    np.testing.assert_allclose(cov, cov_s, atol=1e-6)
    assert float(W2.distance(second_moment_sums(x), target)) < 1e-10
