"""Colours come from the model, luminance from the picture, exactly and at any size."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from impasto.translation.degrade.gray import luma
from impasto.translation.model import TranslationModel
from impasto.translation.recolour import colorize, is_gray, make_gray, with_chroma


class Warm(nn.Module):
    """Red to the left, blue to the right, and a luminance that has nothing of the picture's; it notes what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        across = torch.linspace(1, 0, x.shape[-1]).expand(x.shape[-2:])
        return torch.stack([across, torch.full_like(across, 0.9), 1 - across])[None] * 0.5


def model() -> TranslationModel:
    return TranslationModel("warm", Warm(), "colorize")


@pytest.mark.parametrize("size", [(1, 1), (40, 30), (301, 500)])
def test_luminance_is_kept_exactly_at_any_size(size: tuple[int, int]) -> None:
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    before = pixels.clone()
    out = colorize(model(), pixels, render=64)
    assert out.shape == pixels.shape and out.min() >= 0 and out.max() <= 1
    assert (luma(out) - luma(pixels)).abs().max() < 1e-6
    assert torch.equal(pixels, before)
    if size[1] > 1:
        middle = (luma(pixels) - 0.5).abs() < 0.3
        reds = (out[:, :1] - out[:, 2:])[..., : size[1] // 4][middle[..., : size[1] // 4]]
        assert (reds > 0.05).all()  # and they are colours


def test_the_model_sees_a_gray_picture_no_larger_than_it_is_to_be_rendered() -> None:
    net = model()
    colorize(net, torch.rand(1, 3, 300, 200), render=60)
    (seen,) = net.module.seen
    assert seen.shape == (1, 3, 60, 40) and is_gray(seen)
    net.module.seen.clear()
    for card, side in (({}, 384), ({"render": 48}, 48)):  # what the card says, else 384
        net.module.seen.clear()
        colorize(replace(net, card=card), torch.rand(1, 3, 500, 20))
        assert net.module.seen[0].shape[2] == side
    net.module.seen.clear()
    colorize(net, pixels := torch.rand(1, 3, 30, 20), render=60)
    assert torch.equal(net.module.seen[0][:, :1], luma(pixels))


@pytest.mark.parametrize("brightness", [0.0, 0.02, 0.5, 0.97, 1.0])
def test_colours_that_have_no_room_become_paler_and_keep_their_luma_and_hue(brightness: float) -> None:
    wanted = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    chroma = wanted - luma(wanted)
    out = with_chroma(torch.full((4, 1, 8, 8), brightness), chroma)
    assert out.min() >= 0 and out.max() <= 1 and (luma(out) - brightness).abs().max() < 1e-6
    given, kept = chroma.flatten(2), (out - brightness).flatten(2)
    parallel = (given * kept).sum(1) - given.norm(dim=1) * kept.norm(dim=1)
    assert parallel.abs().max() < 1e-5


def test_gray_is_told_from_nearly_gray_and_made() -> None:
    gray = torch.rand(1, 1, 50, 60).expand(1, 3, 50, 60).clone()
    assert is_gray(gray)
    gray[0, 1, 30, 20] += 1e-3
    assert not is_gray(gray)
    expected = luma(gray)
    make_gray(gray)
    assert is_gray(gray) and (gray[:, :1] - expected).abs().max() < 1e-6
