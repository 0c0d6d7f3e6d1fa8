"""Measuring: what is summed tile by tile is what the whole picture sums to."""

import pytest
import torch

from impasto import networks
from impasto.errors import UsageError
from impasto.losses.statistics import DIAGONAL_MOMENTS, SECOND_MOMENTS, Statistic
from impasto.networks import Taps
from impasto.synthesis.guides import guide
from impasto.synthesis.measure import Summed, measure, sample_patches, shared
from impasto.synthesis.tiles import tiling, whole

NAMES = ("relu1_1", "relu2_2", "relu3_1")
SIZE = (77, 90)


@pytest.fixture(scope="module")
def taps() -> Taps:
    return Taps(networks.load("pocket", padding="replicate").to("cpu", torch.float64), NAMES)


def scene(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("side", [None, 32, 50])
def test_sums_are_those_of_the_whole_maps(taps, side):
    picture, region = scene(*SIZE), scene(*SIZE, seed=1)[:, :1]
    wanted = [
        Summed(tap, statistic, at)
        for tap in NAMES
        for statistic in (SECOND_MOMENTS, DIAGONAL_MOMENTS)
        for at in (None, 0)
    ]
    found = measure(taps, tiling(SIZE, side, taps.geometry()), picture, wanted, [region])
    features = taps(picture)
    assert list(found) == wanted
    for one, sums in found.items():
        maps = taps.network.in_metric(one.tap, features[one.tap])
        mask = None
        if one.region is not None:
            mask = guide(region, taps.geometry()[one.tap], tuple(maps.shape[2:]))
        for name, value in one.statistic.sums(maps, mask).items():
            torch.testing.assert_close(sums[name], value, rtol=1e-11, atol=1e-11)


def test_sums_are_in_float64_whatever_the_picture_is_in():
    single = Taps(networks.load("pocket"), ["relu1_1"])
    found = measure(single, whole((32, 32)), scene(32, 32).float(), [Summed("relu1_1", SECOND_MOMENTS)])
    assert {value.dtype for sums in found.values() for value in sums.values()} == {torch.float64}


def test_one_process_works_all_tiles(taps):
    tiles = tiling(SIZE, 32, taps.geometry())
    assert shared(tiles) == list(enumerate(tiles.tiles))


@pytest.mark.parametrize("world, counts", [(2, [5, 4]), (4, [3, 2, 2, 2]), (9, [1] * 9), (10, [9] * 10)])
def test_processes_share_the_tiles_or_all_work_all_of_them(taps, monkeypatch, world, counts):
    tiles = tiling(SIZE, 32, taps.geometry())
    assert len(tiles.tiles) == 9
    monkeypatch.setenv("WORLD_SIZE", str(world))
    shares = []
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        shares.append([index for index, _ in shared(tiles)])
    assert [len(share) for share in shares] == counts
    if world <= 9:
        assert sorted(index for share in shares for index in share) == list(range(9))


# Patches


@pytest.mark.parametrize("most", [7, 100, 10**6])
def test_patches_are_some_of_the_maps_own(taps, most):
    picture = scene(40, 47)
    found = sample_patches(taps, whole((40, 47)), picture, "relu2_2", most)
    maps = taps.network.in_metric("relu2_2", taps(picture)["relu2_2"])
    there = maps.unfold(2, 3, 1).unfold(3, 3, 1)[0].permute(1, 2, 0, 3, 4).flatten(0, 1)
    assert found.shape[1:] == (48, 3, 3) and len(found) <= most
    distances = torch.cdist(found.flatten(1), there.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    assert distances.min(1).values.max() < 1e-9
    assert len(set(distances.argmin(1).tolist())) == len(found), "no patch comes twice"
    if most >= len(there):
        assert len(found) == len(there)


@pytest.mark.parametrize("most", [30, 10**6])
def test_patches_in_tiles_are_spread_over_the_whole_picture(taps, most):
    size = (96, 96)
    picture = scene(*size)
    found = sample_patches(taps, tiling(size, 32, taps.geometry(), reach=1), picture, "relu2_2", most)
    maps = taps.network.in_metric("relu2_2", taps(picture)["relu2_2"])
    there = maps.unfold(2, 3, 1).unfold(3, 3, 1)[0].permute(1, 2, 0, 3, 4).flatten(0, 1)
    places = torch.cdist(found.flatten(1), there.flatten(1), compute_mode="donot_use_mm_for_euclid_dist").min(1)
    assert places.values.max() < 1e-9
    if most > len(there):
        assert sorted(places.indices.tolist()) == list(range(len(there)))
    else:
        assert 10 <= len(found) <= most
        rows, columns = places.indices // maps.shape[3], places.indices % maps.shape[3]
        quarters = {(int(r) >= 23, int(c) >= 23) for r, c in zip(rows, columns, strict=True)}
        assert len(quarters) == 4


def test_patches_of_a_region_lie_in_it(taps):
    picture = scene(64, 64)
    region = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    region[..., :32] = 1
    left = picture.clone()
    left[..., 48:] = 0.5  # what is far from the region does not matter
    one, other = (sample_patches(taps, whole((64, 64)), image, "relu2_2", 10**6, [region]) for image in (picture, left))
    assert 0 < len(one) < 30 * 30 * 0.6 and torch.equal(one, other)


@pytest.mark.parametrize("strength", [0.4, 1e-3])
def test_a_region_that_is_faint_everywhere_has_patches_everywhere(taps, strength):
    picture, region = scene(64, 64), torch.full((1, 1, 64, 64), strength, dtype=torch.float64)
    one, other = (sample_patches(taps, whole((64, 64)), picture, "relu2_2", 100, at) for at in ([], [region]))
    assert torch.equal(one, other)


@pytest.mark.parametrize("place", [(0, 0), (61, 62), (119, 90)])
@pytest.mark.parametrize("side", [None, 40])
def test_a_region_that_is_a_speck_has_its_patches(taps, place, side):
    """Wherever it lies: between the points of an even lattice, at a border, at the border of a tile."""
    size, (row, column) = (120, 91), place
    region = torch.zeros(1, 1, *size, dtype=torch.float64)
    region[..., row : row + 2, column : column + 2] = 1
    picture = scene(*size)
    found = sample_patches(taps, tiling(size, side, taps.geometry(), reach=1), picture, "relu1_1", 30, [region])
    maps = taps.network.in_metric("relu1_1", taps(picture)["relu1_1"])
    there = maps.unfold(2, 3, 1).unfold(3, 3, 1)[0].permute(1, 2, 0, 3, 4).flatten(0, 1)
    places = torch.cdist(found.flatten(1), there.flatten(1), compute_mode="donot_use_mm_for_euclid_dist").min(1)
    assert 0 < len(found) <= 16 and places.values.max() < 1e-9
    rows, columns = places.indices // (size[1] - 2) + 1, places.indices % (size[1] - 2) + 1
    assert (rows - row).abs().max() <= 3 and (columns - column).abs().max() <= 3


def test_what_has_no_patch_is_one_clear_line(taps):
    speck = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    speck[..., 0, 0] = 1
    with pytest.raises(UsageError, match="^what is measured .* at pixels: paint more of the style's mask white$"):
        sample_patches(Taps(taps.network, ["pixels"]), whole((32, 32)), scene(32, 32), "pixels", 100, [speck])
    with pytest.raises(UsageError, match="^what is measured .* at relu3_1: choose other --taps or a larger --stroke$"):
        sample_patches(taps, whole((7, 40)), scene(7, 40), "relu3_1", 100)


@pytest.mark.parametrize("size", [(8, 40), (40, 8), (5, 5)])
def test_a_map_narrower_than_a_patch_is_one_clear_line(taps, size):
    patches = Statistic("patches", lambda features, mask: {"count": features.sum()}, reach=1)
    with pytest.raises(UsageError, match=f"^{size[1]}×{size[0]} pixels are too few for a patch at relu3_1: .*--size"):
        measure(taps, whole(size), scene(*size), [Summed("relu1_1", patches), Summed("relu3_1", patches)])
