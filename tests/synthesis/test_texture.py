"""Texture synthesis: any size, from noise, and tiles whose opposite borders fit together."""

from pathlib import Path

import pytest
import torch

import impasto
from impasto import networks
from impasto.errors import UsageError
from impasto.images import Picture, read, write
from impasto.images.resize import resize
from impasto.losses.statistics import gram, second_moment_sums
from impasto.networks import Taps
from impasto.synthesis.options import TextureOptions
from impasto.synthesis.rerun import rerun
from impasto.synthesis.texture import texture

PAINTINGS = Path(impasto.__file__).parent / "assets" / "paintings"


@pytest.fixture(scope="module")
def style(tmp_path_factory) -> Path:
    """A piece of a painting, 96 × 80."""
    path = tmp_path_factory.mktemp("inputs") / "style.png"
    piece = read(PAINTINGS / "brushstrokes.jpg").pixels[..., 100:340, 100:388]
    write(path, Picture(resize(piece, (80, 96)).clamp(0, 1)))
    return path


@pytest.fixture(scope="module")
def tile(style) -> torch.Tensor:
    return texture(style, size="64x64", tileable=True, quality="draft").tensor


def refused(*styles, **options) -> str:
    with pytest.raises(UsageError) as caught:
        texture(*styles, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def seam(picture: torch.Tensor) -> float:
    """Mean difference of neighbours across the wrapped borders, relative to that of neighbours inside."""
    ratios = []
    for axis in (2, 3):
        steps = (picture - picture.roll(1, axis)).abs()
        across, inside = steps.narrow(axis, 0, 1), steps.narrow(axis, 1, picture.shape[axis] - 1)
        ratios.append(float(across.mean() / inside.mean()))
    return max(ratios)


@pytest.mark.parametrize("size", ["33x50", "100×40", "64x64", "200x32"])
def test_the_size_is_exact_in_any_proportions(style, size):
    width, height = map(int, size.replace("×", "x").split("x"))
    result = texture(style, size=size, steps=2).tensor
    assert result.shape == (1, 3, height, width)
    assert result.min() >= 0 and result.max() <= 1


def test_the_texture_has_the_styles_statistics(style):
    start = texture(style, size="96x80", steps=1, scales=1).tensor
    result = texture(style, size="96x80", quality="draft")
    assert result.losses["style"] < 0.05
    taps = Taps(networks.load("pocket"), ["relu1_1", "relu2_1", "relu3_1"])
    with torch.no_grad():
        wanted, before, after = (
            [gram(second_moment_sums(features)) for features in taps(pixels).values()]
            for pixels in (read(style).pixels, start, result.tensor)
        )
    for one, other, painting in zip(before, after, wanted, strict=True):
        assert (other - painting).square().sum() < 0.5 * (one - painting).square().sum()


@pytest.mark.parametrize("loss", ["meanstd", "wasserstein", "histogram", "sliced", ("gram", "histogram")], ids=str)
def test_any_loss_makes_a_texture(style, loss):
    result = texture(style, size="64x48", loss=loss, steps=15, scales=1)
    totals = [step["style"] for step in result.history]
    assert totals[-1] < 0.5 * totals[0] or totals[-1] < 0.1


def test_a_tileable_texture_shows_no_seam(style, tile):
    plain = texture(style, size="64x64", quality="draft").tensor
    assert seam(tile) <= 1.3 < seam(plain)
    assert seam(tile.roll((32, 32), (2, 3))) <= 1.3


def test_a_tileable_texture_has_none_at_several_scales_either(style):
    result = texture(style, size="208x192", tileable=True, steps=4, taps=("relu1_1", "relu2_1"))
    assert len({step["stage"] for step in result.history}) > 1
    assert seam(result.tensor) <= 1.3


def test_tileable_means_the_same_in_tiles(style):
    options = {"size": "96x64", "tileable": True, "scales": 1, "steps": 3}
    whole, tiled = (texture(style, tile=tile, **options).tensor for tile in (None, 32))
    torch.testing.assert_close(tiled, whole, atol=1e-3, rtol=0)


def test_a_tileable_texture_may_be_shifted(style):
    """On a torus no place is special: the same noise, shifted by whole strides, becomes the same texture, shifted."""
    from impasto.synthesis.engine import Descent, Walk
    from impasto.synthesis.painting import layout_of
    from impasto.synthesis.texture import prepare

    options = TextureOptions(size="64x48", tileable=True, steps=3, scales=1)
    craft = prepare([style], options)
    start = craft.start(0, None)
    objective = craft.objective(0, layout_of(craft, 0))
    made = []
    for shift in ((0, 0), (16, 32)):
        descent = Descent.begin(objective, start.roll(shift, (2, 3)), Walk(3))
        for _ in descent:
            pass
        made.append(descent.image.roll([-s for s in shift], (2, 3)))
    torch.testing.assert_close(made[1], made[0], atol=1e-3, rtol=0)


def test_several_styles_are_mixed(style):
    other = Picture(resize(read(PAINTINGS / "marbling.jpg").pixels, (80, 96)).clamp(0, 1))
    options = {"size": "48x48", "steps": 5}
    mixed, first, nearly = (
        texture(styles, **weights, **options).tensor
        for styles, weights in (([style, other], {}), (style, {}), ([style, other], {"style_weights": (1, 1e-9)}))
    )
    assert (nearly - first).abs().mean() < 0.25 * (mixed - first).abs().mean()


def test_the_seed_and_the_start_matter(style):
    options = {"size": "48x48", "steps": 3}
    one, same, other, median = (
        texture(style, **changes, **options).tensor for changes in ({}, {}, {"seed": 1}, {"init": "median"})
    )
    assert torch.equal(one, same) and not torch.equal(one, other) and not torch.equal(one, median)


def test_the_stroke_is_the_scale_of_the_style(style):
    small, large = (texture(style, size="64x64", stroke=stroke, steps=20).tensor for stroke in (0.5, 2))
    detail = [float((t - resize(resize(t, (16, 16)), (64, 64))).abs().mean()) for t in (small, large)]
    assert detail[0] > 1.2 * detail[1]


def test_an_interrupt_gives_the_texture_so_far_at_full_size(style):
    def interrupt(event) -> None:
        if event.step == 2:
            raise KeyboardInterrupt

    result = texture(style, size="208x192", tileable=True, steps=4, progress=interrupt)
    assert result.tensor.shape == (1, 3, 192, 208) and result.recipe.finished is False
    assert seam(result.tensor) <= 1.3, "what is enlarged wraps too"


@pytest.mark.parametrize("options", [{"tileable": True, "size": "64x48"}, {"size": "50x40", "loss": "sliced"}], ids=str)
def test_a_texture_can_be_made_again(style, tmp_path, options):
    out = texture(style, steps=4, **options).save(tmp_path / "out.png")
    assert rerun(out)[1].identical


@pytest.mark.parametrize("size", ["1024", "20x64", "64x20", "x64", "64x", "64x64x64", "many", "-64x64", "1e3x64"])
def test_a_bad_size_is_named(style, size):
    message = refused(style, size=size)
    assert message == f"size is {size!r}: it must be WIDTHxHEIGHT, each 32 or more, like 1024x768"


def test_a_tileable_size_that_no_stride_divides_is_refused_with_one_that_will_do(style):
    assert "--size 72×64" in refused(style, size="70x64", tileable=True)
    assert texture(style, size="72x64", tileable=True, steps=1).tensor.shape == (1, 3, 64, 72)


def test_what_cannot_be_done_is_said(style, tmp_path):
    assert "no style" in refused([])
    assert "2 style weights for 1 style" in refused(style, style_weights=(1, 2))
    assert "relu9_9" in refused(style, taps="relu9_9")
    assert "none.png" in refused(tmp_path / "none.png")
    assert "'strength'" in refused(style, strength=0.5)
    assert "halo" in refused(style, size="96x96", taps="relu4_1", tile=16)


def test_options_as_a_model_and_as_keywords_agree(style):
    fields = {"size": "48x48", "steps": 2, "loss": "meanstd"}
    one, other = texture(style, **fields), texture(style, options=TextureOptions(**fields))
    assert torch.equal(one.tensor, other.tensor) and one.recipe == other.recipe
    assert one.recipe.verb == "texture" and [i.role for i in one.recipe.inputs] == ["style"]


def test_the_verb_is_on_the_packages_face():
    assert impasto.texture is texture
