"""Tiles cover a picture once, lie on the grid, see what they must, and blend to one."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.translation.tiling import Tile, cuts, ramps, spans, tiles

lengths = st.integers(1, 400)


@given(lengths, st.integers(1, 100), st.sampled_from([1, 2, 3, 8, 32]))
@settings(deadline=None, max_examples=200)
def test_parts_follow_each_other_on_the_grid_and_are_about_as_long(length: int, side: int, step: int) -> None:
    parts = cuts(0, length, side, step)
    assert parts[0][0] == 0 and parts[-1][1] == length
    assert all(a[1] == b[0] for a, b in pairwise(parts))
    sizes = [b - a for a, b in parts]
    assert all(size > 0 for size in sizes) and max(sizes) <= max(side, step)
    assert all(start % step == 0 for start, _ in parts)
    assert len(sizes) < 2 or max(sizes[:-1]) - min(sizes[:-1]) <= step


@given(lengths, st.integers(1, 100), st.sampled_from([1, 2, 8]), st.integers(0, 60))
@settings(deadline=None, max_examples=200)
def test_what_is_seen_reaches_far_enough_or_to_the_border(length: int, side: int, step: int, halo: int) -> None:
    for span in spans(0, length, whole=length, side=side, step=step, halo=halo):
        assert 0 <= span.first <= span.start < span.stop <= span.last <= length
        assert span.first == 0 or span.start - span.first >= halo
        assert span.last == length or span.last - span.stop >= halo
        assert span.first % step == 0 and (span.last == length or span.last % step == 0)


def test_tiles_cover_every_pixel_once_also_when_one_is_divided() -> None:
    size = (70, 101)
    laid = tiles(size, 40, step=4, halo=6)
    laid[1:2] = tiles(size, 16, step=4, halo=6, of=laid[1])
    covered = torch.zeros(size)
    for tile in laid:
        covered[tile.rows.start : tile.rows.stop, tile.columns.start : tile.columns.stop] += 1
    assert covered.eq(1).all()


@pytest.mark.parametrize("scale", [1, 3])
def test_the_weights_of_blended_tiles_add_up_to_one_however_they_are_divided(scale: int) -> None:
    size, overlap = (100, 150), 4
    laid = tiles(size, 60, step=2, halo=8)
    divided: list[Tile] = [laid[0], *tiles(size, 22, step=2, halo=8, of=laid[1]), *laid[2:]]
    total = torch.zeros(size[0] * scale, size[1] * scale)
    for tile in divided:
        (rows, down), (columns, across) = ramps(tile, size, overlap, scale)
        assert down.min() > 0 and across.min() > 0
        total[rows, columns] += down[:, None] * across
    assert (total - 1).abs().max() < 1e-6
