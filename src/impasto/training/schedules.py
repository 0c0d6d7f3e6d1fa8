"""Schedules: pure functions of the position in training, in [0, 1], that give the multiplier of the peak value.

Position 0 is the first step and 1 the end of the last. A schedule knows neither steps nor optimizers, so that schedules
compose (:func:`phases`) and can be drawn without training anything. The idea is fastai's (``callback/schedule.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

from impasto.errors import UsageError
from impasto.networks.names import nearest
from impasto.training.names import ScheduleName

Schedule = Callable[[float], float]


def constant(value: float = 1.0) -> Schedule:
    """The same all the time.

    >>> constant()(0.3)
    1.0
    """
    return lambda position: value


def linear(start: float = 1.0, end: float = 0.0) -> Schedule:
    """A straight line.

    >>> linear(1, 0.5)(0.5)
    0.75
    """
    return lambda position: (1 - position) * start + position * end


def cosine(start: float = 1.0, end: float = 0.0) -> Schedule:
    """Half a wave, level at both ends: Loshchilov and Hutter (2017), eq. 5.

    >>> [round(cosine(1, 0)(p), 3) for p in (0, 0.25, 0.5, 1)]
    [1.0, 0.854, 0.5, 0.0]
    """

    def wave(position: float) -> float:
        share = (1 + math.cos(math.pi * position)) / 2
        return share * start + (1 - share) * end  # exact at the ends, however far apart they are

    return wave


def exponential(start: float = 1.0, end: float = 0.01) -> Schedule:
    """The same factor at every step, as the learning-rate finder climbs.

    Raises:
        UsageError: An end that is not positive, which no factor reaches.

    >>> [round(exponential(1, 0.01)(p), 3) for p in (0, 0.5, 1)]
    [1.0, 0.1, 0.01]
    """
    if start <= 0 or end <= 0:
        raise UsageError(f"an exponential schedule goes between positive values, not from {start:g} to {end:g}")
    return lambda position: start ** (1 - position) * end**position


def phases(*parts: tuple[float, Schedule]) -> Schedule:
    """Schedules one after the other, each with the fraction of the time that is its own.

    Where two meet, the later one has the word. Each is asked for its own position, from 0 to 1.

    Args:
        parts: (fraction, schedule), the fractions positive and 1 in sum.

    Raises:
        UsageError: They are not.

    >>> down = phases((0.5, constant()), (0.5, linear(1, 0)))
    >>> [down(p) for p in (0, 0.5, 0.75, 1)]
    [1.0, 1.0, 0.5, 0.0]
    """
    fractions = [fraction for fraction, _ in parts]
    if not parts or min(fractions) <= 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise UsageError(f"the fractions of the phases must be positive and 1 in sum, not {fractions}")

    def composed(position: float) -> float:
        start = 0.0
        for fraction, schedule in parts[:-1]:
            if position < start + fraction:
                return schedule((position - start) / fraction)
            start += fraction
        return parts[-1][1](min(1.0, (position - start) / (1 - start)))  # 1 - start: the last one ends at 1 exactly

    return composed


def warm_up(
    low: float = 0.1, jump: float = 1.0, drop: float = 0.1, fractions: tuple[float, float, float] = (0.1, 0.6, 0.3)
) -> Schedule:
    """fast.ai's recipe by hand (part 1): a little at a low rate, the jump to a high one, the drop at the end.

    >>> [warm_up()(p) for p in (0, 0.2, 0.8)]
    [0.1, 1.0, 0.1]
    """
    return phases(*zip(fractions, (constant(low), constant(jump), constant(drop)), strict=True))


def one_cycle(warm: float = 0.25, div: float = 25.0, final_div: float = 1e5) -> Schedule:
    """Smith (2018), 1cycle, in fastai's form: up along a cosine from 1/div, down along another to 1/final_div.

    Args:
        warm: Fraction of the time that goes up; fastai's ``fine_tune`` takes 0.99 for the frozen epoch, 0.3 then.
        div: The peak over the first rate; 5 in ``fine_tune``.
        final_div: The peak over the last rate.

    >>> [round(one_cycle()(p), 5) for p in (0, 0.25, 1)]
    [0.04, 1.0, 1e-05]
    """
    return phases((warm, cosine(1 / div, 1)), (1 - warm, cosine(1, 1 / final_div)))


def one_cycle_momentum(warm: float = 0.25, high: float = 0.95, low: float = 0.85) -> Schedule:
    """The partner of :func:`one_cycle`: the momentum itself (Adam's β₁), low where the rate is high.

    >>> [round(one_cycle_momentum()(p), 5) for p in (0, 0.25, 1)]
    [0.95, 0.85, 0.95]
    """
    return phases((warm, cosine(high, low)), (1 - warm, cosine(low, high)))


SCHEDULES: dict[ScheduleName, Callable[..., Schedule]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "exponential": exponential,
    "warm-up": warm_up,
    "one-cycle": one_cycle,
}

MOMENTA: dict[ScheduleName, Callable[..., Schedule]] = {"one-cycle": one_cycle_momentum}


def by_name(name: ScheduleName, **settings: Any) -> Schedule:
    """The schedule of that name.

    Args:
        name: One of `SCHEDULES`.
        settings: What that function takes.

    Raises:
        UsageError: There is none of that name.

    >>> by_name("linear", end=0.5)(1.0)
    0.5
    """
    if name not in SCHEDULES:
        raise UsageError(f"no schedule {name!r}: there are {nearest(name, get_args(ScheduleName))}")
    return SCHEDULES[name](**settings)
