"""Parameterisations: how they begin, what they can draw, and that pictures of a batch are alone."""

import math

import pytest
import torch

from impasto.inspection.colour_axes import colour_axes, to_rgb
from impasto.inspection.parameterisation import canvas, pictures, spectrum_scale

KINDS = ("fourier", "pixels", "cppn")
SIZES = ((32, 32), (17, 30), (30, 17), (16, 1), (1, 16))


def test_amplitudes_fall_as_one_over_the_frequency():
    scale = spectrum_scale((8, 12))
    assert scale.shape == (8, 7)
    for row, column in ((0, 3), (2, 0), (3, 5), (5, 1)):
        frequency = math.hypot((row if row <= 4 else row - 8) / 8, column / 12)
        assert scale[row, column] == pytest.approx(1 / frequency, rel=1e-5)
    assert torch.equal(scale[3, :], scale[5, :]), "a frequency and its negative are alike"


def test_the_constant_counts_as_the_lowest_frequency():
    for size in ((64, 64), (16, 40), (40, 16)):
        scale = spectrum_scale(size)
        assert scale[0, 0] == max(size) == scale.max() and scale.isfinite().all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [False, True])
def test_any_size_is_drawn_nearly_gray_at_first(kind, size, alpha):
    drawn = canvas(kind, 2, size, alpha=alpha, seed=3).draw()
    assert drawn.shape == (2, 4 if alpha else 3, *size)
    made = pictures(drawn)
    assert made.shape == drawn.shape and (made - 0.5).abs().max() < 0.1


def test_what_is_drawn_by_a_network_is_exactly_gray_at_first():
    assert torch.equal(pictures(canvas("cppn", 3, (9, 12), alpha=True).draw()), torch.full((3, 4, 9, 12), 0.5))


def test_pixels_and_frequencies_begin_with_noise():
    for kind in ("pixels", "fourier"):
        made = pictures(canvas(kind, 1, (32, 32)).draw())
        assert made.std() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_begins_the_same_whatever_batch_it_is_in(kind):
    """Moved alike, so that a network that draws is not gray either."""

    def moved(count):
        one = canvas(kind, count, (12, 10), alpha=True, seed=5)
        with torch.no_grad():
            for number, parameter in enumerate(one.parameters):
                chance = torch.Generator().manual_seed(number)
                parameter += torch.randn(1, *parameter.shape[1:], generator=chance) * 0.1
        return one.draw()

    alone, together = moved(1), moved(5)
    assert torch.allclose(together, alone.expand_as(together), atol=1e-6)
    assert all(parameter.shape[0] == 5 for parameter in canvas(kind, 5, (12, 10)).parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_how_it_begins(kind):
    one, same, other = (canvas(kind, 1, (12, 10), seed=seed).parameters for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    torch.manual_seed(9)
    before = torch.get_rng_state()
    canvas(kind, 2, (12, 10), seed=2**63 - 1)
    assert torch.equal(torch.get_rng_state(), before), "the world's chance is left alone"


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_moves_none_of_the_others(kind):
    one = canvas(kind, 3, (12, 10), seed=1)
    pictures(one.draw())[1].square().sum().backward()
    moving = [parameter for parameter in one.parameters if parameter.grad is not None and parameter.grad.any()]
    assert moving
    assert not any(parameter.grad[k].any() for parameter in moving for k in (0, 2))


@pytest.mark.parametrize("size", [(12, 10), (11, 7)])
@pytest.mark.parametrize("kind", KINDS)
def test_any_picture_can_be_drawn(kind, size):
    """Noise even, to a few levels; by a network a shape at least."""
    y, x = torch.meshgrid(torch.linspace(0, 1, size[0]), torch.linspace(0, 1, size[1]), indexing="ij")
    wanted = 0.15 + 0.7 * torch.stack([x, y, (x + y) / 2])[None]
    if kind != "cppn":
        wanted = (wanted + 0.1 * torch.rand(wanted.shape, generator=torch.Generator().manual_seed(0))).clamp(0.05, 0.95)
    one = canvas(kind, 1, size)
    optimizer = torch.optim.Adam(one.parameters, lr=0.2 * one.rate)
    for _ in range(200):
        loss = (pictures(one.draw()) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.sqrt() < (0.04 if kind == "cppn" else 0.01)


# Colours


def test_the_longest_colour_axis_has_length_one():
    lengths = colour_axes().norm(dim=0)
    assert lengths.max() == pytest.approx(1) and lengths.argmax() == 0 and (lengths > 0).all()
    assert lengths[0] > lengths[1] > lengths[2], "light and dark vary most in photographs"


def test_colour_axes_are_nearly_at_right_angles():
    axes = colour_axes() / colour_axes().norm(dim=0)
    cosines = (axes.T @ axes - torch.eye(3)).abs()
    assert cosines.max() < 0.3
    assert torch.linalg.matrix_rank(axes) == 3, "every colour can be made"
    assert (axes[:, 0] > 0).all(), "the first is lightness"


def test_components_are_put_along_the_axes():
    components = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    found = to_rgb(components)
    assert torch.allclose(found[1, :, 2, 3], colour_axes() @ components[1, :, 2, 3], atol=1e-6)
    assert to_rgb(components.bfloat16()).dtype == torch.bfloat16


def test_colours_are_decorrelated_only_where_asked_and_alpha_never():
    drawn = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    plain, along = pictures(drawn, decorrelate=False), pictures(drawn)
    assert torch.equal(plain, drawn.sigmoid())
    assert torch.equal(along[:, 3], plain[:, 3]) and not torch.allclose(along[:, :3], plain[:, :3])
    assert torch.allclose(along[:, :3], to_rgb(drawn[:, :3]).sigmoid())
    extreme = pictures(torch.full((1, 3, 2, 2), 1e6))
    assert extreme.isfinite().all() and extreme.min() >= 0 and extreme.max() <= 1
