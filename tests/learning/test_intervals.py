"""Intervals: that they hold the truth as often as they say."""

import math

import numpy as np
import pytest

from impasto.learning.intervals import Interval, bootstrap, group_numbers, paired, proportion, wilson


def test_wilson_has_the_values_of_the_literature() -> None:
    # Newcombe (1998), table I, method 3: 81/263 and 15/148
    assert wilson(81, 263)[1:] == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148)[1:] == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20)[1:] == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_wilson_of_no_rows_says_nothing() -> None:
    found = wilson(0, 0)
    assert math.isnan(found.value) and found[1:] == (0.0, 1.0)


@pytest.mark.parametrize("n", [1, 3, 17])
def test_wilson_never_leaves_zero_to_one_and_holds_its_value(n: int) -> None:
    for successes in range(n + 1):
        value, low, high = wilson(successes, n)
        assert 0 <= low <= value <= high <= 1


def test_the_bootstrap_of_the_mean_has_the_width_of_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, 900)
    value, low, high = bootstrap(values)
    assert value == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 30, rel=0.07)


def test_the_slow_way_of_any_statistic_agrees_with_the_fast_mean() -> None:
    values = np.random.default_rng(0).random((60, 3))
    groups = [f"g{i % 11}" for i in range(60)]
    for how in ({}, {"groups": groups}):
        fast = bootstrap(values, resamples=300, **how)
        slow = bootstrap(values, resamples=300, statistic=lambda rows: float(rows.mean()), **how)
        assert slow == pytest.approx(fast, abs=1e-12)


def test_rows_that_are_alike_in_groups_make_the_interval_wider() -> None:
    rng = np.random.default_rng(1)
    levels = rng.random(20)
    groups = np.repeat([f"driver {i}" for i in range(20)], 50)
    hits = rng.random(1000) < np.repeat(levels, 50)
    plain, grouped = bootstrap(hits), bootstrap(hits, groups=groups)
    assert grouped.value == plain.value
    assert grouped.high - grouped.low > 3 * (plain.high - plain.low)


def test_a_group_of_one_row_each_is_no_grouping() -> None:
    values = np.random.default_rng(2).random(50)
    assert bootstrap(values, groups=range(50)) == pytest.approx(bootstrap(values))
    assert bootstrap(values, groups=[None] * 50) == pytest.approx(bootstrap(values))


@pytest.mark.parametrize(("grouped", "least"), [(False, 0.92), (True, 0.88)])
def test_intervals_hold_the_true_value_about_as_often_as_they_say(grouped: bool, least: float) -> None:
    rng = np.random.default_rng(3)
    held = 0
    for trial in range(200):
        chances = np.repeat(rng.beta(4, 2, 25), 12) if grouped else np.full(300, 2 / 3)
        hits = rng.random(300) < chances
        groups = [str(i // 12) for i in range(300)] if grouped else None
        _, low, high = bootstrap(hits, groups=groups, resamples=400, seed=trial)
        held += low <= 2 / 3 <= high
    assert least <= held / 200 <= 0.99


def test_pairs_show_a_difference_that_two_separate_intervals_hide() -> None:
    rng = np.random.default_rng(4)
    hardness = rng.random(400)
    second = hardness < 0.80
    first = hardness < 0.83
    assert bootstrap(first).low < bootstrap(second).high  # they overlap
    assert paired(first, second).low > 0
    assert paired(second, first).high < 0
    assert paired(first, first) == (0, 0, 0)


def test_pairs_are_of_the_same_rows() -> None:
    with pytest.raises(ValueError, match="same pictures"):
        paired([1, 0], [1])


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(5).random(40)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3) != bootstrap(values, seed=4)


def test_nothing_is_said_of_no_rows_and_of_a_single_group() -> None:
    assert all(math.isnan(one) for one in bootstrap([]))
    value, low, high = bootstrap([0, 1], groups=["a", "a"])
    assert value == 0.5 and math.isnan(low) and math.isnan(high)
    assert Interval(value, low, high).percent() == "50.0 %"


def test_a_proportion_of_all_hits_is_not_said_to_be_certain() -> None:
    hits = np.ones(100, dtype=bool)
    assert proportion(hits) == wilson(100, 100)
    groups = [f"driver {i % 5}" for i in range(100)]
    assert proportion(hits, groups) == wilson(5, 5)  # five drivers, not a hundred pictures
    assert proportion(hits, ["one"] * 100) == wilson(100, 100)  # for more pictures of the same driver
    assert proportion(hits[:0], []) == pytest.approx(wilson(0, 0), nan_ok=True)


def test_groups_are_numbered_in_the_order_of_their_first_rows() -> None:
    assert group_numbers(["z", "a", "z", None, None]).tolist() == [0, 1, 0, 2, 3]


def test_a_hundred_thousand_rows_take_little_memory_at_a_time() -> None:
    value, low, high = bootstrap(np.arange(100_000) % 2, resamples=50)
    assert low < value == 0.5 < high
