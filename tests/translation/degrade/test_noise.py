"""Noise of the strength that is asked for."""

import pytest
import torch

from impasto.translation.degrade import parse

SIDE = 96


def noise(text: str, level: float, seeds: int = 2) -> torch.Tensor:
    """What a recipe adds to pictures of one level, in gray levels: (seeds, 3, SIDE, SIDE)."""
    images = torch.full((seeds, 3, SIDE, SIDE), level)
    return (parse(text)(images, range(seeds)) - images) * 255


@pytest.mark.parametrize("sigma", [2, 15])
def test_gaussian_noise_has_its_sigma_in_gray_levels(sigma: float) -> None:
    added = noise(f"noise:{sigma}", 0.5)
    assert abs(added.mean()) < 4 * sigma / SIDE
    assert abs(added.std() / sigma - 1) < 0.02
    outside = (added.abs() > 2 * sigma).float().mean()
    assert abs(outside - 0.0455) < 0.006  # of a normal distribution


def test_colour_noise_differs_between_channels_and_gray_noise_does_not() -> None:
    colour, gray = noise("noise:20", 0.5), noise("noise:20,gray=1", 0.5)
    assert torch.corrcoef(colour[0].flatten(1))[0, 1].abs() < 0.05
    assert torch.equal(gray[:, 0], gray[:, 1]) and torch.equal(gray[:, 0], gray[:, 2])
    assert abs(gray.std() / 20 - 1) < 0.03


@pytest.mark.parametrize(("level", "scale"), [(0.25, 1), (0.75, 1), (0.5, 0.3)])
def test_the_variance_of_photon_noise_grows_with_the_light(level: float, scale: float) -> None:
    seen = round(level * 255) / 255
    wanted = scale * (256 * seen) ** 0.5 * 255 / 256  # a count of n photons deviates by √n
    added = noise(f"poisson:{scale}", level)
    assert abs(added.std() / wanted - 1) < 0.03
    assert abs(added.mean()) < 5 * wanted / SIDE


def test_photons_are_whole_and_darkness_has_none() -> None:
    photons = parse("poisson:1")(torch.full((1, 3, 8, 8), 51 / 255), [0]) * 256
    assert torch.allclose(photons, photons.round(), atol=1e-3)
    assert torch.equal(noise("poisson:3", 0.0), torch.zeros(2, 3, SIDE, SIDE))


def test_gray_photon_noise_is_that_of_the_luma() -> None:
    red = torch.tensor([0.6, 0.4, 0.5])[:, None, None].expand(1, 3, SIDE, SIDE)
    added = (parse("poisson:1,gray=1")(red, [0]) - red) * 255
    assert torch.allclose(added[:, 0], added[:, 1], atol=1e-3)
    luma = 0.299 * 0.6 + 0.587 * 0.4 + 0.114 * 0.5
    assert abs(added.std() / ((256 * luma) ** 0.5 * 255 / 256) - 1) < 0.05
