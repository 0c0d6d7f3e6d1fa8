"""Dreams: a picture becomes more of what a network sees in it, at any size, with all that its file had."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from impasto import networks
from impasto.errors import UsageError
from impasto.images import Picture, read, read_recipe
from impasto.inspection.dream import Dream, default_tap, dream, octaves, spans
from impasto.inspection.objectives import Objective, channel, layer, like
from impasto.inspection.options import DreamOptions
from impasto.networks import Network, Taps

QUICK = {"octaves": 2, "steps": 3}


def value(network, wanted, pixels):
    return float(wanted.value(Taps(network, wanted.taps)(pixels)))


# It climbs


@pytest.mark.parametrize("unit", ["layer(relu2_1)", "relu2_1:3", "relu2_1:3 - relu2_1:4"])
def test_the_objective_rises_within_every_octave_and_in_the_end(unit, photo, pocket):
    made = dream(photo, unit, network=pocket, octaves=4, steps=6)
    assert isinstance(made, Dream) and made.finished and made.objective == unit.replace(" - ", " − ")
    assert len(made.values) == 3, "the smallest would be below 32 pixels"
    assert all(last > first for first, last in made.values)
    from impasto.inspection.expression import parse_objectives

    (wanted,) = parse_objectives(unit, pocket)
    assert value(pocket, wanted, made.tensor) > value(pocket, wanted, read(photo).pixels)
    assert made.tensor.shape == (1, 3, 72, 96) and made.tensor.min() >= 0 and made.tensor.max() <= 1


def test_a_class_is_dreamt_of(photo, classifier):
    made = dream(photo, "class:hen", network=classifier, octaves=1, steps=12)
    before, after = (Taps(classifier, ["output"])(one)["output"][0, 3] for one in (read(photo).pixels, made.tensor))
    assert after > before and made.objective == "class(hen)"


def test_one_step_moves_pixels_by_the_strength_on_average(photo, pocket):
    gray = Picture(read(photo).pixels * 0.5 + 0.25)
    for strength in (1.0, 4.0):
        made = dream(gray, network=pocket, octaves=1, steps=1, strength=strength)
        assert (made.tensor - gray.pixels).abs().mean() * 255 == pytest.approx(strength, rel=0.02)


def test_by_default_all_of_a_rather_deep_layer(photo, pocket, classifier):
    assert default_tap(pocket) == pocket.style_taps[-2]
    assert dream(photo, network=pocket, octaves=1, steps=1).objective == f"layer({pocket.style_taps[-2]})"
    one_tap = Network("one", pocket.module, aliases=pocket.aliases, style_taps=("relu1_1",))
    assert default_tap(one_tap) == "relu1_1"
    with pytest.raises(UsageError, match="dumb does not tell which layer to dream with: name one with --unit"):
        dream(photo, network=Network("dumb", pocket.module), **QUICK)


def test_an_objective_of_ones_own(photo, pocket):
    darker = Objective("darkness", ("pixels",), lambda found: -found["pixels"].mean())
    made = dream(photo, darker, network=pocket, **QUICK)
    assert made.tensor.mean() < read(photo).pixels.mean() - 0.01 and made.objective == "darkness"


def test_the_seed_decides(photo, pocket):
    one, same, other = (dream(photo, network=pocket, seed=seed, **QUICK).tensor for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    state = torch.get_rng_state()
    dream(photo, network=pocket, octaves=1, steps=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_gradient_of_nothing_leaves_the_picture_alone(photo, pocket):
    made = dream(photo, 0 * layer("relu1_1"), network=pocket, **QUICK)
    assert torch.allclose(made.tensor, read(photo).pixels, atol=1e-6)


def test_half_precision_dreams_much_the_same(photo, pocket):
    full, half = (
        dream(photo, "layer(relu2_1)", network=pocket, precision=p, **QUICK) for p in ("32-true", "bf16-mixed")
    )
    changes = [(made.tensor - read(photo).pixels).flatten() for made in (full, half)]
    assert torch.cosine_similarity(*changes, dim=0) > 0.9 and half.tensor.dtype == torch.float32


def test_the_network_is_left_as_it_was_and_gradients_may_be_switched_off(photo, pocket):
    before = {name: v.clone() for name, v in pocket.module.state_dict().items()}
    with torch.no_grad():
        made = dream(photo, network=pocket, octaves=1, steps=2)
    assert made.values[0][1] > made.values[0][0]
    assert all(torch.equal(before[name], now) for name, now in pocket.module.state_dict().items())
    assert not any(p.requires_grad for p in pocket.module.parameters())


# Sizes and octaves


def test_octaves_grow_to_the_pictures_own_size():
    assert octaves((280, 140), 3, 1.4) == [(143, 71), (200, 100), (280, 140)]
    assert octaves((100, 100), 1, 2.0) == [(100, 100)]
    assert octaves((64, 64), 20, 2.0) == [(32, 32), (64, 64)]
    assert octaves((40, 20), 3, 1.4) == [(40, 20)], "a picture that is small itself is dreamt at its size"


@pytest.mark.parametrize(("size", "expected"), [(None, (72, 96)), (48, (36, 48)), (160, (120, 160)), (97, (73, 97))])
def test_any_size_can_be_asked_for(size, expected, photo, pocket):
    made = dream(photo, "layer(relu1_1)", network=pocket, size=size, octaves=2, steps=1)
    assert (made.picture.height, made.picture.width) == expected


def test_large_pictures_are_made_smaller_unless_a_size_is_asked_for(tmp_path, pocket):
    Image.new("RGB", (1500, 40), (90, 120, 150)).save(tmp_path / "long.png")
    made = dream(tmp_path / "long.png", "layer(relu1_1)", network=pocket, octaves=1, steps=1)
    assert (made.picture.height, made.picture.width) == (27, 1024)
    whole = dream(tmp_path / "long.png", "layer(relu1_1)", network=pocket, octaves=1, steps=1, size=1500)
    assert (whole.picture.height, whole.picture.width) == (40, 1500)


# Tiles


def test_a_length_is_cut_into_nearly_equal_parts():
    for length in (1, 63, 64, 65, 200, 1000):
        parts = spans(length, 64)
        sizes = [end - start for start, end in parts]
        assert parts[0][0] == 0 and parts[-1][1] == length and max(sizes) <= 64 and max(sizes) - min(sizes) <= 1
        assert all(one[1] == other[0] for one, other in pairwise(parts))


def test_no_tile_is_larger_than_was_asked(tmp_path, pocket):
    seen = []

    def value(found):
        seen.append(tuple(found["pixels"].shape[-2:]))
        return found["relu1_1"].square().mean()

    Image.effect_noise((200, 130), 60).convert("RGB").save(tmp_path / "wide.png")
    wanted = Objective("all", ("pixels", "relu1_1"), value)
    dream(tmp_path / "wide.png", wanted, network=pocket, octaves=1, steps=1, tile=64)
    assert len(seen) == 4 * 3 and all(max(size) <= 64 for size in seen)


def test_one_step_in_tiles_is_nearly_one_step_without(tmp_path, pocket):
    """But for what lies within a receptive field of a border."""
    Image.fromarray(np.random.default_rng(0).integers(60, 190, (128, 128, 3), dtype=np.uint8)).save(tmp_path / "p.png")
    start = read(tmp_path / "p.png").pixels
    options = {"octaves": 1, "steps": 1, "jitter": 0, "strength": 1.0}
    whole = dream(tmp_path / "p.png", "layer(relu1_1)", network=pocket, tile=128, **options)
    tiles = dream(tmp_path / "p.png", "layer(relu1_1)", network=pocket, tile=127, **options)
    changes = [(made.tensor - start).flatten() for made in (whole, tiles)]
    assert torch.cosine_similarity(*changes, dim=0) > 0.97
    assert tiles.values[0][0] == pytest.approx(whole.values[0][0], rel=0.02)


def test_no_seam_is_left_between_tiles(tmp_path, pocket):
    """Differences across a place are no larger in any row or column than in others, as of the whole."""
    y, x = np.mgrid[:192, :192]
    smooth = (120 + 40 * np.sin(x / 23) * np.cos(y / 31))[..., None].repeat(3, -1)
    Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / "smooth.png")

    def steepest(tile):
        made = dream(tmp_path / "smooth.png", "layer(relu3_1)", network=pocket, tile=tile, octaves=1, steps=12)
        change = made.tensor - read(tmp_path / "smooth.png").pixels
        ratios = []
        for axis, other in ((3, 2), (2, 3)):
            steps = change.diff(dim=axis).abs().mean(dim=(0, 1, other))[8:-8]
            ratios.append(float(steps.max() / steps.median()))
        return max(ratios)

    assert steepest(64) < 1.25 * steepest(192)


# What the file had


def test_a_transparent_picture_stays_so(tmp_path, pocket):
    alpha = np.zeros((48, 64), np.uint8)
    alpha[10:30, 20:50] = 200
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(np.dstack([noise, alpha])).save(tmp_path / "a.png")
    made = dream(tmp_path / "a.png", "layer(relu1_1)", network=pocket, **QUICK)
    again = read(made.save(tmp_path / "b.png"))
    assert again.alpha is not None and torch.equal(
        (again.alpha * 255).round().byte(), torch.from_numpy(alpha)[None, None]
    )
    smaller = dream(tmp_path / "a.png", "layer(relu1_1)", network=pocket, size=32, **QUICK)
    assert smaller.picture.alpha is not None and smaller.picture.alpha.shape == (1, 1, 24, 32)
    assert smaller.picture.alpha.min() >= 0 and smaller.picture.alpha.max() <= 1


def test_profile_and_exif_stay(tmp_path, pocket):
    exif = Image.Exif()
    exif[0x010E] = "a meadow"
    exif[0x0112] = 6  # lies on its side
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.effect_noise((64, 40), 60).convert("RGB").save(tmp_path / "a.jpg", exif=exif, icc_profile=profile)
    made = dream(tmp_path / "a.jpg", "layer(relu1_1)", network=pocket, **QUICK)
    assert (made.picture.height, made.picture.width) == (64, 40), "upright"
    for name in ("b.jpg", "b.png"):
        with Image.open(made.save(tmp_path / name)) as again:
            assert again.size == (40, 64) and again.getexif()[0x010E] == "a meadow"
            assert again.getexif().get(0x0112, 1) == 1 and again.info.get("icc_profile")


def test_sixteen_bits_stay_sixteen(tmp_path, pocket):
    import pyvips

    levels = np.random.default_rng(0).integers(20_000, 40_000, (48, 64, 3), dtype=np.uint16)
    pyvips.Image.new_from_array(levels).copy(interpretation="rgb16").write_to_file(str(tmp_path / "a.png"))
    made = dream(tmp_path / "a.png", "layer(relu1_1)", network=pocket, **QUICK)
    assert made.picture.depth == 16
    again = read(made.save(tmp_path / "b.png"))
    assert again.depth == 16 and (again.pixels - made.tensor).abs().max() < 1e-4


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "I;16"])
def test_a_picture_of_any_kind_is_dreamt_in_colour(mode, tmp_path, pocket):
    gray = Image.effect_noise((64, 48), 60)
    name = "a.jpg" if mode == "CMYK" else "a.png"
    if mode == "I;16":
        Image.fromarray(np.asarray(gray).astype(np.uint16) * 200).save(tmp_path / name)
    else:
        (gray.convert("RGB") if mode == "CMYK" else gray).convert(mode).save(tmp_path / name)
    made = dream(tmp_path / name, "relu1_1:3", network=pocket, octaves=1, steps=4, strength=4)
    again = read(made.save(tmp_path / "b.png"))
    assert (again.pixels - made.tensor).abs().max() < 0.01
    assert (again.pixels[:, 0] - again.pixels[:, 2]).abs().max() > 0.02, "colours are kept"


def test_the_recipe_says_what_was_dreamt_of(photo, pocket, tmp_path):
    made = dream(photo, "relu2_1:3", network=pocket, **QUICK)
    recipe = json.loads(read_recipe(made.save(tmp_path / "b.png")) or "")
    assert recipe["verb"] == "dream" and recipe["options"]["objective"] == "relu2_1:3"
    assert recipe["options"]["octaves"] == 2 and recipe["networks"] == {"pocket": pocket.sha256}
    assert recipe["inputs"][0]["role"] == "content" and len(recipe["inputs"][0]["sha256"]) == 64
    assert made._repr_png_()[:4] == b"\x89PNG"


def test_a_picture_in_memory_is_dreamt_too(photo, pocket):
    assert torch.equal(
        dream(read(photo), network=pocket, **QUICK).tensor, dream(str(photo), network=pocket, **QUICK).tensor
    )


# Guided


def test_what_appears_is_like_the_guide(photo, tmp_path, pocket):
    x = np.mgrid[:64, :64][1]
    stripes = ((x // 4 % 2) * 200 + 20).astype(np.uint8)[..., None].repeat(3, -1)
    Image.fromarray(stripes).save(tmp_path / "guide.png")
    made = dream(photo, "relu2_1", network=pocket, guide=tmp_path / "guide.png", octaves=1, steps=8)
    assert made.objective == "like(relu2_1)"
    assert made.values[0][1] > made.values[0][0]
    wanted = like(pocket, "relu2_1", read(tmp_path / "guide.png").pixels)
    plain = dream(photo, "layer(relu2_1)", network=pocket, octaves=1, steps=8)
    assert value(pocket, wanted, made.tensor) > value(pocket, wanted, plain.tensor)
    assert [one.role for one in made.recipe.inputs] == ["content", "guide"]
    by_default = dream(photo, network=pocket, guide=tmp_path / "guide.png", octaves=1, steps=1)
    assert by_default.objective == f"like({default_tap(pocket)})"


# Interrupts and progress


def test_progress_is_told_by_octave(photo, pocket):
    told = []
    dream(photo, network=pocket, progress=lambda *what: told.append(what), **QUICK)
    assert [part for part, _ in told] == [pytest.approx(k / 6) for k in range(1, 7)]
    assert told[0][1] == "octave 1 of 2, 69×51" and told[-1][1] == "octave 2 of 2, 96×72"


@pytest.mark.parametrize(("at", "values"), [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1)])
def test_an_interrupt_gives_the_picture_so_far(at, values, photo, pocket, tmp_path):
    calls = [0]

    def stop(part, words):
        calls[0] += 1
        if calls[0] == at:
            raise KeyboardInterrupt

    made = dream(photo, network=pocket, progress=stop, **QUICK)
    assert not made.finished and not made.recipe.finished and len(made.values) == values
    assert made.tensor.shape == (1, 3, 72, 96) and not torch.equal(made.tensor, read(photo).pixels)
    assert read(made.save(tmp_path / "b.png")).width == 96


def test_an_interrupt_before_the_first_step_is_passed_on(photo, pocket):
    def value(found):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dream(photo, Objective("none", ("pixels",), value), network=pocket, **QUICK)


# What goes wrong


@pytest.mark.parametrize(
    ("unit", "fields", "said"),
    [
        ("relu9_1:3", {}, "pocket has no tap 'relu9_1': it has"),
        ("relu2_1:32", {}, "relu2_1 of pocket has no unit 32"),
        ("layer(relu9_1)", {}, "no tap 'relu9_1'"),
        ("class:hen", {}, "pocket is no classifier"),
        ("relu2_1", {}, "'relu2_1' is 32 units: name one, or layer(relu2_1) for all of it at once"),
        ("relu2_1:3-4", {}, "'relu2_1:3-4' is 2 units"),
        (channel("relu2_1", 32), {}, "relu2_1 has no unit 32"),
        (None, {"size": 31}, "size"),
        (None, {"octaves": 0}, "octaves"),
        (None, {"tile": 10}, "tile"),
        (None, {"octave_scale": 1}, "octave_scale"),
        (None, {"network": "pockett"}, "pockett"),
        (None, {"guide": "none.png"}, "none.png"),
        ("relu2_1:3", {"guide": "photo.png"}, "with --guide, name a layer to be guided at"),
        (layer("relu2_1"), {"guide": "photo.png"}, "with --guide, name a layer"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line(unit, fields, said, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    with pytest.raises(UsageError) as caught:
        dream(photo, unit, **(QUICK | fields))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("tap", ["head", "output"])
def test_a_layer_without_places_guides_nothing(tap, photo, classifier):
    with pytest.raises(UsageError, match=f"{tap} of fish has no positions to be guided at"):
        dream(photo, tap, network=classifier, guide=photo, **QUICK)


def test_pictures_that_cannot_be_dreamt_of_are_told(tmp_path, pocket):
    (tmp_path / "no.png").write_bytes(b"no picture")
    Image.new("RGB", (40, 3)).save(tmp_path / "thin.png")
    for name, said in (("no.png", "no.png"), ("gone.png", "gone.png"), ("thin.png", "too small for pocket to relu4_1")):
        with pytest.raises(UsageError, match=said) as caught:
            dream(tmp_path / name, "layer(relu4_1)", network=pocket, **QUICK)
        assert "\n" not in str(caught.value)


def test_options_have_bounds():
    assert DreamOptions().octaves == 4 and DreamOptions(guide="a.png").guide is not None
    with pytest.raises(ValueError):
        DreamOptions(strength=0)


@pytest.mark.realdata
def test_squeezenet_dreams_of_its_layers(shared, photo):
    network = networks.load("squeezenet1_0", weights=shared / "weights" / "squeezenet1_0.safetensors")
    made = dream(photo, "layer(features.7)", network=network, octaves=2, steps=4)
    assert all(last > first for first, last in made.values)
