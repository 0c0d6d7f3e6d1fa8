"""Schedules: pure functions of position that compose."""

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import UsageError
from impasto.training.names import ScheduleName
from impasto.training.schedules import (
    MOMENTA,
    SCHEDULES,
    by_name,
    constant,
    cosine,
    exponential,
    linear,
    one_cycle,
    one_cycle_momentum,
    phases,
    warm_up,
)

POSITIONS = st.floats(0, 1)
VALUES = st.floats(1e-6, 1e3)


@given(VALUES, VALUES, POSITIONS)
@pytest.mark.parametrize("make", [linear, cosine, exponential])
def test_begins_and_ends_where_it_says_and_never_turns_back(make, start, end, position):
    schedule = make(start, end)
    assert schedule(0) == pytest.approx(start)
    assert schedule(1) == pytest.approx(end, abs=1e-12)
    low, high = sorted((start, end))
    assert low * (1 - 1e-9) <= schedule(position) <= high * (1 + 1e-9)
    later = schedule((1 + position) / 2)
    assert (later - schedule(position)) * (end - start) >= -1e-9 * high**2


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.lists(VALUES, min_size=7, max_size=7))
def test_phases_meet_where_their_values_do(weights, values):
    fractions = [weight / sum(weights) for weight in weights]
    whole = phases(*((f, cosine(values[i], values[i + 1])) for i, f in enumerate(fractions)))
    join = 0.0
    for i, fraction in enumerate(fractions):
        assert whole(join) == pytest.approx(values[i], rel=1e-6)
        join += fraction
        if i < len(fractions) - 1:
            assert whole(join - 1e-9) == pytest.approx(whole(join + 1e-9), rel=1e-3, abs=1e-6)
    assert whole(1.0) == pytest.approx(values[len(fractions)], rel=1e-6)


def test_where_phases_meet_the_later_has_the_word():
    steps = phases((0.25, constant(1)), (0.5, constant(2)), (0.25, constant(3)))
    assert [steps(p) for p in (0, 0.2499, 0.25, 0.7499, 0.75, 1)] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("fractions", [(), (0.5,), (0.5, 0.6), (1.5, -0.5), (1.0, 0.0)])
def test_fractions_that_are_not_one_in_sum_are_refused(fractions):
    with pytest.raises(UsageError, match="1 in sum"):
        phases(*((fraction, constant()) for fraction in fractions))


def test_one_cycle_has_fastais_numbers():
    rate, momentum = one_cycle(), one_cycle_momentum()
    assert (rate(0), rate(0.25), rate(1)) == pytest.approx((1 / 25, 1, 1e-5))
    assert rate(0.125) == pytest.approx((1 + 1 / 25) / 2)
    assert (momentum(0), momentum(0.25), momentum(1)) == pytest.approx((0.95, 0.85, 0.95))


@given(st.floats(0.01, 0.99), POSITIONS)
def test_one_cycles_momentum_is_low_where_its_rate_is_high(warm, position):
    rate, momentum = one_cycle(warm)(position), one_cycle_momentum(warm)(position)
    assert 0.85 - 1e-9 <= momentum <= 0.95 + 1e-9
    assert 1e-5 - 1e-12 <= rate <= 1 + 1e-12
    if rate > 0.999:
        assert momentum < 0.851


def test_warm_up_is_low_then_jumps_then_drops():
    assert [warm_up(0.01, 1, 0.2)(p) for p in (0, 0.05, 0.1, 0.69, 0.71, 1)] == [0.01, 0.01, 1, 1, 0.2, 0.2]


def test_every_name_has_a_schedule_that_is_finite_everywhere():
    assert tuple(SCHEDULES) == get_args(ScheduleName)
    assert set(MOMENTA) <= set(SCHEDULES)
    for name in SCHEDULES:
        schedule = by_name(name)
        assert all(math.isfinite(schedule(i / 97)) and 0 <= schedule(i / 97) <= 1 for i in range(98))


def test_settings_reach_the_schedule():
    assert by_name("one-cycle", div=5)(0) == pytest.approx(1 / 5)


def test_a_wrong_name_is_told_the_right_ones():
    with pytest.raises(UsageError, match=r"'onecycle'.*one-cycle"):
        by_name("onecycle")


def test_an_exponential_to_zero_is_refused():
    with pytest.raises(UsageError, match="positive"):
        exponential(1, 0)
