"""A legend stands below a picture and leaves it as it is."""

import pytest
import torch

from impasto.translation.legend import with_legend

COLOURS = torch.tensor([[1.0, 0, 0], [0, 0.6, 0], [0, 0, 0.2]])


@pytest.mark.parametrize("size", [(1, 1), (30, 500), (900, 1200), (400, 3)])
def test_the_picture_stays_as_it_is_and_every_colour_is_seen(size: tuple[int, int]) -> None:
    picture = torch.rand(1, 3, *size)
    made = with_legend(picture, ["sky", "Straße", "a name of some length"], COLOURS)
    assert torch.equal(made[..., : size[0], : size[1]], picture) and bool((made[..., : size[0], size[1] :] == 1).all())
    below = made[0, :, size[0] :].flatten(1).T
    for colour in COLOURS:
        assert (below - colour).abs().amax(1).lt(0.003).sum() >= 100


def test_names_that_do_not_fit_go_into_further_lines() -> None:
    names = [f"class {number}" for number in range(12)]
    colours = torch.rand(12, 3)
    narrow, broad = (with_legend(torch.rand(1, 3, 20, width), names, colours) for width in (120, 1000))
    assert narrow.shape[-1] == 120 and broad.shape[-1] == 1000
    assert narrow.shape[-2] > 2 * broad.shape[-2]


def test_letters_grow_with_the_picture() -> None:
    small, large = (with_legend(torch.zeros(1, 3, side, side), ["sky"], COLOURS[:1]) for side in (300, 3000))
    assert large.shape[-2] - 3000 > 3 * (small.shape[-2] - 300)
