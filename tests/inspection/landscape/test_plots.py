"""Drawings: PNG files of lines and of planes, whatever the values are."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from impasto.inspection.landscape.chart import Chart, Way
from impasto.inspection.landscape.plots import draw, wide
from impasto.inspection.landscape.surface import Grid


def chart(height: Callable[[np.ndarray, np.ndarray], np.ndarray], *, flat: bool = False, way: bool = False) -> Chart:
    spans = [(-1.0, 1.0)] if flat else [(-1.0, 1.0), (-1.0, 1.0)]
    grid = Grid.even(9, *spans)
    values = height(grid.x, grid.y[:, None])
    points = np.linspace(0.8, 0, 4)[:, None].repeat(1 if flat else 2, 1)
    walked = Way(points, np.array([0.5, 0.9, 1, 1]), 0.9, np.array([2.0, 1, 0.5, 0.1]), ("a", "b", "c", "d"))
    names = ("along", "across")[: 1 if flat else 2]
    return Chart("a $ b", grid, {"loss": values, "accuracy": np.exp(-values)}, names, walked if way else None)


@pytest.mark.parametrize("way", [False, True])
def test_a_plane_has_contours_and_a_relief(way: bool) -> None:
    found = draw([chart(lambda x, y: 0.1 + x**2 + y**2, way=way), chart(lambda x, y: 3 + x + y, way=way)])
    assert set(found) == {"contours", "relief"}
    for image in found.values():
        with Image.open(io.BytesIO(image)) as opened:
            assert opened.format == "PNG" and opened.width > opened.height > 300


def test_a_line_has_curves() -> None:
    assert set(draw([chart(lambda x, y: x**2 + 0 * y, flat=True, way=True)])) == {"curves"}


def test_losses_over_powers_of_ten_are_drawn_by_their_logarithm() -> None:
    steep = chart(lambda x, y: np.exp(9 * (x + y)))
    assert wide([steep]) and not wide([chart(lambda x, y: 1 + x**2 + y**2)])
    assert set(draw([steep])) == {"contours", "relief"}


def test_what_is_no_number_or_flat_is_drawn_all_the_same() -> None:
    def torn(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = 1.0 + x + 2 * y
        found[0, 0], found[4, 4] = np.nan, np.inf
        return found

    with np.errstate(invalid="ignore"):
        draw([chart(torn)])
    draw([chart(lambda x, y: 0 * x + 0 * y + 2.0)])
