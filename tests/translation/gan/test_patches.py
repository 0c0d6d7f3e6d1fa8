"""Realism without a critic: the distance of patches, of pictures whose fault is known."""

import math

import pytest
import torch
import torch.nn.functional as F

from impasto.translation.gan.patches import patch_distance


def textures(seed: int, count: int = 6, size: int = 48) -> torch.Tensor:
    """Smoothed noise, in [0, 1]."""
    noise = torch.randn(count, 3, size + 2, size + 2, generator=torch.Generator().manual_seed(seed))
    return (F.avg_pool2d(noise, 3, 1) + 0.5).clamp(0, 1)


def test_a_crowd_is_nowhere_from_itself_and_near_to_another_of_its_kind() -> None:
    one, other = textures(0), textures(1)
    assert float(patch_distance(one, one).abs().max()) == 0
    assert float(patch_distance(other, one).max()) < 0.06


def test_what_is_too_smooth_or_too_harsh_is_far_and_the_further_the_worse() -> None:
    real = textures(0)
    contrast = [float(patch_distance((textures(1) - 0.5) * gain + 0.5, real)[0]) for gain in (0.3, 0.6, 1, 1.6, 2.5)]
    assert contrast == sorted(contrast[:3], reverse=True) + sorted(contrast[3:])
    assert contrast[0] > 0.4 and contrast[2] < 0.06 and contrast[4] > 0.4


def test_it_is_the_mean_distance_of_what_is_shifted_in_contrast() -> None:
    """Patches g times as strong are |g − 1|·E|x·d| away along each direction d; for normal x that is √(2/π) deviations."""
    real = torch.randn(8, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    found = float(patch_distance(real * 1.5, real)[0])
    assert found == pytest.approx(0.5 * math.sqrt(2 / math.pi), rel=0.03)


def test_levels_tell_scales_apart() -> None:
    real = textures(0, size=64)
    checks = 0.3 * ((torch.arange(64)[:, None] + torch.arange(64)) % 2 - 0.5)
    fine = patch_distance(real + checks, real)
    coarse = patch_distance(real + F.interpolate(checks[None, None, :16, :16], scale_factor=4.0), real)
    assert len(fine) == 3 and fine[0] > 5 * fine[1:].max()
    assert coarse[2] > coarse[0]


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (17, 23)])
def test_any_size_has_a_distance(size: tuple[int, int]) -> None:
    chance = torch.Generator().manual_seed(0)
    found = patch_distance(torch.rand(2, 3, *size, generator=chance), torch.rand(2, 3, *size, generator=chance))
    assert found.isfinite().all() and len(found) >= 1


def test_many_pictures_are_looked_at_on_a_grid() -> None:
    real = textures(0, count=2, size=400)
    assert float(patch_distance(real, textures(1, count=2, size=400)).max()) < 0.1
