"""Enhancing keeps what a file has, does what is asked or says in one line why not, and its recipe makes it again."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import torch
from PIL import Image

from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read, read_recipe, write
from impasto.images.resample import imresize
from impasto.runs.recipe import parse
from impasto.translation import apply as room
from impasto.translation.choice import choose
from impasto.translation.degrade.gray import luma
from impasto.translation.enhance import Enhanced, enhance
from impasto.translation.enhance_options import EnhanceOptions
from impasto.translation.model import load
from impasto.translation.recolour import is_gray
from impasto.translation.rerun import rerun

LIGHT = {"kind": "light", "width": 8, "blocks": 1}

pytestmark = pytest.mark.usefixtures("shipped")


def scene(height: int = 30, width: int = 44) -> torch.Tensor:
    chance = torch.rand(1, 3, height // 2, width // 2, generator=torch.Generator().manual_seed(0))
    return imresize(chance, size=(height, width)).clamp(0, 1)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture of 16 bits with a profile and EXIF."""
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    profile = bytes(pyvips.Image.profile_load("p3"))
    write(tmp_path / "photo.png", Picture(scene(), icc=profile, exif=exif.tobytes()[6:], depth=16))
    return tmp_path / "photo.png"


def test_the_default_enlarges_twice_and_keeps_what_the_file_had(photo: Path, tmp_path: Path) -> None:
    made = enhance(photo)
    assert made.model == "superres-x2" and made.picture.pixels.shape == (1, 3, 60, 88)
    before, after = read(photo), read(made.save(tmp_path / "large.png"))
    assert after.depth == 16 and after.icc == before.icc and b"a camera" in after.exif
    expected = load("superres-x2").module(before.pixels).clamp(0, 1)
    assert (made.picture.pixels - expected).abs().max() < 1e-6
    write(tmp_path / "expected.png", Picture(made.picture.pixels, icc=before.icc, depth=16))
    assert torch.equal(after.pixels, read(tmp_path / "expected.png").pixels)


@pytest.mark.parametrize(
    ("fields", "model", "factor"),
    [
        ({"scale": 4}, "superres-x4", 4),
        ({"task": "superres"}, "superres-x2", 2),
        ({"task": "restore"}, "restore-photo", 1),
        ({"task": "colorize"}, "colorize", 1),
        ({"task": "text"}, "remove-text", 1),
        ({"model": "superres-x4", "outscale": 1.5}, "superres-x4", 1.5),
        ({"task": "restore", "outscale": 3}, "restore-photo", 3),
        ({"model": "remove-text", "task": "restore", "scale": 1}, "remove-text", 1),
    ],
)
def test_the_model_is_chosen_by_what_is_to_be_done(fields: dict[str, Any], model: str, factor: float) -> None:
    made = enhance(Picture(scene()), **fields)
    assert made.model == model
    assert (made.picture.height, made.picture.width) == (30 * factor, 44 * factor)
    assert made.picture.pixels.min() >= 0 and made.picture.pixels.max() <= 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scale": 3}, "no shipped model enlarges 3 times: there are 2 and 4; --scale 4 --outscale 3"),
        ({"model": "superres-x2", "scale": 4}, "superres-x2 enlarges 2 times, not 4: .* --outscale 4"),
        ({"model": "superres-x2", "task": "colorize"}, "a model of superres, not of colorize"),
        ({"model": "superres-x2", "task": "text"}, "a model of superres, not of text"),
        ({"task": "restore", "scale": 2}, "--task restore keeps the size"),
        ({"model": "superres-x3"}, "no model 'superres-x3'"),
        ({"realism": 0.5}, "has no realistic companion"),
        ({"realism": 0.5, "companion": "superres-x4"}, "superres-x4 is no companion of superres-x2"),
        ({"strength": 2}, "strength is 2"),
        ({"colour": 1}, "no option 'colour'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as told:
        enhance(Picture(scene()), **fields)
    assert "\n" not in str(told.value)


def test_a_model_that_labels_is_sent_to_segment(tmp_path: Path, write_model: Callable[..., Path]) -> None:
    path = write_model(tmp_path / "labels.safetensors", {"kind": "unet", "width": 16, "out": 2}, "segment")
    with pytest.raises(UsageError, match="impasto segment"):
        enhance(Picture(scene()), model=str(path))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 1)])
def test_pictures_of_a_pixel_work(size: tuple[int, int]) -> None:
    for fields in (
        {},
        {"task": "restore"},
        {"task": "colorize"},
        {"scale": 4, "outscale": 0.1},
        {"self_ensemble": True},
    ):
        assert enhance(Picture(torch.rand(1, 3, *size)), invented=True, **fields).picture.pixels.isfinite().all()


def test_gray_pictures_stay_gray_unless_they_are_to_be_colorized(tmp_path: Path) -> None:
    Image.fromarray((luma(scene())[0, 0] * 255).byte().numpy()).save(tmp_path / "gray.png")
    for fields in ({}, {"task": "restore"}):
        assert is_gray(enhance(tmp_path / "gray.png", **fields).picture.pixels)
    assert not is_gray(enhance(Picture(scene())).picture.pixels)
    coloured = enhance(tmp_path / "gray.png", task="colorize").picture.pixels
    assert not is_gray(coloured) and (luma(coloured) - luma(read(tmp_path / "gray.png").pixels)).abs().max() < 1e-5


def test_colours_found_at_any_size_leave_the_luminance(photo: Path) -> None:
    before = luma(read(photo).pixels)
    made = [enhance(photo, task="colorize", render=render).picture.pixels for render in (16, 44, 400)]
    assert all((luma(one) - before).abs().max() < 1e-5 for one in made)
    assert not torch.equal(made[0], made[1]) and torch.equal(made[1], made[2])
    half = enhance(photo, task="colorize", strength=0.5).picture.pixels
    assert (half - (made[2] + read(photo).pixels) / 2).abs().max() < 1e-6


def test_saturation_makes_colours_stronger_and_leaves_their_luminance(photo: Path) -> None:
    before = luma(read(photo).pixels)
    chroma = []
    for saturation in (0, 1, 2):
        out = enhance(photo, task="colorize", saturation=saturation).picture.pixels
        assert (luma(out) - before).abs().max() < 1e-5
        chroma.append(out - luma(out))
    assert chroma[0].abs().max() < 1e-5
    room = (before > 0.2) & (before < 0.8)
    ratio = chroma[2].norm(dim=1, keepdim=True)[room].mean() / chroma[1].norm(dim=1, keepdim=True)[room].mean()
    assert 1.8 < float(ratio) < 2.01


@pytest.mark.parametrize("field", ["render", "saturation"])
def test_settings_of_colours_are_refused_where_none_are_found(field: str, photo: Path) -> None:
    with pytest.raises(UsageError, match=f"superres-x2 finds no colours, so --{field} changes nothing: leave it out"):
        enhance(photo, **{field: 2 if field == "saturation" else 64})


def test_cmyk_and_animations_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    array = (scene()[0].permute(1, 2, 0) * 255).byte().numpy()
    Image.fromarray(array).convert("CMYK").save(tmp_path / "cmyk.jpg")
    made = enhance(tmp_path / "cmyk.jpg")
    assert read(made.save(tmp_path / "out.png")).mode == "RGB" and not caplog.records
    frames = [Image.fromarray(np.roll(array, 5 * k, 1)) for k in range(3)]
    for name in ("moving.gif", "moving.webp", "moving.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        caplog.clear()
        with caplog.at_level(logging.WARNING, "impasto"):
            assert enhance(tmp_path / name).picture.width == 88
        assert "is an animation of 3 frames: the first is taken" in caplog.text
    frames[0].save(tmp_path / "still.gif")
    caplog.clear()
    enhance(tmp_path / "still.gif")
    assert not caplog.records


def test_transparent_pictures_get_no_halo_on_any_paper(tmp_path: Path, write_model: Callable[..., Path]) -> None:
    """A white disc, black where it is not seen, enlarged by a network: on white paper nothing of it must be seen."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    alpha = (12.5 - ((y - 20) ** 2 + (x - 20) ** 2).sqrt()).clamp(0, 1)[None, None]
    pixels = (alpha > 0).float().expand(1, 3, 40, 40).clone()
    path = write_model(tmp_path / "m.safetensors", LIGHT | {"scale": 2}, "superres", noise=0)
    made = enhance(Picture(pixels, alpha=alpha), model=str(path)).picture
    assert made.alpha is not None and made.alpha.shape == (1, 1, 80, 80)
    on_white = made.pixels * made.alpha + 1 - made.alpha
    assert (on_white - 1).abs().max() < 5e-3
    naive = load(path).module(pixels).clamp(0, 1)
    assert (naive * made.alpha + 1 - made.alpha - 1).abs().max() > 0.05  # the hidden black would have been seen
    assert (made.alpha - imresize(alpha, scale=2).clamp(0, 1)).abs().max() < 1e-6
    saved = read(Enhanced.save(enhance(Picture(pixels, alpha=alpha)), tmp_path / "disc.png"))
    assert saved.mode == "RGBA"


def test_strength_lets_the_picture_through(photo: Path) -> None:
    full, half, none = (enhance(photo, strength=part).picture.pixels for part in (1, 0.5, 0))
    bicubic = imresize(read(photo).pixels, scale=2).clamp(0, 1)
    assert (none - bicubic)[..., 6:-6, 6:-6].abs().max() < 1e-5
    inner = torch.stack([(one > 0) & (one < 1) for one in (full, none)]).all(0)  # what was not cut off
    assert ((full + none) / 2 - half)[inner].abs().max() < 1e-5


def test_realism_goes_from_the_model_to_the_companion_of_its_card(
    tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    real = write_model(tmp_path / "real.safetensors", LIGHT | {"scale": 2}, "superres", seed=1)
    faithful = write_model(tmp_path / "f.safetensors", LIGHT | {"scale": 2}, "superres", companion=str(real))
    picture = Picture(scene())
    first, middle, last = (enhance(picture, model=str(faithful), realism=r, invented=True) for r in (0, 0.5, 1))
    assert torch.equal(first.picture.pixels, enhance(picture, model=str(faithful)).picture.pixels)
    assert torch.equal(last.picture.pixels, enhance(picture, model=str(real)).picture.pixels)
    assert not torch.equal(middle.picture.pixels, first.picture.pixels)
    assert middle.invented and last.invented and 0 < middle.invented.mean < last.invented.mean
    expected = (last.picture.pixels - first.picture.pixels).square().mean().sqrt()
    assert last.invented.mean == pytest.approx(float(expected), rel=0.05)
    assert set(middle.recipe.networks) == {"f", "real"}
    assert [one.role for one in middle.recipe.inputs] == ["model", "companion"]
    assert choose(EnhanceOptions(model=str(faithful))).companion is None  # it is not loaded where it is not asked for


def test_without_realism_a_companion_s_map_is_the_model_s_own(write_model: Callable[..., Path], tmp_path: Path) -> None:
    real = write_model(tmp_path / "real.safetensors", LIGHT | {"scale": 2}, "superres", seed=1)
    faithful = write_model(tmp_path / "f.safetensors", LIGHT | {"scale": 2}, "superres")
    own, beside = (
        enhance(Picture(scene()), model=str(faithful), companion=c, invented=True) for c in (None, str(real))
    )
    assert own.invented and beside.invented and torch.equal(own.invented.energy, beside.invented.energy)
    assert beside.invented.mean > 0


def test_the_map_of_invented_detail_is_written_only_when_asked_for(photo: Path, tmp_path: Path) -> None:
    made = enhance(photo, invented=True)
    made.save_invented(tmp_path / "map.png")
    assert read(tmp_path / "map.png").width == 88
    with pytest.raises(UsageError, match="ask for it"):
        enhance(photo).save_invented(tmp_path / "no.png")
    mended = enhance(photo, task="restore", invented=True)
    change = (mended.picture.pixels - read(photo).pixels).square().mean().sqrt()
    assert mended.invented and mended.invented.mean == pytest.approx(float(change), rel=0.1)


def test_the_recipe_is_inside_and_makes_the_picture_again(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    enhance(photo, scale=2, strength=0.8, quality=80, out=out)
    recipe = parse(read_recipe(out), out)
    assert recipe.verb == "enhance" and recipe.networks.keys() == {"superres-x2"}
    assert recipe.options == {"model": "superres-x2", "scale": 2, "strength": 0.8, "quality": 80}
    made, difference = rerun(out, recipe)
    assert difference.identical and made.model == "superres-x2"
    photo.rename(tmp_path / "moved.png")
    with pytest.raises(UsageError, match="--search"):
        rerun(out, recipe)
    assert rerun(out, recipe, search=[tmp_path])[1].identical


def test_a_rerun_finds_a_model_s_file_that_has_moved(
    photo: Path, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    path = write_model(tmp_path / "own.safetensors", LIGHT | {"scale": 2}, "superres", seed=3)
    enhance(photo, model=str(path), out=tmp_path / "out.png")
    recipe = parse(read_recipe(tmp_path / "out.png"), tmp_path / "out.png")
    (tmp_path / "below").mkdir()
    path.rename(tmp_path / "below" / "other-name.safetensors")
    assert rerun(tmp_path / "out.png", recipe, search=[tmp_path])[1].identical


def test_a_picture_in_memory_cannot_be_made_again(tmp_path: Path) -> None:
    enhance(Picture(scene()), out=tmp_path / "out.png")
    with pytest.raises(UsageError, match="in memory"):
        rerun(tmp_path / "out.png", parse(read_recipe(tmp_path / "out.png"), tmp_path))


def test_a_format_that_cannot_hold_the_result_is_refused_before_the_work(tmp_path: Path) -> None:
    write(tmp_path / "long.png", Picture(torch.zeros(1, 3, 1, 9000)))
    with pytest.raises(UsageError, match=r"WebP holds at most 16383 pixels a side, the result will be 18000 x 2"):
        enhance(tmp_path / "long.png", out=tmp_path / "long.webp", progress=lambda *_: pytest.fail("it was worked"))
    with pytest.raises(UsageError, match="no format"):
        enhance(tmp_path / "long.png", out=tmp_path / "long.xyz")


def test_a_result_that_memory_cannot_hold_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_memory", lambda device: 20_000)
    with pytest.raises(ImpastoError, match=r"superres-x2 makes 88×60 pixels of this picture"):
        enhance(Picture(scene()))


def test_a_size_that_memory_cannot_hold_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    with monkeypatch.context() as patch:
        patch.setattr(room, "free_memory", lambda device: 10**6)
        with pytest.raises(ImpastoError, match=r"superres-x2 makes 1320×900 pixels .* cut the picture"):
            enhance(Picture(scene()), outscale=30, progress=lambda *words: told.append(words))
    assert not told

    def full(*arguments: object, **options: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("impasto.translation.enhance.imresize", full)
    with pytest.raises(ImpastoError, match="132×90 pixels do not fit into memory"):
        enhance(Picture(scene()), outscale=3)


def test_transparency_that_a_format_does_not_hold_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    alpha = torch.ones(1, 1, 30, 44)
    enhance(Picture(scene(), alpha=alpha), out=tmp_path / "opaque.jpg")
    assert not caplog.records
    alpha[..., :9] = 0
    enhance(Picture(scene(), alpha=alpha), out=tmp_path / "kept.png")
    assert not caplog.records
    enhance(Picture(scene(), alpha=alpha), out=tmp_path / "lost.jpg")
    assert "lost.jpg: JPEG holds no transparency, so the picture is laid over white" in caplog.text


def test_memory_is_in_the_recipe_where_the_result_depends_on_it(
    photo: Path, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    unet = {"kind": "unet", "encoder_name": "pocket", "width": 16}
    exact, everywhere = (
        write_model(tmp_path / f"{name}.safetensors", unet | {"attention": name == "everywhere"}, "restore")
        for name in ("exact", "everywhere")
    )

    def kept(model: Path, **fields: Any) -> bool:
        return "memory" in enhance(photo, model=str(model), **fields).recipe.options

    assert kept(everywhere, memory=3.0) and kept(exact, memory=3.0, overlap=4)
    assert not (kept(exact, memory=3.0) or kept(everywhere) or kept(everywhere, memory=3.0, tile=64))


def test_a_broken_picture_and_a_folder_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much")
    for path, words in (
        (tmp_path / "broken.jpg", "damaged"),
        (tmp_path, "is a folder"),
        (tmp_path / "no", "not exist"),
    ):
        with pytest.raises(UsageError, match=words):
            enhance(path)


def test_progress_goes_from_nothing_to_all() -> None:
    seen: list[float] = []
    enhance(Picture(scene(100, 90)), tile=32, progress=lambda done, words: seen.append(done))
    assert seen == sorted(seen) and len(seen) == 12 and seen[-1] == pytest.approx(1)


def test_pictures_are_not_changed_and_options_are_checked_before_reading(tmp_path: Path) -> None:
    picture = Picture(scene(), alpha=torch.rand(1, 1, 30, 44))
    before = picture.pixels.clone(), picture.alpha.clone()
    for fields in ({}, {"task": "colorize"}, {"task": "restore", "strength": 0.3}):
        enhance(picture, **fields)
    assert torch.equal(picture.pixels, before[0]) and torch.equal(picture.alpha, before[1])
    with pytest.raises(UsageError, match="no model"):
        enhance(tmp_path / "missing.png", model="nothing")


def test_the_documents_of_every_option_say_what_it_is() -> None:
    assert all(field.description for field in EnhanceOptions.model_fields.values())


@pytest.mark.realdata
def test_real_odd_pictures_work(shared: Path, tmp_path: Path) -> None:
    seen = 0
    for path in sorted((shared / "data" / "odd-images" / "pngsuite").rglob("*.png"))[::8]:
        try:
            picture = read(path)
        except UsageError:
            continue
        made = enhance(path, out=tmp_path / f"{path.name}.png")
        assert (made.picture.height, made.picture.width) == (2 * picture.height, 2 * picture.width)
        seen += 1
    assert seen > 3
