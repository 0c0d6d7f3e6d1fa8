"""Tiles: a partition of the picture, each seen with all that its own positions look at."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from impasto.errors import UsageError
from impasto.networks.geometry import TapGeometry
from impasto.synthesis.tiles import Tiling, tiling, whole

GEOMETRY = {"shallow": TapGeometry(1, 1, 1), "deep": TapGeometry(4, 9, 12)}

lengths = st.integers(1, 220)
geometries = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(
        TapGeometry,
        stride=st.sampled_from([1, 2, 3, 4, 8]),
        before=st.integers(0, 24),
        after=st.integers(0, 32),
    ),
    min_size=1,
)


@st.composite
def tilings(draw) -> Tiling:
    """A tiling that is allowed."""
    geometry, wraps = draw(geometries), draw(st.booleans())
    grid = math.lcm(*(of.stride for of in geometry.values()))
    size = (draw(lengths), draw(lengths))
    if wraps:
        size = (math.ceil(size[0] / grid) * grid, math.ceil(size[1] / grid) * grid)
    side = draw(st.none() | st.integers(1, 130))
    try:
        return tiling(size, side, geometry, reach=draw(st.integers(0, 2)), wraps=wraps)
    except UsageError:
        assume(False)
        raise


def length_of(rows: tuple[int, int]) -> int:
    return rows[1] - rows[0]


@given(tilings())
def test_the_cores_are_a_partition_of_the_picture(found):
    painted = torch.zeros(found.size, dtype=torch.int64)
    for tile in found.tiles:
        assert length_of(tile.rows) > 0 and length_of(tile.columns) > 0
        painted[slice(*tile.rows), slice(*tile.columns)] += 1
    assert (painted == 1).all()


@given(tilings())
def test_no_core_is_longer_than_was_asked_and_all_begin_at_a_multiple_of_every_stride(found):
    for tile in found.tiles:
        for core in (tile.rows, tile.columns):
            assert found.side is None or length_of(core) <= found.side
            assert all(core[0] % of.stride == 0 for of in found.geometry.values())


@given(tilings())
def test_cores_are_of_about_the_same_size(found):
    grid = math.lcm(*(of.stride for of in found.geometry.values()))
    for along in ("rows", "columns"):
        spans = {length_of(getattr(tile, along)) for tile in found.tiles}
        assert max(spans) - min(spans) < 2 * grid


@given(tilings())
def test_what_is_seen_holds_the_core_with_a_neighbour_on_each_side_and_stays_in_the_picture(found):
    for tile in found.tiles:
        for core, seen, length in (
            (tile.rows, tile.seen_rows, found.size[0]),
            (tile.columns, tile.seen_columns, found.size[1]),
        ):
            left, right = (core[0] - 1, core[1] + 1) if found.wraps else (max(core[0] - 1, 0), min(core[1] + 1, length))
            if len(found.tiles) > 1 or found.wraps:
                assert seen[0] <= left and seen[1] >= right
            assert found.wraps or (seen[0] >= 0 and seen[1] <= length)


@settings(deadline=None, max_examples=50)
@given(tilings(), st.integers(0, 10**6))
def test_adding_is_the_adjoint_of_cropping(found, seed):
    chance = torch.Generator().manual_seed(seed)
    x = torch.randn(1, 2, *found.size, generator=chance, dtype=torch.float64)
    for tile in found.tiles[:: max(1, len(found.tiles) // 5)]:
        crop = found.crop(x, tile)
        assert crop.shape[2:] == (length_of(tile.seen_rows), length_of(tile.seen_columns))
        y = torch.randn(crop.shape, generator=chance, dtype=torch.float64)
        back = torch.zeros_like(x)
        found.add(back, tile, y)
        torch.testing.assert_close((crop * y).sum(), (x * back).sum(), rtol=1e-9, atol=1e-9)


def test_what_is_seen_of_a_small_picture_that_wraps_is_larger_than_the_picture():
    found = tiling((8, 12), None, GEOMETRY, wraps=True)
    (tile,) = found.tiles
    x = torch.arange(96.0).view(1, 1, 8, 12)
    crop = found.crop(x, tile)
    assert crop.shape[2] > 8 and crop.shape[3] > 12
    top, left = -tile.seen_rows[0], -tile.seen_columns[0]
    assert crop[0, 0, top, left] == x[0, 0, 0, 0]
    assert crop[0, 0, top - 1, left - 1] == x[0, 0, -1, -1]
    assert crop[0, 0, top + 8, left + 12] == x[0, 0, 0, 0]
    back = torch.zeros_like(x)
    found.add(back, tile, torch.ones_like(crop))
    assert back.sum() == crop.numel() and back.min() >= 1


def positions(seen: int, of: TapGeometry, padded: bool) -> int:
    """How many positions a network has on so many pixels: as many as strides begin there, or as whole fields fit."""
    if padded:
        return math.ceil(seen / of.stride)
    return max(0, (seen - (of.before + of.after + 1)) // of.stride + 1)


@pytest.mark.parametrize("padded", [True, False])
@given(data=st.data())
def test_every_position_is_the_own_one_of_one_tile_which_sees_all_that_it_sees(padded, data):
    found = data.draw(tilings())
    for tap, of in found.geometry.items():
        if not padded and of.before != 0:
            continue  # an unpadded network's first field begins at the first pixel
        for axis, along in enumerate(("rows", "columns")):
            length = found.size[axis]
            there = length // of.stride if found.wraps else positions(length, of, padded)
            owned = []
            for seen, tile in {(getattr(t, f"seen_{along}"), t) for t in found.tiles}:
                if getattr(tile, "columns" if axis == 0 else "rows")[0] != 0:
                    continue  # one tile of each row or column of tiles
                own = found.own(tile, tap)[axis]
                here = range(positions(length_of(seen), of, padded))[own]
                assert seen[0] % of.stride == 0
                for position in here:
                    pixel = seen[0] + position * of.stride
                    owned.append(pixel // of.stride)
                    first, last = pixel - of.before, pixel + of.after
                    if not found.wraps:
                        first, last = max(0, first), min(length - 1, last)
                    if first <= last:
                        assert seen[0] <= first and last < seen[1]
            assert sorted(owned) == list(range(there))


@given(data=st.data())
def test_positions_within_reach_see_all_that_they_see_too(data):
    geometry, reach = data.draw(geometries), data.draw(st.integers(1, 2))
    try:
        found = tiling((data.draw(lengths), 40), data.draw(st.integers(20, 90)), geometry, reach=reach)
    except UsageError:
        assume(False)
    for tap, of in found.geometry.items():
        for tile in found.tiles:
            start, stop = tile.seen_rows
            there = range(math.ceil((stop - start) / of.stride))
            own, wider = there[found.own(tile, tap)[0]], there[found.own(tile, tap, reach)[0]]
            assert set(own) <= set(wider)
            if own:
                before, after = own[0] - wider[0], wider[-1] - own[-1]
                # as far as the picture goes
                assert before == reach or wider[0] == 0 == start
                assert after == reach or (wider[-1] == there[-1] and stop == found.size[0])
            for position in wider:
                pixel = start + position * of.stride
                assert start <= max(0, pixel - of.before)
                assert min(found.size[0] - 1, pixel + of.after) < stop or pixel - of.before >= found.size[0]


@pytest.mark.parametrize("side", [None, 40, 64, 1000])
def test_a_picture_that_fits_in_a_tile_is_whole(side):
    found = tiling((40, 33), side, GEOMETRY)
    assert found == whole((40, 33))
    x = torch.rand(1, 3, 40, 33)
    assert torch.equal(found.crop(x, found.tiles[0]), x)
    assert found.own(found.tiles[0], "any") == (slice(None), slice(None))


@given(st.tuples(st.integers(33, 200), st.integers(33, 200)), st.integers(1, 100))
def test_tiles_smaller_than_their_halo_are_refused_with_a_side_that_works(size, side):
    if side >= max(size):
        return
    try:
        tiling(size, side, GEOMETRY)
    except UsageError as error:
        assert side < 9
        line = str(error)
        assert f"--tile {side} is smaller than the halo of 9 pixels" in line and "\n" not in line
        tiling(size, int(line.split("use --tile ")[1].split()[0]), GEOMETRY)
    else:
        assert side >= 9


@pytest.mark.parametrize("wraps, what", [(False, "be painted in tiles"), (True, "be tileable")])
def test_a_tap_that_sees_everything_is_refused(wraps, what):
    geometry = GEOMETRY | {"attention": TapGeometry(0, 0, 0, everywhere=True)}
    with pytest.raises(UsageError, match=f"^attention sees the whole picture .*{what}.*--taps$"):
        tiling((128, 128), 64, geometry, wraps=wraps)
    if not wraps:
        assert len(tiling((128, 128), None, geometry).tiles) == 1


@pytest.mark.parametrize("size, near", [((62, 64), "64×64"), ((64, 61), "64×64"), ((30, 101), "104×32")])
def test_a_tileable_picture_whose_size_no_stride_divides_is_refused_with_one_that_does(size, near):
    with pytest.raises(UsageError, match=f"multiples of 4 .* use --size {near}$") as caught:
        tiling(size, 32, GEOMETRY, wraps=True)
    assert "\n" not in str(caught.value)
    width, height = map(int, near.split("×"))
    tiling((height, width), 32, GEOMETRY, wraps=True)
    tiling(size, 32, GEOMETRY)
