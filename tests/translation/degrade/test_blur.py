"""Kernels against scipy, closed forms, and what they do to frequencies."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, special

from impasto.translation.degrade import parse
from impasto.translation.degrade.blur import blur_kernel, sinc_kernel


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 3, 30, 41, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [0.4, 1.3, 3])
def test_an_isotropic_blur_is_scipys(sigma: float, image: torch.Tensor) -> None:
    ours = parse(f"blur:{sigma}")(image, [0])[0, 1].numpy()
    radius = math.ceil(3 * sigma)
    reference = ndimage.gaussian_filter(image[0, 1].numpy().astype(np.float64), sigma, mode="mirror", radius=radius)
    assert np.abs(ours - reference).max() < 1e-5


def test_an_anisotropic_blur_along_the_axes_is_scipys(image: torch.Tensor) -> None:
    ours = parse("blur:2,across=0.7,radius=8")(image, [0])[0, 2].numpy()
    wide = image[0, 2].numpy().astype(np.float64)
    reference = ndimage.gaussian_filter(wide, (0.7, 2), mode="mirror", radius=8)
    assert np.abs(ours - reference).max() < 1e-5


def test_the_moments_of_a_turned_kernel_are_its_covariance() -> None:
    kernel = blur_kernel((2.5, 1.0), angle=0.6, radius=14).numpy()
    y, x = np.mgrid[-14:15, -14:15]
    turn = np.array([[math.cos(0.6), -math.sin(0.6)], [math.sin(0.6), math.cos(0.6)]])
    wanted = turn @ np.diag([2.5**2, 1.0]) @ turn.T
    found = [[(kernel * a * b).sum() for b in (x, y)] for a in (x, y)]
    assert np.allclose(found, wanted, rtol=1e-3)


@pytest.mark.parametrize("beta", [0.5, 1, 3])
def test_profiles_fall_as_their_formulas_say(beta: float) -> None:
    generalised = blur_kernel((1.5, 1.5), profile="generalised", beta=beta, radius=5)
    plateau = blur_kernel((1.5, 1.5), profile="plateau", beta=beta, radius=5)
    distance = (3 / 1.5) ** 2  # of the pixel three to the right of the middle
    assert math.isclose(generalised[5, 8] / generalised[5, 5], math.exp(-0.5 * distance**beta), rel_tol=1e-9)
    assert math.isclose(plateau[5, 8] / plateau[5, 5], 1 / (1 + distance**beta), rel_tol=1e-9)
    assert math.isclose(generalised.sum(), 1) and math.isclose(plateau.sum(), 1)


def test_a_generalised_kernel_with_exponent_one_is_gaussian() -> None:
    assert torch.equal(blur_kernel((2, 1), 0.3, "generalised", 1.0, 6), blur_kernel((2, 1), 0.3, radius=6))


@pytest.mark.parametrize("cutoff", [0.6, 2.0, math.pi])
def test_the_sinc_is_the_bessel_function_of_scipy(cutoff: float) -> None:
    y, x = np.mgrid[-6:7, -6:7]
    r = np.hypot(x, y)
    r[6, 6] = 1e-6  # where the limit is taken
    kernel = cutoff * special.j1(cutoff * r) / (2 * np.pi * r)
    assert np.allclose(sinc_kernel(cutoff, 6).numpy(), kernel / kernel.sum(), atol=1e-7)


def test_a_sinc_stops_high_frequencies_lets_low_ones_through_and_rings() -> None:
    x = torch.arange(64)
    low, high = ((0.5 + 0.4 * torch.cos(w * x)).expand(1, 3, 64, 64) for w in (0.3, 2.6))
    recipe = parse("sinc:0.5,radius=10")

    def swing(image: torch.Tensor) -> float:
        return float(recipe(image, [0])[..., 12:-12].std() / image[..., 12:-12].std())

    assert swing(low) > 0.9 and swing(high) < 0.1
    edge = (x >= 32).float().mul(0.5).add(0.25).expand(1, 3, 64, 64)
    assert recipe(edge, [0]).max() > 0.76


def test_a_small_picture_is_mirrored_as_often_as_it_takes() -> None:
    line = torch.tensor([0.0, 0.5, 1.0]).expand(1, 3, 1, 3)
    ours = parse("blur:2,radius=9")(line, [0])[0, 0, 0].numpy()
    reference = ndimage.gaussian_filter1d(np.array([0.0, 0.5, 1.0]), 2, mode="mirror", radius=9)
    assert np.abs(ours - reference).max() < 1e-5


def test_what_is_of_the_whole_process_is_left_alone(image: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader's thread blurs while another trains on the GPU: its settings of cuDNN are no affair of the blur's."""
    monkeypatch.setattr(torch.backends.cudnn, "flags", lambda **settings: pytest.fail(f"set {settings}"))
    assert parse("blur:1 sinc:0.5")(image, [0]).shape == image.shape


def test_an_even_picture_stays_as_it_is() -> None:
    even = torch.full((2, 3, 9, 12), 0.3)
    assert torch.allclose(parse("blur:2 sinc:0.4")(even, [0, 1]), even, atol=1e-6)
