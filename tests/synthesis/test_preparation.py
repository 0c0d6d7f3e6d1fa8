"""Preparation: pictures read, networks loaded, taps chosen, before any work is spent."""

import hashlib

import pytest
import torch

from impasto import networks
from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.preparation import load_networks, read_input, sized, style_size, style_taps
from impasto.synthesis.schedule import schedule

CPU = torch.device("cpu")


def test_a_file_becomes_an_input_with_its_hash(tmp_path):
    path = tmp_path / "photo.png"
    write(path, Picture(torch.rand(1, 3, 20, 30)))
    inputs = []
    assert read_input("content", str(path), inputs).width == 30
    (one,) = inputs
    assert (one.role, one.path, one.size) == ("content", str(path), path.stat().st_size)
    assert one.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_picture_in_memory_has_no_path():
    picture, inputs = Picture(torch.rand(1, 3, 20, 30)), []
    assert read_input("style", picture, inputs) is picture
    assert inputs[0].path == inputs[0].sha256 == ""


@pytest.mark.parametrize("thing", [b"a.png", None, 3], ids=str)
def test_anything_else_is_refused(thing):
    with pytest.raises(UsageError, match=f"the content is a {type(thing).__name__}"):
        read_input("content", thing, [])


def test_a_picture_too_small_is_refused(tmp_path):
    write(tmp_path / "dot.png", Picture(torch.rand(1, 3, 15, 30)))
    with pytest.raises(UsageError, match=r"dot.png is 30×15 pixels: a style needs 16"):
        read_input("style", tmp_path / "dot.png", [])
    with pytest.raises(UsageError, match="the content picture is 30×15"):
        read_input("content", Picture(torch.rand(1, 3, 15, 30)), [])


def networks_for(**options) -> dict[str, networks.Network]:
    checked = StyleTransferOptions(**options)
    named = bool(checked.taps or checked.content_taps)
    return load_networks(schedule((64, 64), checked), checked, CPU, named=named)


def test_the_networks_of_all_stages_are_loaded_with_what_is_exchanged():
    zeros, replicate = networks_for(padding="zeros"), networks_for()
    assert zeros.keys() == replicate.keys() == {"pocket"}
    image, taps = torch.rand(1, 3, 32, 32), ["relu2_1"]
    maps = [networks.Taps(found["pocket"], taps)(image)["relu2_1"] for found in (zeros, replicate)]
    assert torch.equal(maps[0][..., 4:-4, 4:-4], maps[1][..., 4:-4, 4:-4]) and not torch.equal(*maps)
    with pytest.raises(UsageError, match="no max pooling"):
        networks_for(pooling="average")


@pytest.mark.parametrize("named", [{"taps": "relu3_1"}, {"content_taps": "relu3_1"}])
def test_taps_of_a_network_that_is_not_used_are_refused(named):
    with pytest.raises(UsageError, match=r"vgg19's.*--quality draft does not use"):
        networks_for(network="vgg19", quality="draft", **named)


def test_an_unknown_network_is_named_even_where_it_is_not_used():
    with pytest.raises(UsageError, match="vgg91"):
        networks_for(network="vgg91", quality="draft")


def test_the_users_taps_are_those_of_the_network_asked_for():
    pocket = networks.load("pocket")
    assert style_taps(pocket, StyleTransferOptions()) == pocket.style_taps
    assert style_taps(pocket, StyleTransferOptions(taps="relu1_1")) == ("relu1_1",)
    assert style_taps(pocket, StyleTransferOptions(taps="conv9", network="vgg19")) == pocket.style_taps


def test_resampling_is_clipped_and_leaves_a_picture_of_the_size_alone():
    pixels = torch.zeros(1, 3, 32, 32)
    pixels[..., 16:] = 1
    smaller = sized(pixels, (20, 20), CPU)
    assert smaller.shape == (1, 3, 20, 20) and smaller.min() >= 0 and smaller.max() <= 1
    assert sized(pixels, (32, 32), CPU) is pixels


@pytest.mark.parametrize("style", [(100, 100), (50, 200), (3000, 2000)])
def test_a_style_has_the_area_of_the_result_and_its_own_proportions(style):
    height, width = style_size(style, (240, 320), 1.0)
    assert height * width == pytest.approx(240 * 320, rel=0.02)
    assert height / width == pytest.approx(style[0] / style[1], rel=0.02)
    assert style_size(style, (240, 320), 2.0) == pytest.approx((2 * height, 2 * width), abs=2)
    assert min(style_size(style, (16, 16), 0.1)) == 16


def test_strokes_keep_their_size_relative_to_the_picture():
    small, large = style_size((100, 150), (200, 300), 0.7), style_size((100, 150), (2000, 3000), 0.7)
    assert large == pytest.approx([10 * side for side in small], rel=0.01)
