"""Guides: a region's share of what each position of a tap sees."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto import networks
from impasto.networks import Taps
from impasto.networks.geometry import TapGeometry
from impasto.synthesis.guides import guide
from impasto.synthesis.tiles import tiling

NAMES = ("pixels", "relu1_1", "relu2_2", "relu3_1")


@pytest.fixture(scope="module")
def taps() -> Taps:
    return Taps(networks.load("pocket", padding="replicate"), NAMES)


def soft(*size: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


geometries = st.builds(
    lambda stride, before, more: TapGeometry(stride, before, more - before),
    st.integers(1, 8),
    st.integers(-2, 20),
    st.integers(0, 40),
)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(geometries, sizes, sizes)
def test_a_mask_of_ones_is_one_everywhere(geometry, seen, size):
    assert torch.equal(guide(torch.ones(1, 1, *seen), geometry, size), torch.ones(1, 1, *size))


@given(geometries, sizes, sizes, st.integers(0, 1000))
def test_masks_that_add_up_to_one_still_do(geometry, seen, size, seed):
    mask = soft(*seen, seed=seed, dtype=torch.float32)
    both = guide(mask, geometry, size) + guide(1 - mask, geometry, size)
    torch.testing.assert_close(both, torch.ones(1, 1, *size), atol=1e-6, rtol=0)
    assert guide(mask, geometry, size).min() >= 0 and guide(mask, geometry, size).max() <= 1


def test_it_is_the_mean_over_the_receptive_field(taps):
    mask = soft(29, 23)
    shapes = taps(torch.rand(1, 3, 29, 23))
    for tap, of in taps.geometry().items():
        size = tuple(shapes[tap].shape[2:])
        found = guide(mask, of, size)
        for row in range(size[0]):
            for column in range(size[1]):
                total = 0.0
                for y in range(row * of.stride - of.before, row * of.stride + of.after + 1):
                    for x in range(column * of.stride - of.before, column * of.stride + of.after + 1):
                        # beyond its border a mask goes on as it is there
                        total += float(mask[0, 0, min(max(y, 0), 28), min(max(x, 0), 22)])
                mean = total / (of.before + of.after + 1) ** 2
                assert float(found[0, 0, row, column]) == pytest.approx(mean, rel=1e-12)


def test_at_the_pixels_it_is_the_mask_itself():
    mask = soft(7, 9)
    assert torch.equal(guide(mask, TapGeometry(1, 0, 0), (7, 9)), mask)


def test_a_tap_that_sees_everything_gets_the_masks_mean():
    mask = soft(7, 9)
    found = guide(mask, TapGeometry(0, 0, 0, everywhere=True), (2, 3))
    torch.testing.assert_close(found, torch.full((1, 1, 2, 3), float(mask.mean()), dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(st.tuples(st.integers(20, 90), st.integers(20, 90)), st.integers(16, 60), st.booleans())
def test_the_guide_of_a_tile_is_that_part_of_the_guide_of_the_picture(taps, size, side, wraps):
    geometry = taps.geometry()
    if wraps:
        size = (size[0] // 4 * 4, size[1] // 4 * 4)
    tiles = tiling(size, side, geometry, wraps=wraps)
    mask = soft(*size)
    margin = 32 if wraps else 0  # by hand: the picture goes on at its opposite border
    extended = torch.nn.functional.pad(mask, (margin,) * 4, mode="circular") if wraps and min(size) >= 32 else mask
    if wraps and min(size) < 32:
        return
    for tap, of in geometry.items():
        whole_size = tuple(-(-(length + 2 * margin) // of.stride) for length in size)
        expected = guide(extended, of, whole_size)
        for tile in tiles.tiles:
            seen = tiles.crop(mask, tile)
            shape = tuple(-(-length // of.stride) for length in seen.shape[2:])
            rows, columns = tiles.own(tile, tap)
            part = guide(seen, of, shape)[:, :, rows, columns]
            top, left = (core[0] // of.stride + margin // of.stride for core in (tile.rows, tile.columns))
            torch.testing.assert_close(
                part, expected[:, :, top : top + part.shape[2], left : left + part.shape[3]], atol=1e-12, rtol=0
            )
