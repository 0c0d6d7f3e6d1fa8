"""Transparent pictures get no halo of what was hidden."""

import torch
from torch import Tensor

from impasto.translation.transparency import enlarged, filled


def disc(size: int = 48, softness: float = 1.5) -> Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    far = ((y - size / 2) ** 2 + (x - size / 2) ** 2).sqrt()
    return ((size / 3 - far) / softness + 0.5).clamp(0, 1)[None, None]


def test_opaque_pictures_are_left_alone() -> None:
    pixels = torch.rand(1, 3, 9, 14)
    assert filled(pixels, torch.ones(1, 1, 9, 14)) is pixels


def test_a_shape_of_one_colour_on_hidden_black_becomes_that_colour_everywhere() -> None:
    alpha = disc()
    pixels = torch.where(alpha > 0, torch.tensor([0.9, 0.5, 0.1]).view(1, 3, 1, 1), 0.0)
    full = filled(pixels, alpha)
    assert (full - torch.tensor([0.9, 0.5, 0.1]).view(1, 3, 1, 1)).abs().max() < 1e-5
    assert float((pixels - full).abs().max()) > 0.5  # there was something to fill


def test_what_is_seen_keeps_its_colour_exactly() -> None:
    alpha = disc(softness=20)
    pixels = torch.rand(1, 3, 48, 48)
    full = filled(pixels, alpha)
    seen = (alpha >= 1 / 16).expand_as(pixels)
    assert (full - pixels)[seen].abs().max() < 1e-6
    assert full.min() >= 0 and full.max() <= 1


def test_what_is_transparent_takes_the_colour_of_what_is_near() -> None:
    alpha = torch.zeros(1, 1, 33, 65)
    alpha[..., :8], alpha[..., -8:] = 1, 1
    pixels = torch.zeros(1, 3, 33, 65)
    pixels[:, 0, :, :8], pixels[:, 2, :, -8:] = 1, 1
    full = filled(pixels, alpha)
    assert full[0, 0, :, 12].min() > 0.75 > 0.25 > full[0, 0, :, 52].max()


def test_a_picture_of_which_nothing_is_seen_works() -> None:
    assert filled(torch.rand(1, 3, 5, 7), torch.zeros(1, 1, 5, 7)).isfinite().all()
    assert filled(torch.rand(1, 3, 1, 1), torch.zeros(1, 1, 1, 1)).shape == (1, 3, 1, 1)


def test_opacity_stays_between_nothing_and_all() -> None:
    alpha = enlarged(disc(softness=0.5), (96, 96))
    assert alpha.shape == (1, 1, 96, 96) and alpha.min() == 0 and alpha.max() == 1
