"""Style transfer from Python, on real files, with the embedded network."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import ImageCms

import impasto
from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read, read_recipe, write
from impasto.images.colour import match_colours, match_histograms, to_oklab
from impasto.images.resize import resize
from impasto.losses.statistics import gram, second_moment_sums
from impasto.losses.style import STYLE_LOSSES
from impasto.networks import Taps
from impasto.runs.recipe import parse
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.session import SynthesisResult
from impasto.synthesis.stylize import stylize

PAINTINGS = Path(impasto.__file__).parent / "assets" / "paintings"
QUICK = {"quality": "draft", "steps": 8}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """A photograph of 60 × 40 (hills under a sky, with some grain) and a piece of a real painting of 60 × 40."""
    folder = tmp_path_factory.mktemp("inputs")
    y, x = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 60), indexing="ij")
    hill = (y > 0.55 + 0.15 * torch.sin(9 * x)).float()
    sky = torch.stack([0.45 + 0.2 * y, 0.6 + 0.2 * y, 0.9 - 0.1 * y])
    land = torch.stack([0.25 + 0.1 * x, 0.4 + 0.1 * y, 0.15 + 0 * x])
    grain = 0.05 * torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0))
    write(folder / "photo.png", Picture((hill * land + (1 - hill) * sky + grain)[None].clamp(0, 1)))
    painting = read(PAINTINGS / "woodcut.jpg").pixels[..., 100:340, 100:460]
    write(folder / "painting.png", Picture(resize(painting, (40, 60)).clamp(0, 1)))
    return folder / "photo.png", folder / "painting.png"


@pytest.fixture(scope="module")
def plain(files) -> SynthesisResult:
    """What comes out with nothing but the quality chosen."""
    return stylize(*files, **QUICK)


def refused(*inputs, error=UsageError, **options) -> str:
    with pytest.raises(error) as caught:
        stylize(*inputs, **(QUICK | options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What comes out


def test_the_result_has_the_photographs_size_and_lies_in_range(plain):
    assert plain.tensor.shape == (1, 3, 40, 60) and plain.tensor.dtype == torch.float32
    assert plain.tensor.min() >= 0 and plain.tensor.max() <= 1
    assert plain.picture.pixels is plain.tensor


@pytest.mark.parametrize("size, wanted", [(30, (20, 30)), (48, (32, 48)), (96, (64, 96))])
def test_the_size_is_the_longer_side_in_the_photographs_proportions(files, size, wanted):
    assert stylize(*files, size=size, **QUICK).tensor.shape[2:] == wanted


def test_a_painting_of_any_proportions_will_do(files):
    for shape in ((90, 20), (16, 80)):
        result = stylize(files[0], Picture(torch.rand(1, 3, *shape)), **QUICK)
        assert result.tensor.shape[2:] == (40, 60)


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [("gram", "lbfgs"), ("gram", "adam"), ("wasserstein", "lbfgs"), ("mmd-gaussian", "adam"), ("histogram", "lbfgs")],
)
def test_more_than_half_of_the_way_to_the_style_is_made(files, loss, optimizer):
    result = stylize(*files, loss=loss, optimizer=optimizer, **QUICK)
    assert result.losses["style"] < 0.5
    assert result.losses["total"] < 1


def test_the_result_has_the_paintings_gram_matrices(files, plain):
    taps = Taps(networks.load("pocket"), ["relu1_1", "relu2_1", "relu3_1"])
    with torch.no_grad():
        photo, painting, result = (
            [gram(second_moment_sums(features)) for features in taps(pixels).values()]
            for pixels in (read(files[0]).pixels, read(files[1]).pixels, plain.tensor)
        )
    for before, after, wanted in zip(photo, result, painting, strict=True):
        assert (after - wanted).square().sum() < 0.5 * (before - wanted).square().sum()


def test_more_strength_is_more_style_and_less_content(files):
    photo = read(files[0]).pixels
    results = [stylize(*files, strength=strength, **QUICK) for strength in (0.05, 0.5, 1.0)]
    apart = [float((result.tensor - photo).abs().mean()) for result in results]
    styles = [result.losses["style"] for result in results]
    assert apart == sorted(apart) and styles == sorted(styles, reverse=True)
    assert "content" in results[0].losses and "content" not in results[2].losses


def test_strength_zero_leaves_the_photograph_untouched(files):
    photo = read(files[0]).pixels
    assert torch.equal(stylize(*files, strength=0, **QUICK).tensor, photo)
    enlarged = stylize(*files, strength=0, size=96, **QUICK).tensor
    torch.testing.assert_close(enlarged, resize(photo, (64, 96)).clamp(0, 1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("strength", [1e-3, 1e-12, 1e-200])
def test_almost_no_strength_leaves_it_almost_untouched(files, strength):
    result = stylize(*files, strength=strength, **QUICK)
    assert (result.tensor - read(files[0]).pixels).abs().mean() < 0.02


def test_a_photograph_that_is_its_own_painting_stays_what_it_is(files):
    result = stylize(files[0], files[0], **QUICK)
    assert (result.tensor - read(files[0]).pixels).abs().mean() < 0.02


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_even_pictures_can_be_painted_and_painted_with(files, value):
    flat = Picture(torch.full((1, 3, 32, 32), value))
    for content, style in ((flat, files[1]), (files[0], flat), (flat, flat)):
        assert stylize(content, style, **QUICK).tensor.isfinite().all()


def test_a_picture_of_several_scales_goes_from_coarse_to_fine(files):
    events = []
    result = stylize(*files, size=192, progress=events.append, **QUICK)
    sizes = [tuple(event.image.shape[2:]) for event in events]
    assert result.tensor.shape[2:] == (128, 192) == sizes[-1]
    assert sizes == sorted(sizes) and len(set(sizes)) > 1
    stages = [event.stage for event in events]
    assert stages == sorted(stages) == [step["stage"] for step in result.history]
    assert result.losses["style"] < 0.5


def test_a_strip_as_narrow_as_allowed_is_painted_at_every_scale(files):
    strip = Picture(torch.rand(1, 3, 16, 400, generator=torch.Generator().manual_seed(0)))
    assert stylize(strip, files[1], **QUICK).tensor.shape[2:] == (16, 400)


# Chance


def test_two_runs_are_identical(files, plain):
    again = stylize(*files, **QUICK)
    assert torch.equal(again.tensor, plain.tensor) and again.history == plain.history


@pytest.mark.parametrize("init", ["noise", "median"])
def test_noise_depends_on_the_seed_alone(files, init):
    torch.manual_seed(1)
    one = stylize(*files, init=init, seed=5, **QUICK).tensor
    torch.manual_seed(2)
    assert torch.equal(stylize(*files, init=init, seed=5, **QUICK).tensor, one)
    assert not torch.equal(stylize(*files, init=init, seed=6, **QUICK).tensor, one)


# Inputs


def test_pictures_in_memory_give_the_same_as_their_files(files, plain):
    photo, painting = map(read, files)
    before = photo.pixels.clone(), painting.pixels.clone()
    assert torch.equal(stylize(photo, painting, **QUICK).tensor, plain.tensor)
    assert torch.equal(stylize(str(files[0]), [painting], **QUICK).tensor, plain.tensor)
    assert torch.equal(photo.pixels, before[0]) and torch.equal(painting.pixels, before[1])  # left as they were


def test_the_pixels_may_begin_with_another_picture(files, tmp_path):
    write(tmp_path / "start.png", Picture(torch.rand(1, 3, 30, 30, generator=torch.Generator().manual_seed(0))))
    events = []
    started = stylize(*files, init=str(tmp_path / "start.png"), strength=0.01, progress=events.append, **QUICK)
    assert [one.role for one in started.recipe.inputs] == ["content", "style", "init"]
    assert events[0].losses["content"] > events[-1].losses["content"] > 0


def test_several_paintings_count_by_the_proportion_of_their_weights(files):
    other = Picture(resize(read(PAINTINGS / "marbling.jpg").pixels, (40, 60)).clamp(0, 1))
    styles = [files[1], other]
    even, twice, unsaid, one, nearly = (
        stylize(files[0], given, **options, **QUICK).tensor
        for given, options in (
            (styles, {"style_weights": (1, 1)}),
            (styles, {"style_weights": (2, 2)}),
            (styles, {}),
            (styles[:1], {}),
            (styles, {"style_weights": (1, 1e-9)}),
        )
    )
    assert torch.equal(even, twice) and torch.equal(even, unsaid)
    assert (nearly - one).abs().mean() < 0.25 * (even - one).abs().mean()


@pytest.mark.parametrize("tile", [None, 24])
def test_alpha_depth_and_profile_of_the_photograph_are_kept(files, tmp_path, tile):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read(files[0])
    alpha = torch.linspace(0, 1, 60).expand(1, 1, 40, 60).contiguous()
    write(tmp_path / "deep.png", replace(photo, alpha=alpha, depth=16, icc=profile))
    back = read(stylize(tmp_path / "deep.png", files[1], tile=tile, **QUICK).save(tmp_path / "out.png"))
    assert back.depth == 16 and back.icc == read(tmp_path / "deep.png").icc == profile
    torch.testing.assert_close(back.alpha, alpha, atol=1e-4, rtol=0)
    assert len(back.pixels.mul(65535).round().remainder(257).unique()) > 100  # levels that 8 bits have not
    smaller = stylize(tmp_path / "deep.png", files[1], size=30, **QUICK).picture.alpha
    assert smaller.shape == (1, 1, 20, 30) and smaller[..., 0].max() < 0.1 and smaller[..., -1].min() > 0.9


def test_kept_colours_are_the_photographs(files, plain):
    photo = to_oklab(read(files[0]).pixels)[:, 1:]
    kept = stylize(*files, color="keep", **QUICK).tensor
    assert (to_oklab(kept)[:, 1:] - photo).abs().mean() < 0.3 * (to_oklab(plain.tensor)[:, 1:] - photo).abs().mean()


def test_matched_colours_are_nearer_to_the_photographs_palette(files, plain):
    matched = stylize(*files, color="match", **QUICK).tensor
    photo, with_match, without = (t.mean(dim=(2, 3)) for t in (read(files[0]).pixels, matched, plain.tensor))
    assert (with_match - photo).abs().max() < 0.5 * (without - photo).abs().max()


def test_a_painting_is_recoloured_before_its_style_is_taken(files):
    photo, painting = (read(path).pixels for path in files)
    for color, recolour in (("match", match_colours), ("histogram", match_histograms)):
        result = stylize(*files, color=color, **QUICK).tensor
        assert torch.equal(result, stylize(files[0], Picture(recolour(painting, like=photo)), **QUICK).tensor)


def test_kept_colours_are_exactly_the_photographs_wherever_a_screen_can_show_them(files):
    photo = read(files[0]).pixels
    kept = stylize(*files, color="keep", size=60, **QUICK).tensor
    inside = ((kept > 0.01) & (kept < 0.99)).all(1)[0]
    assert inside.float().mean() > 0.5
    apart = (to_oklab(kept)[0, 1:] - to_oklab(photo)[0, 1:]).abs()[:, inside]
    assert apart.max() < 1e-3


def test_the_styles_colours_come_with_it_unless_told_otherwise(files, plain):
    photo, painting = (read(path).pixels.mean(dim=(2, 3)) for path in files)
    colour = plain.tensor.mean(dim=(2, 3))
    assert (colour - painting).norm() < (colour - photo).norm()


# Several losses


def test_one_loss_may_be_given_as_a_word(files):
    one, same = (stylize(*files, loss=loss, **QUICK) for loss in ("meanstd", ("meanstd",)))
    assert torch.equal(one.tensor, same.tensor) and one.recipe.options == same.recipe.options


def test_losses_are_mixed_by_the_proportion_of_their_weights(files):
    both = ("gram", "histogram")
    even, twice, unsaid, nearly, one = (
        stylize(*files, steps=5, **options).tensor
        for options in (
            {"loss": both, "loss_weights": (1, 1)},
            {"loss": both, "loss_weights": (2, 2)},
            {"loss": both},
            {"loss": both, "loss_weights": (1, 1e-9)},
            {"loss": "gram"},
        )
    )
    assert torch.equal(even, unsaid)
    torch.testing.assert_close(even, twice, atol=1e-4, rtol=0)
    assert (nearly - one).abs().mean() < 0.1 * (even - one).abs().mean()


def test_every_loss_paints(files):
    for loss in STYLE_LOSSES:
        result = stylize(*files, loss=loss, steps=4)
        # patches of activations never agree in four steps, and content weighs more beside them
        assert result.losses["style"] < (0.97 if loss == "mrf" else 0.9) and result.tensor.isfinite().all(), loss


# Style by region


@pytest.fixture(scope="module")
def regions(files, tmp_path_factory) -> dict[str, Path]:
    """A second painting, and masks of the photograph's size: left, right, all, none, and of another size."""
    folder = tmp_path_factory.mktemp("regions")
    other = read(PAINTINGS / "marbling.jpg").pixels[..., 100:340, 100:460]
    write(folder / "other.png", Picture(resize(other, (40, 60)).clamp(0, 1)))
    left = (torch.arange(60) < 30).float().expand(1, 3, 40, 60).contiguous()
    drawn = {"left": left, "right": 1 - left, "all": left * 0 + 1, "none": left * 0, "small": left[..., :39, :]}
    for name, mask in drawn.items():
        write(folder / f"{name}.png", Picture(mask))
    return {name: folder / f"{name}.png" for name in ("other", *drawn)}


def grams(pixels) -> list[torch.Tensor]:
    taps = Taps(networks.load("pocket"), ["relu1_1", "relu2_1"])
    with torch.no_grad():
        return [gram(second_moment_sums(features)) for features in taps(pixels).values()]


def apart(one, other) -> float:
    return sum(float((a - b).square().sum() / b.square().sum()) for a, b in zip(grams(one), grams(other), strict=True))


def test_every_region_takes_its_own_style(files, regions):
    styles = [files[1], regions["other"]]
    result = stylize(files[0], styles, masks=(regions["left"], regions["right"]), strength=1.0).tensor
    swapped = stylize(files[0], styles, masks=(regions["right"], regions["left"]), strength=1.0).tensor
    woodcut, marbling = (read(path).pixels for path in styles)
    for picture, (first, second) in ((result, (woodcut, marbling)), (swapped, (marbling, woodcut))):
        left, right = picture[..., :28], picture[..., 32:]
        assert apart(left, first) < 0.5 * apart(left, second)
        assert apart(right, second) < 0.5 * apart(right, first)


def test_a_style_stays_in_its_region(files, regions):
    result = stylize(*files, masks=regions["left"], strength=1.0, steps=10)
    photo = read(files[0]).pixels
    changed = (result.tensor - photo).abs().mean(dim=(0, 1, 2))
    assert changed[:28].mean() > 5 * changed[40:].mean()
    assert [one.role for one in result.recipe.inputs] == ["content", "style", "mask"]


def test_overlapping_masks_share_the_picture(files, regions):
    styles = [files[1], regions["other"]]
    shared = stylize(files[0], styles, masks=(regions["all"], regions["all"]), steps=4).tensor
    everywhere = stylize(files[0], styles, steps=4).tensor
    torch.testing.assert_close(shared, everywhere, atol=1e-3, rtol=0)


def test_a_style_is_taken_from_where_its_mask_is_white(files, regions, tmp_path):
    two = torch.cat([read(files[1]).pixels, read(regions["other"]).pixels], dim=3)
    write(tmp_path / "two.png", Picture(two))
    for side, (near, far) in {0: (files[1], regions["other"]), 1: (regions["other"], files[1])}.items():
        mask = torch.zeros(1, 3, 40, 120)
        mask[..., 60 * side : 60 * side + 60] = 1
        write(tmp_path / f"mask{side}.png", Picture(mask))
        masks = tmp_path / f"mask{side}.png"
        result = stylize(files[0], tmp_path / "two.png", style_masks=masks, stroke=2**0.5, strength=1.0, **QUICK)
        assert apart(result.tensor, read(near).pixels) < 0.5 * apart(result.tensor, read(far).pixels)
        assert [one.role for one in result.recipe.inputs] == ["content", "style", "style_mask"]


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({"masks": ["small", "left"]}, ["small.png", "60×39", "60×40"]),
        ({"masks": ["left"]}, ["1 --masks", "2 styles"]),
        ({"masks": ["left", "right", "all"]}, ["3 --masks", "2 styles"]),
        ({"masks": ["left", "none"]}, ["none.png", "black"]),
        ({"style_masks": ["all", "small"]}, ["small.png", "60×39", "60×40"]),
        ({"style_masks": ["all"]}, ["1 --style-masks", "2 styles"]),
        ({"style_masks": ["none", "all"]}, ["none.png", "black"]),
    ],
    ids=str,
)
def test_masks_that_do_not_fit_are_named(files, regions, masks, said):
    given = {name: tuple(regions[one] for one in chosen) for name, chosen in masks.items()}
    message = refused(files[0], [files[1], regions["other"]], **given)
    assert all(part in message for part in said), message


@pytest.mark.parametrize("drawn", ["faint", "speck"])
def test_patches_are_taken_through_any_mask(files, tmp_path, drawn):
    painting = Picture(resize(read(PAINTINGS / "woodcut.jpg").pixels, (120, 180)).clamp(0, 1))
    mask = torch.full((1, 3, 120, 180), 0.4) if drawn == "faint" else torch.zeros(1, 3, 120, 180)
    if drawn == "speck":
        mask[..., 61:63, 62:64] = 1
    write(tmp_path / "mask.png", Picture(mask))
    options = {"loss": "mrf", "taps": "relu2_1", "stroke": 3.0, "steps": 2}
    result = stylize(files[0], painting, style_masks=tmp_path / "mask.png", **options)
    assert result.losses["style"] < 1 and result.tensor.isfinite().all()
    if drawn == "faint":
        everywhere = stylize(files[0], painting, **options)
        torch.testing.assert_close(result.tensor, everywhere.tensor, atol=1e-3, rtol=0)


def test_patches_need_a_map_as_large_as_one(files):
    narrow = Picture(torch.rand(1, 3, 16, 60, generator=torch.Generator().manual_seed(0)))
    message = refused(narrow, files[1], loss="mrf", taps="relu4_1")
    assert "60×16 pixels are too few for a patch at relu4_1" in message and "--taps" in message


# Paintings measured before


def test_a_painting_measured_before_gives_the_same_bits(files, plain):
    fitted = {}
    first = stylize(*files, fitted=fitted, **QUICK)
    known = dict(fitted)
    second = stylize(*files, fitted=fitted, **QUICK)
    assert known and fitted.keys() == known.keys()
    assert all(fitted[key] is value for key, value in known.items()), "nothing is measured again"
    for result in (first, second):
        assert torch.equal(result.tensor, plain.tensor) and result.history == plain.history


def test_a_painting_measured_before_is_known_by_what_it_shows(files, tmp_path):
    other, flipped = tmp_path / "other.png", Picture(read(files[1]).pixels.flip(1))
    fitted, options = {}, {"steps": 2, "taps": ("relu1_1",)}
    for picture in (read(files[1]), flipped):
        write(other, picture)  # the same name, and another painting
        expected = stylize(files[0], other, **options).tensor
        assert torch.equal(stylize(files[0], other, fitted=fitted, **options).tensor, expected)
        assert torch.equal(stylize(files[0], picture, fitted=fitted, **options).tensor, expected)
    assert len(fitted) == 2
    before = stylize(files[0], files[1], **options, color="match").tensor
    for photo in (read(files[0]).pixels.flip(1), read(files[0]).pixels):
        last = stylize(Picture(photo), files[1], fitted=fitted, **options, color="match").tensor
    assert torch.equal(last, before), "matched to one photograph, it is another painting for the next"


# Tiles, averages, scales


@pytest.mark.parametrize("loss", ["gram", "wasserstein", "mmd-gaussian", "histogram", "mrf"])
def test_tiles_give_the_picture_that_the_whole_gives(files, loss):
    options = {"size": 80, "scales": 1, "steps": 3, "loss": loss, "taps": ("relu1_1", "relu2_1", "relu3_1")}
    if loss == "mrf":  # every patch is compared with every other one
        options["taps"] = ("relu2_1",)
    whole, tiled = (stylize(*files, tile=tile, **options) for tile in (None, 32))
    apart = (tiled.tensor - whole.tensor).abs()
    # the slope of a histogram jumps from node to node, so that a rounding may send a feature another way
    assert apart.max() < (0.05 if loss == "histogram" else 1e-3) and apart.mean() < 1e-4
    assert tiled.losses == pytest.approx(whole.losses, rel=1e-3)


def test_masks_mean_the_same_in_tiles(files, regions):
    styles, masks = [files[1], regions["other"]], (regions["left"], regions["right"])
    options = {"size": 96, "scales": 1, "steps": 4, "masks": masks, "style_masks": (regions["left"], regions["all"])}
    whole, tiled = (stylize(files[0], styles, tile=tile, **options).tensor for tile in (None, 32))
    torch.testing.assert_close(tiled, whole, atol=1e-3, rtol=0)


def test_the_tiles_are_told(files):
    events = []
    stylize(*files, size=96, scales=1, steps=2, tile=32, progress=events.append)
    assert {event.tile for event in events} == {32}


def test_a_tile_smaller_than_its_halo_is_refused(files):
    message = refused(*files, size=96, taps="relu4_1", tile=16)
    assert "--tile 16" in message and "halo" in message and "--tile 64" in message


def test_taps_of_a_network_that_is_not_used_are_refused(files):
    for name in ("taps", "content_taps"):
        message = refused(*files, network="vgg19", quality="draft", **{name: "relu3_1"})
        assert "vgg19" in message and "draft" in message


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_average_is_that_of_the_pictures_on_the_way(files, optimizer):
    options = {"scales": 1, "steps": 6, "optimizer": optimizer, "strength": 0.8}
    pictures = []
    stylize(*files, progress=lambda event: pictures.append(event.image.clone()), **options)
    mean, weight = torch.zeros_like(pictures[0]), 0.0
    for picture in pictures:
        mean, weight = 0.7 * mean + 0.3 * picture, 0.7 * weight + 0.3
    averaged = stylize(*files, average=0.7, **options)
    torch.testing.assert_close(averaged.tensor, (mean / weight).clamp(0, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("scales", "sizes"), [(1, [(128, 192)]), (2, [(64, 96), (128, 192)])])
def test_the_number_of_scales_can_be_chosen(files, scales, sizes):
    events = []
    stylize(*files, size=192, scales=scales, steps=2, progress=events.append)
    assert [stage.size for stage in events[0].stages] == sizes


def test_a_start_from_filtered_noise_shows_the_style(files):
    result = stylize(*files, init="median", strength=0.9, **QUICK)
    assert result.losses["style"] < 0.3


# Options


def test_options_as_a_model_and_as_keywords_agree(files):
    fields = {"strength": 0.8, "loss": "meanstd", "quality": "draft"}
    as_keywords = stylize(*files, **fields)
    as_model = stylize(*files, options=StyleTransferOptions(**fields))
    assert torch.equal(as_keywords.tensor, as_model.tensor)
    assert as_keywords.recipe.options == as_model.recipe.options == fields | {"loss": ["meanstd"]}


def test_keywords_go_over_the_model(files):
    model = StyleTransferOptions(strength=0.8, loss="meanstd", quality="draft")
    result = stylize(*files, options=model, strength=0.3)
    assert result.recipe.options == {"strength": 0.3, "loss": ["meanstd"], "quality": "draft"}


@pytest.mark.parametrize(
    "options",
    [
        {"taps": ("relu1_1",)},
        {"content_taps": ("relu2_1",)},
        {"padding": "zeros"},
        {"stroke": 0.5},
        {"smoothness": 50.0},
        {"quality": "good", "steps": None},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_option_makes_a_difference(files, plain, options):
    result = stylize(*files, **(QUICK | options))
    assert not torch.equal(result.tensor, plain.tensor) and result.tensor.isfinite().all()


def test_an_unknown_keyword_is_named(files):
    assert "'strenght'" in refused(*files, strenght=0.5)


@pytest.mark.parametrize("options", [{"strength": 2}, {"strength": math.nan}, {"size": 3}, {"loss": "x"}, {"seed": -1}])
def test_a_value_out_of_bounds_is_named(files, options):
    assert next(iter(options)) in refused(*files, **options)


@pytest.mark.parametrize("quality", ["draft", "good", "best"])
def test_an_unknown_network_is_named_at_every_quality(files, quality):
    assert "vgg91" in refused(*files, network="vgg91", quality=quality)


def test_an_unknown_tap_is_named_with_those_there_are(files):
    for option in ("taps", "content_taps"):
        message = refused(*files, **{option: ("relu9_9",)})
        assert "relu9_9" in message and "relu1_1" in message


def test_weights_must_be_as_many_as_paintings(files):
    assert "2 style weights for 1 style" in refused(*files, style_weights=(1, 2))
    assert "2 loss weights for 1 loss" in refused(*files, loss_weights=(1, 2))
    assert "no style" in refused(files[0], [])


def test_a_device_that_is_not_there_is_refused(files):
    missing = "mps" if not torch.backends.mps.is_available() else "cuda"
    assert missing in refused(*files, device=missing)


def test_a_picture_too_large_for_memory_is_refused_with_a_size_that_fits(files):
    message = refused(*files, size=60_000, error=ImpastoError)
    assert "60000×40000" in message and "--size" in message


# Files that will not do


@pytest.mark.parametrize("role", ["content", "style"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (15, 40)])
def test_a_picture_too_small_is_named_with_its_size(files, tmp_path, role, shape):
    path = tmp_path / "tiny.png"
    write(path, Picture(torch.rand(1, 3, *shape)))
    message = refused(*((path, files[1]) if role == "content" else (files[0], path)))
    assert "tiny.png" in message and f"{shape[1]}×{shape[0]}" in message


def test_a_result_too_small_is_refused(files):
    strip = Picture(torch.rand(1, 3, 16, 200))
    assert "100×8" in refused(strip, files[1], size=100)


@pytest.mark.parametrize("role", ["content", "style", "init"])
@pytest.mark.parametrize("what", ["words", "empty", "missing", "folder"])
def test_what_is_no_picture_is_named(files, tmp_path, role, what):
    path = tmp_path / f"{what}.png"
    if what == "folder":
        path.mkdir()
    elif what != "missing":
        path.write_text("words" if what == "words" else "")
    content, style = (path if role == given else file for given, file in zip(("content", "style"), files, strict=True))
    options = {"init": str(path)} if role == "init" else {}
    assert f"{what}.png" in refused(content, style, **options)


@pytest.mark.parametrize("thing", [torch.zeros(1, 3, 32, 32), b"photo.png", 7, None], ids=lambda t: type(t).__name__)
def test_what_is_neither_a_path_nor_a_picture_is_refused(files, thing):
    assert type(thing).__name__ in refused(thing, files[1])
    assert type(thing).__name__ in refused(files[0], [thing])


def test_weights_that_are_none_are_named(files, tmp_path):
    assert "none.safetensors" in refused(*files, weights=tmp_path / "none.safetensors")


# Progress, previews, interrupts


@pytest.mark.parametrize("options", [{}, {"size": 192}, {"strength": 0}, {"quality": "best", "size": 32}], ids=str)
def test_progress_goes_from_zero_to_one(files, options):
    events = []
    result = stylize(*files, progress=events.append, **(QUICK | options))
    done = [event.done for event in events]
    assert done[0] >= 0 and done == sorted(done)
    assert done[-1] == pytest.approx(1)
    assert events[-1].losses == result.losses
    assert len(result.history) == len({(event.stage, event.step) for event in events})
    assert all(isinstance(event.where, str) and "pocket" in event.where for event in events)


def test_a_preview_is_there_while_the_work_goes_on_and_ends_as_the_result(files, tmp_path):
    preview, seen = tmp_path / "preview.png", []
    result = stylize(*files, size=192, preview=preview, progress=lambda event: seen.append(preview.exists()), **QUICK)
    assert seen[1:] and all(seen[1:])
    last = read(preview).pixels
    assert last.shape == result.tensor.shape
    assert (last - result.tensor).abs().max() <= 0.5 / 255 + 1e-6
    assert [path.name for path in tmp_path.iterdir()] == ["preview.png"]


def test_a_preview_in_a_folder_that_is_not_there_is_an_error_in_one_line(files, tmp_path):
    assert "nowhere" in refused(*files, preview=tmp_path / "nowhere" / "p.png", error=ImpastoError)


@pytest.mark.parametrize("init", ["content", "noise"])
@pytest.mark.parametrize("at", [1, 12])
def test_an_interrupt_gives_the_best_picture_so_far_at_full_size(files, tmp_path, init, at):
    events = []

    def interrupt(event) -> None:
        events.append(event)
        if len(events) == at:
            raise KeyboardInterrupt

    result = stylize(*files, size=192, init=init, strength=1.0, progress=interrupt, **QUICK)
    assert len(events) == at and result.tensor.shape[2:] == (128, 192)
    assert result.losses == events[-1].losses
    recipe = parse(read_recipe(result.save(tmp_path / "out.png")), tmp_path / "out.png")
    assert recipe.finished is False
    small = resize(result.tensor, tuple(events[-1].image.shape[2:]))
    assert (small - events[-1].image.clamp(0, 1)).abs().mean() < 0.06  # it is that picture, enlarged
    if init == "noise":  # and nothing of the photograph, from which it did not start, is put in
        enlarged = resize(events[-1].image, (128, 192)).clamp(0, 1)
        torch.testing.assert_close(result.tensor, enlarged, atol=1e-5, rtol=0)


def test_an_interrupt_before_the_first_step_goes_through(files, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Taps, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        stylize(*files, **QUICK)


def test_a_failure_of_the_listener_is_not_hidden(files):
    def broken(event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stylize(*files, progress=broken, **QUICK)


# What is kept


def test_the_saved_picture_carries_its_recipe(files, plain, tmp_path):
    path = plain.save(str(tmp_path / "out.png"))
    recipe = parse(read_recipe(path), path)
    assert recipe == plain.recipe and recipe.verb == "stylize" and recipe.finished
    assert recipe.options == QUICK and recipe.losses == plain.losses
    assert [(one.role, one.path) for one in recipe.inputs] == [
        ("content", str(files[0].resolve())),
        ("style", str(files[1].resolve())),
    ]
    assert recipe.networks.keys() == {"pocket"} and recipe.made_with["impasto"] == impasto.__version__
    torch.testing.assert_close(read(path).pixels, plain.tensor, atol=0.5 / 255 + 1e-6, rtol=0)


def test_the_last_losses_are_the_last_of_the_history(plain):
    assert {"stage": 0, "step": plain.history[-1]["step"]} | plain.losses == plain.history[-1]
    assert plain.losses["total"] == pytest.approx(
        sum(value for name, value in plain.losses.items() if name != "total"), rel=1e-5
    )


def test_a_notebook_shows_the_picture_inline(plain, tmp_path):
    (tmp_path / "inline.png").write_bytes(plain._repr_png_())
    assert read(tmp_path / "inline.png").pixels.shape == plain.tensor.shape


def test_an_unknown_format_is_refused_on_saving(plain, tmp_path):
    with pytest.raises(UsageError):
        plain.save(tmp_path / "out.xyz")
    assert not list(tmp_path.iterdir())


def test_the_verb_is_on_the_packages_face():
    assert impasto.stylize is stylize
