"""Upsampling: MATLAB's bicubic, PixelShuffle that begins without checkerboards, and a blur that keeps the size."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from impasto.images.resample import imresize
from impasto.translation.architectures.upsample import Bicubic, PixelShuffleUp, icnr_

NORMS = [None, weight_norm, spectral_norm]


def pictures(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def repeated(coarse: Tensor, scale: int) -> Tensor:
    return coarse.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


# Bicubic


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_bicubic_is_imresize_of_the_picture_with_its_border_repeated(scale: int) -> None:
    image = pictures(2, 3, 9, 12)
    made = Bicubic(scale)(image)
    assert made.shape == (2, 3, 9 * scale, 12 * scale)
    inside = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    assert (made - imresize(image, scale=scale))[inside].abs().max() < 1e-6
    framed = imresize(F.pad(image, (4, 4, 4, 4), mode="replicate"), scale=scale)
    assert (made - framed[..., 4 * scale : -4 * scale, 4 * scale : -4 * scale]).abs().max() < 1e-6


def test_bicubic_keeps_what_is_even_and_has_no_weights_to_save() -> None:
    for channels in (1, 3, 5):
        even = torch.full((1, channels, 1, 1), 0.3)
        assert (Bicubic(3, channels)(even) - 0.3).abs().max() < 1e-6
    assert not Bicubic(2).state_dict() and not list(Bicubic(2).parameters())
    image = pictures(1, 3, 4, 4)
    assert Bicubic(1)(image) is image


def test_bicubic_is_exact_where_the_rest_computes_in_less() -> None:
    image, enlarge = pictures(1, 3, 8, 8), Bicubic(2)
    with torch.autocast("cpu", torch.bfloat16):
        assert F.conv2d(image, torch.ones(1, 3, 1, 1)).dtype == torch.bfloat16
        made = enlarge(image)
    assert made.dtype == torch.float32 and torch.equal(made, enlarge(image))


def test_bicubic_that_is_cast_is_close() -> None:
    """As `export --half` casts it: white stays white to half a level of 255."""
    image = torch.cat([pictures(1, 3, 8, 8), torch.ones(1, 3, 8, 8)])
    for scale in (2, 3, 4):
        made = Bicubic(scale).half()(image)
        assert made.dtype == torch.float16 and (made.float() - Bicubic(scale)(image)).abs().max() < 0.002


# ICNR


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: norm.__name__ if norm else "plain")
def test_icnr_repeats_pixels_whatever_the_weight_is_derived_from(
    norm: Callable[[nn.Module], nn.Module] | None, training: bool, scale: int
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 4 * scale**2, 3, padding=1)
    if norm:
        norm(conv)
    conv.train(training)
    x = torch.randn(2, 6, 5, 7)
    with torch.no_grad():
        plain = F.pixel_shuffle(conv(x), scale)
        assert not torch.allclose(plain, repeated(plain[..., ::scale, ::scale], scale), atol=0.1)
        icnr_(conv, scale)
        for _ in range(3):  # a forward in training mode may change what a weight is derived from
            made = F.pixel_shuffle(conv(x), scale)
            coarse = made[..., ::scale, ::scale]
            assert torch.allclose(made, repeated(coarse, scale), atol=1e-6)
            assert coarse.std() > 0.1 and (coarse[:, 0] - coarse[:, 1]).abs().max() > 0.1
    assert all(module.training is training for module in conv.modules())
    assert conv.bias is not None and not conv.bias.any()


@pytest.mark.parametrize("norm", [None, weight_norm], ids=["plain", "weight"])
def test_icnr_begins_with_he_s_deviation(norm: Callable[[nn.Module], nn.Module] | None) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 256, 3)
    if norm:
        norm(conv)
    icnr_(conv, 2)
    assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)


@pytest.mark.parametrize("training", [True, False])
def test_icnr_under_spectral_norm_has_the_norm_before_any_step(training: bool) -> None:
    torch.manual_seed(0)
    conv = spectral_norm(nn.Conv2d(16, 32, 3)).train(training)
    icnr_(conv, 2)
    assert float(torch.linalg.matrix_norm(conv.weight.flatten(1), 2)) == pytest.approx(1, abs=0.1)


# PixelShuffle, ReLU, blur


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("blur", [True, False])
def test_a_step_up_keeps_sizes_exact(scale: int, blur: bool) -> None:
    up = PixelShuffleUp(5, 3, scale, blur=blur)
    for height, width in ((1, 1), (1, 4), (3, 2)):
        assert up(torch.randn(2, 5, height, width)).shape == (2, 3, scale * height, scale * width)


def test_the_blur_is_the_mean_of_four_the_first_row_and_column_repeated() -> None:
    sharp, soft = PixelShuffleUp(4, 2, blur=False), PixelShuffleUp(4, 2, blur=True)
    soft.load_state_dict(sharp.state_dict())
    x = torch.randn(1, 4, 3, 5)
    with torch.no_grad():
        framed = F.pad(sharp(x), (1, 0, 1, 0), mode="replicate")
        mean = (framed[..., 1:, 1:] + framed[..., 1:, :-1] + framed[..., :-1, 1:] + framed[..., :-1, :-1]) / 4
        assert (soft(x) - mean).abs().max() < 1e-6
        assert (sharp(x) >= 0).all() and sharp(x).any(), "the ReLU comes before the shuffle"


def test_only_with_icnr_does_an_even_map_stay_even() -> None:
    torch.manual_seed(0)
    even = torch.randn(1, 8, 1, 1).expand(1, 8, 4, 4)
    with torch.no_grad():
        for blur in (True, False):
            assert PixelShuffleUp(8, 6, blur=blur)(even).std((-2, -1)).max() < 1e-6
            assert PixelShuffleUp(8, 6, blur=blur, icnr=False)(even).std((-2, -1)).max() > 0.01 or blur
        assert PixelShuffleUp(8, 6, blur=False, icnr=False)(even).std((-2, -1)).max() > 0.01
