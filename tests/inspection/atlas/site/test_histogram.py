"""A histogram's drawing: bars where there are positions, and an axis that says from where to where."""

from __future__ import annotations

import math

import pytest

from impasto.inspection.atlas.site.histogram import HEIGHT, WIDTH, histogram


def test_the_largest_count_is_as_high_as_the_drawing_and_an_empty_bin_has_no_bar() -> None:
    drawn = histogram((0, 1, 2, 3), (99, 0, 9))
    assert drawn is not None
    assert drawn.bars.count("M") == 2
    assert drawn.bars.startswith(f"M0 {HEIGHT}V0H")
    # log10(1 + 9) is half of log10(1 + 99)
    assert f"V{HEIGHT / 2:g}H" in drawn.bars


def test_the_axis_says_both_ends_and_zero_between_them() -> None:
    drawn = histogram((-2, 0, 2), (1, 1))
    assert drawn is not None
    assert drawn.along == ((0, "−2"), (WIDTH / 2, "0"), (WIDTH, "2"))
    assert drawn.zero == WIDTH / 2


def test_a_bin_that_is_wider_is_as_high_as_usual_ones_in_its_place() -> None:
    drawn = histogram((0, 1, 2, 6), (9, 99, 36))
    assert drawn is not None
    first, _, last = drawn.bars.split("Z")[:3]
    assert first.split("V")[1].split("H")[0] == last.split("V")[1].split("H")[0]


def test_counts_are_marked_at_powers_of_ten() -> None:
    drawn = histogram((0, 1), (150_000,))
    assert drawn is not None
    assert [text for _, text in drawn.up] == ["1", "100", "10,000"]


@pytest.mark.parametrize(
    ("edges", "counts"),
    [
        ((), ()),
        ((0, 2, 1), (3, 3)),
        ((0, 0), (5,)),
        ((0, 1), (0,)),
        ((0, math.nan), (3,)),
        ((0, math.inf), (3,)),
        ((0, 1, 2), (3,)),
    ],
)
def test_what_cannot_be_drawn_is_not(edges: tuple[float, ...], counts: tuple[int, ...]) -> None:
    assert histogram(edges, counts) is None
