"""Feature inversion: what a layer still knows of a picture."""

import math
from pathlib import Path

import pytest
import torch

import impasto
from impasto import networks
from impasto.errors import UsageError
from impasto.images import Picture, read, write
from impasto.images.resize import resize
from impasto.synthesis.invert import inversion_sheet, invert
from impasto.synthesis.options import InversionOptions
from impasto.synthesis.rerun import rerun

PAINTINGS = Path(impasto.__file__).parent / "assets" / "paintings"


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """A picture of 64 × 48."""
    path = tmp_path_factory.mktemp("inputs") / "image.png"
    piece = read(PAINTINGS / "stained_glass.jpg").pixels[..., 100:340, 100:420]
    write(path, Picture(resize(piece, (48, 64)).clamp(0, 1)))
    return path


def psnr(result, image) -> float:
    return -10 * math.log10(max(1e-20, float((result.tensor - read(image).pixels).square().mean())))


def refused(*images, **options) -> str:
    with pytest.raises(UsageError) as caught:
        invert(*images, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("init", ["noise", "median"])
def test_pixels_give_the_picture_back(image, init):
    assert psnr(invert(image, taps="pixels", init=init), image) > 40


def test_what_a_layer_knows_gets_less_with_its_depth(image):
    depths = [psnr(invert(image, taps=tap, steps=60), image) for tap in ("relu1_1", "relu2_1", "relu3_1", "relu4_1")]
    assert depths == sorted(depths, reverse=True) and depths[0] > depths[2] + 3


@pytest.mark.parametrize("init", ["noise", "median"])
def test_the_activations_are_met(image, init):
    result = invert(image, taps="relu2_2", steps=60, init=init)
    assert result.losses["content"] < 0.05 < result.history[0]["content"]
    assert result.tensor.shape == (1, 3, 48, 64) and result.tensor.min() >= 0 and result.tensor.max() <= 1


def test_several_taps_are_met_together(image):
    result = invert(image, taps=("pixels", "relu3_1"), steps=60)
    assert psnr(result, image) > psnr(invert(image, taps="relu3_1", steps=60), image)


def test_filtered_noise_leaves_less_grain(image):
    grain = {}
    for init in ("noise", "median"):
        picture = invert(image, taps="relu4_1", steps=30, init=init).tensor
        grain[init] = float(picture.diff(dim=3).abs().mean())
    assert grain["median"] < grain["noise"]


@pytest.mark.parametrize("options", [{"optimizer": "adam"}, {"scales": 2}, {"average": 0.5}, {"size": 32}], ids=str)
def test_the_options_of_synthesis_hold(image, options):
    result = invert(image, taps="relu1_1", steps=40, **options)
    assert result.losses["content"] < 0.3
    assert max(result.tensor.shape) == options.get("size", 64)


def test_tiles_mean_the_same(image):
    whole, tiled = (invert(image, taps="relu2_1", steps=4, tile=tile).tensor for tile in (None, 24))
    torch.testing.assert_close(tiled, whole, atol=1e-3, rtol=0)


def test_the_sheet_shows_every_layer_from_both_starts(image):
    relus = [name for name in networks.load("pocket").aliases if name.startswith("relu")]
    rows = inversion_sheet(image, size=32, steps=2)
    cells = [cell for row in rows for cell in row]
    assert len(cells) == 2 * (1 + len(relus)) and max(map(len, rows)) == 5
    labels = [label for label, _ in cells]
    assert len(set(labels)) == len(labels) and labels[0] == "pixels, noise"
    assert all(f"{tap}, {init}" in labels for tap in ("pixels", *relus) for init in ("noise", "median"))
    assert all(picture.shape == (1, 3, 24, 32) for _, picture in cells)


def test_an_interrupt_ends_the_sheet(image):
    taps = 1 + sum(name.startswith("relu") for name in networks.load("pocket").aliases)
    events = []

    def interrupt(event) -> None:
        events.append(event)
        if len(events) == taps + 2:
            raise KeyboardInterrupt

    rows = inversion_sheet(image, size=32, steps=1, progress=interrupt)
    labels = [label for row in rows for label, _ in row]
    assert len(labels) == taps + 2 and len(rows[-1]) == 2
    assert [label for label in labels if "interrupted" in label] == [labels[-1]] == ["relu1_1, median (interrupted)"]


def test_the_sheet_needs_files_of_weights_only_once_named(image, tmp_path):
    with pytest.raises(UsageError, match="none.safetensors"):
        inversion_sheet(image, weights=tmp_path / "none.safetensors")


def test_an_inversion_can_be_made_again(image, tmp_path):
    out = invert(image, taps=("relu1_1", "relu2_1"), steps=4, seed=3).save(tmp_path / "out.png")
    again, difference = rerun(out)
    assert difference.identical and again.recipe.verb == "invert"


def test_an_interrupt_gives_the_picture_so_far(image):
    def interrupt(event) -> None:
        if event.step == 2:
            raise KeyboardInterrupt

    result = invert(image, taps="relu1_1", scales=2, progress=interrupt)
    assert result.tensor.shape == (1, 3, 48, 64) and result.recipe.finished is False


def test_options_as_a_model_and_as_keywords_agree(image):
    fields = {"taps": ("relu1_1",), "steps": 2}
    one, other = invert(image, **fields), invert(image, options=InversionOptions(**fields))
    assert torch.equal(one.tensor, other.tensor) and one.recipe == other.recipe
    assert torch.equal(invert(read(image), **fields).tensor, one.tensor)


def test_what_cannot_be_done_is_said(image, tmp_path):
    assert "relu9_9" in refused(image, taps="relu9_9")
    assert "none.png" in refused(tmp_path / "none.png")
    assert "vgg91" in refused(image, network="vgg91")
    assert "'strength'" in refused(image, strength=0.5)
    assert "halo" in refused(image, taps="relu4_1", tile=16)
    assert "init" in refused(image, init="content")


def test_the_verb_is_on_the_packages_face():
    assert impasto.invert is invert
