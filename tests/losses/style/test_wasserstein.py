"""The Gaussian Wasserstein loss: known values, and where it is hard: small and empty directions."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.losses.statistics import second_moment_sums
from impasto.losses.style import STYLE_LOSSES

W2 = STYLE_LOSSES["wasserstein"]


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


def moments(x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    flat = x[0].flatten(1).numpy()
    return flat.mean(1), np.cov(flat, bias=True)


@settings(max_examples=60, deadline=None)
@given(a=st.floats(0.01, 100), b=st.floats(0.01, 100), m=st.floats(-100, 100))
def test_wasserstein_of_two_normal_distributions_in_one_dimension(distance, a, b, m):
    x = torch.tensor([-a, a], dtype=torch.float64).view(1, 1, 1, 2)
    y = torch.tensor([m - b, m + b], dtype=torch.float64).view(1, 1, 1, 2)
    scale = m * m + a * a + b * b
    assert float(distance("wasserstein", x, y)) == pytest.approx(m * m + (a - b) ** 2, abs=1e-9 * scale)


@pytest.mark.parametrize("seed", range(5))
def test_wasserstein_is_the_formula_with_scipys_matrix_roots(features, distance, seed):
    x, y = features(seed), features(seed + 50, height=4, width=9)
    (mean, cov), (mean_s, cov_s) = moments(x), moments(y)
    half = scipy.linalg.sqrtm(cov_s).real
    cross = scipy.linalg.sqrtm(half @ cov @ half).real
    wanted = ((mean - mean_s) ** 2).sum() + np.trace(cov + cov_s - 2 * cross)
    assert float(distance("wasserstein", x, y)) == pytest.approx(wanted, rel=1e-9)


def test_the_gradient_of_wasserstein_is_the_formula_with_the_optimal_map(features, gradient, relative_error):
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
def test_wasserstein_is_symmetric_and_a_shift_adds_its_square(features, distance, seed, shift):
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
def test_wasserstein_gradients_stay_exact_down_to_eigenvalues_of_a_millionth(
    distance, gradient, finite_differences, relative_error, own, painted
):
    x, y = with_spectrum(0, own), with_spectrum(1, painted)
    found = gradient("wasserstein", x, y)
    # the step stays well inside the narrowest direction, whose deviation is 1e-3
    step = 1e-3 * min(own) ** 0.5 * 40
    assert relative_error(found, finite_differences(lambda at: distance("wasserstein", at, y), x, step)) <= 1e-6


MODES = np.logspace(0, -6, 7)


def along_modes(x: torch.Tensor) -> torch.Tensor:
    """The directions of a map's covariance, as columns, the largest first."""
    return torch.from_numpy(np.linalg.eigh(moments(x)[1])[1][:, ::-1].copy())


@pytest.mark.parametrize("painted", [2 * MODES, np.ones(7), MODES[::-1]], ids=["alike", "white", "opposite"])
def test_the_gradient_along_each_small_mode_is_as_exact_as_along_the_large_ones(painted, gradient, relative_error):
    x = with_spectrum(2, list(MODES))
    modes, stretches = along_modes(x), torch.from_numpy(np.sqrt(painted / MODES))
    shift = torch.linspace(-1, 1, 7, dtype=torch.float64)[:, None] * 0.1
    centred = x[0, :, 0] - x[0, :, 0].mean(1, keepdim=True)
    # the painting is the picture, stretched along its own modes; the optimal map is that stretch
    y = modes @ stretches.diag() @ modes.T @ centred + x[0, :, 0].mean(1, keepdim=True) + shift
    wanted = 2 / 40 * (-modes.T @ shift + (1 - stretches)[:, None] * (modes.T @ centred))
    found = modes.T @ gradient("wasserstein", x, y.view_as(x))[0, :, 0]
    for mode, own in enumerate(MODES):
        assert relative_error(found[mode], wanted[mode]) <= 1e-6, f"mode of {own:g}"


def test_the_gradient_along_each_small_mode_agrees_with_finite_differences(
    distance, gradient, finite_differences, relative_error
):
    x, y = with_spectrum(2, list(MODES)), with_spectrum(3, list(MODES))
    modes, scales = along_modes(x), torch.from_numpy(np.sqrt(MODES))[:, None]
    at = modes.T @ x[0, :, 0] / scales  # steps along the modes, as small as each of them is
    wanted = finite_differences(lambda at: distance("wasserstein", (modes @ (scales * at)).view_as(x), y), at, 0.01)
    found = scales * (modes.T @ gradient("wasserstein", x, y)[0, :, 0])
    for mode, own in enumerate(MODES):
        assert relative_error(found[mode], wanted[mode]) <= 1e-6, f"mode of {own:g}"


def test_small_modes_are_matched_and_not_clamped_away(gradient):
    x, y = with_spectrum(0, [1, 1e-2, 1e-4, 1e-6]), with_spectrum(0, [1, 1e-2, 1e-4, 4e-6])
    modes = torch.from_numpy(np.linalg.eigh(moments(x)[1])[1])
    smallest = modes[:, 0] @ (x - x.mean(dim=3, keepdim=True))[0, :, 0]
    slope = modes[:, 0] @ gradient("wasserstein", x, y)[0, :, 0]
    # the map that is wanted makes this mode twice as wide: f − T(f) = −f
    torch.testing.assert_close(slope * 40 / 2, -smallest, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "make",
    [
        lambda f: (f(0, channels=12, height=1, width=3), f(1, channels=12, height=1, width=4)),
        lambda f: (f(0, channels=12, height=1, width=3), f(1, channels=12, height=6, width=6)),
        lambda f: (f(0, channels=12, height=6, width=6), f(1, channels=12, height=1, width=2)),
        lambda f: (f(0, channels=12, height=1, width=1), f(1, channels=12, height=1, width=1)),
        lambda f: (torch.zeros(1, 6, 4, 4).double(), f(1, channels=6)),
        lambda f: (f(1, channels=6), torch.zeros(1, 6, 4, 4).double()),
        lambda f: (torch.zeros(1, 6, 4, 4).double(), torch.zeros(1, 6, 4, 4).double()),
        lambda f: (torch.full((1, 6, 4, 4), 7.0).double(), torch.full((1, 6, 4, 4), 5.0).double()),
    ],
    ids=["both", "picture", "painting", "one position", "dead picture", "dead painting", "dead", "flat"],
)
def test_wasserstein_of_rank_deficient_maps_is_finite_and_right(features, distance, gradient, make, dtype):
    x, y = (each.to(dtype) for each in make(features))
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


def test_gradient_descent_on_wasserstein_gives_a_map_the_paintings_mean_and_covariance(features, distance, gradient):
    x, y = features(20), features(21)
    target = W2.target(second_moment_sums(y))
    for _ in range(60):
        # a full step to the optimal map: N/2 times the gradient, which is f - T(f)
        x = x - 0.5 * 30 * gradient("wasserstein", x, y)
    (mean, cov), (mean_s, cov_s) = moments(x), moments(y)
    np.testing.assert_allclose(mean, mean_s, atol=1e-6)
    np.testing.assert_allclose(cov, cov_s, atol=1e-6)
    assert float(W2.distance(second_moment_sums(x), target)) < 1e-10


def test_a_feature_that_is_no_number_is_an_error(features, distance):
    x, y = features(0), features(1)
    x[..., 2, 2] = float("nan")
    with pytest.raises(torch.linalg.LinAlgError):
        distance("wasserstein", x, y)
