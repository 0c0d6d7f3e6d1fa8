"""Statistics of feature maps: known values, and sums that add up over any partition of a picture."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.losses.statistics import (
    DIAGONAL_MOMENTS,
    SECOND_MOMENTS,
    add,
    covariance,
    deviation,
    diagonal_moment_sums,
    gram,
    mean,
    second_moment_sums,
)

STATISTICS = pytest.mark.parametrize("statistic", [SECOND_MOMENTS, DIAGONAL_MOMENTS], ids=lambda s: s.name)


def features(seed: int, channels: int = 5, height: int = 6, width: int = 7) -> torch.Tensor:
    """Features in float64, some channels with a mean far from zero."""
    chance = torch.Generator().manual_seed(seed)
    offsets = torch.arange(channels, dtype=torch.float64).view(1, -1, 1, 1)
    return torch.randn(1, channels, height, width, generator=chance, dtype=torch.float64) + offsets


def same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-12, atol=1e-10)


def test_second_moments_of_a_map_counted_by_hand():
    # two channels at two positions: (1, 3) and (2, 5)
    sums = second_moment_sums(torch.tensor([[[[1.0, 2.0]], [[3.0, 5.0]]]]))
    assert sums["count"] == 2
    assert sums["first"].tolist() == [3, 8]
    assert sums["second"].tolist() == [[1 + 4, 3 + 10], [3 + 10, 9 + 25]]
    assert gram(sums).tolist() == [[2.5, 6.5], [6.5, 17]]
    assert mean(sums).tolist() == [1.5, 4]
    assert covariance(sums).tolist() == [[0.25, 0.5], [0.5, 1]]


def test_diagonal_moments_of_a_map_counted_by_hand():
    sums = diagonal_moment_sums(torch.tensor([[[[1.0, 2.0]], [[3.0, 5.0]]]]))
    assert sums["count"] == 2
    assert sums["first"].tolist() == [3, 8]
    assert sums["square"].tolist() == [5, 34]
    torch.testing.assert_close(deviation(sums), torch.tensor([0.5, 1.0]), rtol=1e-6, atol=0)


def test_moments_are_those_of_numpy():
    x = features(0)
    flat = x[0].flatten(1).numpy()
    sums = second_moment_sums(x)
    np.testing.assert_allclose(mean(sums), flat.mean(1), rtol=1e-12)
    np.testing.assert_allclose(covariance(sums), np.cov(flat, bias=True), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gram(sums), flat @ flat.T / flat.shape[1], rtol=1e-12)
    np.testing.assert_allclose(deviation(diagonal_moment_sums(x)), flat.std(1), rtol=1e-7)


def test_the_mean_position_does_not_depend_on_the_size_of_the_picture():
    x = features(1)
    four = x.repeat(1, 1, 2, 2)
    torch.testing.assert_close(gram(second_moment_sums(four)), gram(second_moment_sums(x)))
    torch.testing.assert_close(deviation(diagonal_moment_sums(four)), deviation(diagonal_moment_sums(x)))


@STATISTICS
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), parts=st.integers(1, 6))
def test_sums_over_any_partition_add_up_to_the_whole(statistic, seed, parts):
    x = features(seed)
    owner = torch.randint(0, parts, (1, 1, *x.shape[2:]), generator=torch.Generator().manual_seed(seed + 1))
    pieces = [statistic.sums(x, (owner == part).double()) for part in range(parts)]
    total = pieces[0]
    for piece in pieces[1:]:
        total = add(total, piece)
    same(total, statistic.sums(x, None))


@STATISTICS
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), row=st.integers(1, 5), column=st.integers(1, 6))
def test_sums_over_tiles_add_up_to_the_whole(statistic, seed, row, column):
    x = features(seed)
    tiles = [
        x[..., rows, columns]
        for rows in (slice(None, row), slice(row, None))
        for columns in (slice(None, column), slice(column, None))
    ]
    total = statistic.sums(tiles[0], None)
    for tile in tiles[1:]:
        total = add(total, statistic.sums(tile, None))
    same(total, statistic.sums(x, None))


@STATISTICS
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.95))
def test_a_binary_mask_leaves_only_the_masked_positions(statistic, seed, share):
    x = features(seed)
    inside = torch.rand(x.shape[2:], generator=torch.Generator().manual_seed(seed + 1)) < share
    inside[0, 0] = True
    chosen = x[:, :, inside].unsqueeze(2)  # (1, C, 1, positions)
    same(statistic.sums(x, inside[None, None].double()), statistic.sums(chosen, None))


@STATISTICS
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_soft_masks_that_add_up_to_one_share_the_sums_out(statistic, seed):
    x = features(seed)
    soft = torch.rand((1, 1, *x.shape[2:]), generator=torch.Generator().manual_seed(seed + 1)).double()
    same(add(statistic.sums(x, soft), statistic.sums(x, 1 - soft)), statistic.sums(x, None))


@STATISTICS
def test_where_a_feature_is_does_not_matter(statistic):
    x = features(2)
    order = torch.randperm(42, generator=torch.Generator().manual_seed(0))
    same(statistic.sums(x.flatten(2)[..., order].view_as(x), None), statistic.sums(x, None))


@STATISTICS
def test_memory_layout_does_not_matter(statistic):
    x = features(3)
    same(statistic.sums(x.contiguous(memory_format=torch.channels_last), None), statistic.sums(x, None))


def test_a_uniform_mask_leaves_means_as_they_are():
    x = features(4)
    half = torch.full((1, 1, *x.shape[2:]), 0.5, dtype=torch.float64)
    torch.testing.assert_close(gram(second_moment_sums(x, half)), gram(second_moment_sums(x)))
    assert second_moment_sums(x, half)["count"] == 21


def test_the_deviation_of_a_constant_channel_has_a_finite_gradient():
    x = torch.full((1, 2, 4, 4), 3.0, requires_grad=True)
    spread = deviation(diagonal_moment_sums(x))
    (gradient,) = torch.autograd.grad(spread.sum(), x)
    assert (spread < 0.01).all() and gradient.isfinite().all()
