"""Judging: colours by their colours, blocks by their blocks, and exact pictures without infinity."""

import math

import pytest
import torch
from torch import Tensor

from impasto import networks
from impasto.translation import degrade
from impasto.translation.degrade.gray import luma
from impasto.translation.judging import EXACT, means, scores
from impasto.translation.metrics import feature_distance, psnr, psnr_b, ssim

COLORIZE = degrade.parse("colorize")


@pytest.fixture
def good() -> Tensor:
    """Blobs of soft colours."""
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    return torch.nn.functional.interpolate(coarse, (64, 64), mode="bicubic").clamp(0, 1)


def test_right_colours_are_better_than_none_and_none_than_wrong_ones(good: Tensor) -> None:
    bad = COLORIZE(good, [0])
    wrong = (2 * luma(good) - good).clamp(0, 1)  # the opposite hue
    half = (luma(good) + good) / 2
    found = [scores(bad, one, good, COLORIZE, colours=True) for one in (good, half, bad, wrong)]
    chroma = [one["psnr_chroma"] for one in found]
    assert chroma[0] > chroma[1] + 5 > chroma[2] + 8 > chroma[3] + 10
    assert found[2]["colourfulness"] < 1 < found[1]["colourfulness"] < found[0]["colourfulness"]
    assert psnr(bad, good).item() > 45, "which is what Y alone would say of leaving it gray"


def test_a_colorization_s_luma_does_not_count(good: Tensor) -> None:
    bad = COLORIZE(good, [0])
    one, darker = (scores(bad, made, good, COLORIZE, colours=True) for made in (good, good - 0.15))
    assert darker["psnr_chroma"] == pytest.approx(one["psnr_chroma"], abs=0.5)


def test_blocks_are_told_where_jpeg_left_them_at_the_same_size(good: Tensor) -> None:
    for text, blocks in (
        ("jpeg:10", True),
        ("one-of(noise | jpeg:10)", True),
        ("noise", False),
        ("down:2 jpeg", False),
    ):
        recipe = degrade.parse(text)
        found = scores(recipe(good, [0]), good * 0.98, good, recipe)
        assert found.keys() == {"psnr", "ssim"} | ({"psnr_b"} if blocks else set()), text
    recipe = degrade.parse("jpeg:5")
    bad = recipe(good, [0])
    found = scores(bad, bad, good, recipe)
    assert found["psnr"] == pytest.approx(psnr(bad, good).item()) and found["ssim"] == pytest.approx(
        ssim(bad, good).item()
    )
    assert found["psnr_b"] == pytest.approx(psnr_b(bad, good, colour="y").item())
    assert found["psnr_b"] < found["psnr"] - 0.1


def test_a_network_says_how_far_it_looks(good: Tensor) -> None:
    pocket = networks.load("pocket")
    noise = degrade.parse("noise:20")
    bad = noise(good, [0])
    found = scores(bad, bad, good, noise, network=pocket)
    assert found["feature_distance"] == pytest.approx(feature_distance(bad, good, pocket).item()) and "psnr" in found


def test_exact_pictures_do_not_make_a_mean_infinite() -> None:
    rows = [{"loss": 0.0, "psnr": math.inf, "psnr_b": 40.0}, {"loss": 0.2, "psnr": 30.0, "psnr_b": math.inf}]
    assert means(rows) == {"loss": pytest.approx(0.1), "psnr": 30.0, "psnr_b": 40.0}
    assert means([{"psnr": math.inf}] * 2) == {"psnr": EXACT}
    assert math.isnan(means([{"psnr": math.nan}, {"psnr": 30.0}])["psnr"]), "a broken network is not hidden"
    assert means([{"loss": math.inf}])["loss"] == math.inf
