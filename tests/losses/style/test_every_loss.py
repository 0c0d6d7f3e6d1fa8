"""What every style loss keeps to: exact gradients, sums that add up, zero for the painting itself, bounded memory."""

import typing

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.losses.statistics import add
from impasto.losses.style import STYLE_LOSSES, StyleLossName, mmd, patches, soft_histogram

EVERY_LOSS = pytest.mark.parametrize("name", sorted(STYLE_LOSSES))

# Steps of finite differences for losses whose gradient jumps, at a histogram's nodes or where a match changes.
STEPS = {"histogram": 1e-6, "sliced": 1e-6, "mrf": 1e-6}


def step_of(name: str) -> float:
    return STEPS.get(name, 1e-3)


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key in one:
        torch.testing.assert_close(one[key], other[key], rtol=1e-9, atol=1e-10)


def test_the_type_names_every_loss():
    assert typing.get_args(StyleLossName) == tuple(STYLE_LOSSES)


@EVERY_LOSS
def test_the_distance_of_a_map_from_itself_is_zero_and_from_others_is_not(name, features, sketch_of, distance):
    x, y, loss = features(0), features(1), STYLE_LOSSES[name]
    assert abs(float(distance(name, x, x))) < 1e-12
    size = loss.size(loss.target(loss.statistic(sketch_of(y)).sums(y, None)))
    assert size > 0 and float(distance(name, x, y)) > 0.02 * size


@EVERY_LOSS
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_no_distance_is_negative(name, features, distance, seed):
    assert float(distance(name, features(seed), features(seed + 1))) >= 0
    assert float(distance(name, 0.999 * features(seed), features(seed))) >= -1e-12


@EVERY_LOSS
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("seed", [2, 4, 100])
def test_gradients_agree_with_finite_differences(
    name, seed, masked, features, distance, gradient, finite_differences, relative_error
):
    x, y = features(seed), features(seed + 1)
    mask = rand(1, 1, 5, 6) if masked else None
    wanted = finite_differences(lambda at: distance(name, at, y, mask), x, step_of(name))
    assert relative_error(gradient(name, x, y, mask), wanted) <= 1e-6


@EVERY_LOSS
def test_the_gradient_in_two_passes_over_float64_sums_is_the_gradient(
    name, features, sketch_of, gradient, relative_error
):
    x, y, loss = features(30).float().requires_grad_(True), features(31).float(), STYLE_LOSSES[name]
    statistic = loss.statistic(sketch_of(y))
    sums = statistic.sums(x, None)
    leaves = {key: value.detach().double().requires_grad_(True) for key, value in sums.items()}
    target = loss.target({key: value.double() for key, value in statistic.sums(y, None).items()})
    value = loss.distance(leaves, target)
    assert value.dtype == torch.float64 and value.shape == ()
    slopes = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    pairs = [(sums[k], s.float()) for k, s in zip(leaves, slopes) if s is not None and sums[k].requires_grad]
    (found,) = torch.autograd.grad([a for a, _ in pairs], x, [b for _, b in pairs])
    assert found.dtype == torch.float32
    assert relative_error(found.double(), gradient(name, x.detach().double(), y.double())) < 1e-4


@EVERY_LOSS
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), parts=st.integers(2, 5))
def test_value_and_gradient_from_summed_parts_are_those_of_the_whole(
    name, features, sketch_of, distance, gradient, relative_error, seed, parts
):
    x, y, loss = features(seed), features(seed + 1), STYLE_LOSSES[name]
    shares = torch.softmax(3 * rand(parts, 1, 1, 5, 6, seed=seed), dim=0)
    statistic, split = loss.statistic(sketch_of(y)), x.clone().requires_grad_(True)
    total = statistic.sums(split, shares[0])
    for share in shares[1:]:
        total = add(total, statistic.sums(split, share))
    same(total, statistic.sums(x, None))
    value = loss.distance(total, loss.target(statistic.sums(y, None)))
    torch.testing.assert_close(value, distance(name, x, y), rtol=1e-9, atol=1e-11)
    assert relative_error(torch.autograd.grad(value, split)[0], gradient(name, x, y)) < 1e-8


@EVERY_LOSS
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), row=st.integers(2, 6), column=st.integers(2, 7))
def test_sums_over_tiles_add_up_to_the_whole(name, features, sketch_of, seed, row, column):
    x, mask = features(seed, height=8, width=9), rand(1, 1, 8, 9, seed=seed)
    statistic = STYLE_LOSSES[name].statistic(sketch_of(features(seed + 1)))
    reach = statistic.reach
    total = None
    for top, bottom in ((reach, row), (row, 8 - reach)):
        for left, right in ((reach, column), (column, 9 - reach)):
            window = (..., slice(top - reach, bottom + reach), slice(left - reach, right + reach))
            part = statistic.sums(x[window], mask[window])
            total = part if total is None else add(total, part)
    same(total, statistic.sums(x, mask))


@EVERY_LOSS
def test_positions_outside_a_binary_mask_have_no_say_and_no_gradient(
    name, features, sketch_of, distance, gradient, relative_error
):
    x, y = features(6), features(7)
    reach = STYLE_LOSSES[name].statistic(sketch_of(y)).reach
    mask = torch.zeros(1, 1, 5, 6, dtype=torch.float64)
    mask[..., reach : 5 - reach, reach : 4 - reach] = 1
    inside = x[..., :4]
    torch.testing.assert_close(distance(name, x, y, mask), distance(name, inside, y), rtol=1e-9, atol=1e-11)
    found = gradient(name, x, y, mask)
    assert (found[..., 4:] == 0).all()
    assert relative_error(found[..., :4], gradient(name, inside, y)) < 1e-8


@EVERY_LOSS
def test_a_uniform_mask_changes_nothing(name, features, distance):
    x, y = features(6), features(7)
    half = torch.full((1, 1, 5, 6), 0.5, dtype=torch.float64)
    torch.testing.assert_close(distance(name, x, y, half), distance(name, x, y))


@EVERY_LOSS
def test_memory_layout_does_not_matter(name, features, distance, gradient):
    x, y = features(6), features(7)
    other = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(distance(name, other, y), distance(name, x, y))
    torch.testing.assert_close(gradient(name, other, y), gradient(name, x, y))


@EVERY_LOSS
def test_the_painting_is_held_fixed(name, features, distance):
    y = features(9).requires_grad_(True)
    assert not distance(name, features(10), y).requires_grad


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_have_the_type_of_the_features(name, dtype, features, distance, gradient, relative_error):
    x, y = features(11).to(dtype), features(12).to(dtype)
    assert distance(name, x, y).dtype == dtype and gradient(name, x, y).dtype == dtype
    wanted = gradient(name, x.double(), y.double())
    assert relative_error(gradient(name, x, y).double(), wanted) < (1e-4 if dtype == torch.float32 else 1e-12)


@EVERY_LOSS
def test_a_step_against_the_gradient_goes_down_even_from_a_rank_deficient_map(name, features, distance, gradient):
    x, y = features(0, channels=12, height=3, width=3), features(1, channels=12, height=6, width=6)
    before, slope = distance(name, x, y), gradient(name, x, y)
    assert distance(name, x - 1e-4 * slope / slope.norm(), y) < before


@EVERY_LOSS
@pytest.mark.parametrize("empty", ["picture", "painting", "both"])
def test_dead_maps_have_finite_distances_and_gradients(name, empty, features, distance, gradient):
    x, y = features(0), features(1)
    x = torch.zeros_like(x) if empty != "painting" else x
    y = torch.zeros_like(y) if empty != "picture" else y
    value, slope = distance(name, x, y), gradient(name, x, y)
    assert value.isfinite() and slope.isfinite().all()
    if empty == "both":
        assert abs(float(value)) < 1e-12 and slope.abs().max() < 1e-6


@pytest.mark.parametrize("name", sorted(set(STYLE_LOSSES) - {"wasserstein"}))
def test_a_feature_that_is_no_number_is_seen_in_the_distance(name, features, distance):
    x, y = features(0), features(1)
    x[..., 2, 2] = float("nan")
    assert distance(name, x, y).isnan()


@EVERY_LOSS
def test_nothing_larger_than_the_features_is_kept_for_the_gradient(name, features, sketch_of):
    x = features(0, height=40, width=50).requires_grad_(True)
    statistic = STYLE_LOSSES[name].statistic(sketch_of(features(1)))
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda each: kept.append(each.numel()) or each, lambda each: each):
        statistic.sums(x, None)
    assert kept and max(kept) <= x.numel()


@EVERY_LOSS
def test_doing_a_few_positions_at_a_time_changes_nothing(name, features, distance, gradient, monkeypatch):
    x, y = features(0), features(1)
    value, slope = distance(name, x, y), gradient(name, x, y)
    monkeypatch.setattr(soft_histogram, "VALUES_AT_ONCE", 7 * 64)
    monkeypatch.setattr(mmd, "ANGLES_AT_ONCE", 7 * mmd.FREQUENCIES)
    monkeypatch.setattr(patches, "NUMBERS_AT_ONCE", 7 * 36)
    torch.testing.assert_close(distance(name, x, y), value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient(name, x, y), slope, rtol=1e-12, atol=1e-12)


@EVERY_LOSS
def test_no_loss_depends_on_the_global_generator(name, features, distance):
    x, y = features(0), features(1)
    torch.manual_seed(1)
    once = distance(name, x, y)
    torch.manual_seed(2)
    assert distance(name, x, y) == once


@pytest.mark.parametrize("name", ["gram", "wasserstein", "meanstd", "mmd-linear", "mmd-polynomial"])
def test_the_size_is_the_distance_from_an_empty_picture(name, features, sketch_of, distance):
    y, loss = features(8), STYLE_LOSSES[name]
    target = loss.target(loss.statistic(sketch_of(y)).sums(y, None))
    assert loss.size(target) == pytest.approx(float(distance(name, torch.zeros_like(y), y)), rel=1e-3)


@pytest.mark.parametrize("name", ["histogram", "sliced"])
def test_the_size_is_the_distance_from_an_even_picture(name, features, sketch_of, distance):
    y, loss = features(8), STYLE_LOSSES[name]
    target = loss.target(loss.statistic(sketch_of(y)).sums(y, None))
    even = y.mean(dim=(2, 3), keepdim=True).expand_as(y)
    # a soft histogram spreads a single value over two nodes, 5 % of a deviation apart
    assert loss.size(target) == pytest.approx(float(distance(name, even, y)), rel=0.05)


def test_gram_distance_counted_by_hand(distance):
    # Gram matrices [[1, 2], [2, 4]] and [[1, 0], [0, 0]]
    x = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    y = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    assert float(distance("gram", x, y)) == 2**2 + 2**2 + 4**2


def test_mean_and_deviation_distance_counted_by_hand(distance):
    x = torch.tensor([-1.0, 1.0], dtype=torch.float64).view(1, 1, 1, 2)  # mean 0, deviation 1
    y = torch.tensor([2.0, 8.0], dtype=torch.float64).view(1, 1, 1, 2)  # mean 5, deviation 3
    assert float(distance("meanstd", x, y)) == pytest.approx(25 + 4, rel=1e-6)
