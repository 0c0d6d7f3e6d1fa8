"""Reading: every kind of file comes out upright, in sRGB, with what it had beside its colours."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import pyvips
import tifffile
import torch
from PIL import Image, ImageCms, PngImagePlugin

from impasto.errors import UsageError
from impasto.images import Picture, read

WIDTH, HEIGHT = 24, 16


@pytest.fixture
def scene() -> np.ndarray:
    """A smooth 8-bit colour picture with no symmetry: (16, 24, 3)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 10, y * 15, 255 - x * 4 - y * 6], axis=-1).astype(np.uint8)


def levels(picture: Picture, highest: int = 255) -> np.ndarray:
    """The pixels as (height, width, 3) integers."""
    return (picture.pixels[0].permute(1, 2, 0) * highest).round().numpy().astype(int)


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def one_line(error: pytest.ExceptionInfo[UsageError], path: Path) -> str:
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    return message


def swapped_profile() -> bytes:
    """An RGB profile whose red is sRGB's green, and its green sRGB's red."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for entry in range(132, 132 + 12 * int.from_bytes(icc[128:132], "big"), 12):
        swap = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(bytes(icc[entry : entry + 4]))
        icc[entry : entry + 4] = swap or icc[entry : entry + 4]
    return bytes(icc)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_lossless_files_give_their_exact_colours(tmp_path, scene, suffix):
    picture = read(save(Image.fromarray(scene), tmp_path / f"scene{suffix}"))
    assert np.array_equal(levels(picture), scene)
    assert (picture.mode, picture.depth, picture.alpha) == ("RGB", 8, None)
    assert (picture.height, picture.width) == (HEIGHT, WIDTH)
    assert picture.pixels.dtype == torch.float32 and picture.pixels.is_contiguous()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_lossy_files_give_what_pillow_gives(tmp_path, scene, suffix):
    # Decoders differ in how they smooth halved colour, so it is not halved where that can be asked for.
    path = save(Image.fromarray(scene), tmp_path / f"scene{suffix}", quality=95, subsampling="4:4:4")
    expected = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.abs(levels(read(path)) - expected).max() <= 3


def test_heic_is_read(tmp_path, scene):
    path = tmp_path / "scene.heic"
    pillow_heif.from_pillow(Image.fromarray(scene)).save(path, quality=95, chroma="444")
    assert np.abs(levels(read(path)) - scene).mean() < 3


def test_heic_of_ten_bits_keeps_more_than_eight(tmp_path):
    ramp = np.linspace(20000, 24000, 64 * 64).reshape(64, 64, 1).repeat(3, axis=2).astype(np.uint16)
    path = tmp_path / "ramp.heic"
    pillow_heif.encode("RGB;16", (64, 64), ramp.tobytes(), path, quality=-1, chroma="444")
    picture = read(path)
    assert picture.depth == 16
    assert np.abs(levels(picture, 65535) - ramp.astype(int)).max() < 257


def test_gif_gives_its_first_frame(tmp_path):
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    picture = read(save(red, tmp_path / "two.gif", save_all=True, append_images=[blue]))
    assert (levels(picture) == [255, 0, 0]).all()
    assert picture.mode == "P"


def test_interlaced_png_is_read(interlaced, scene):
    assert np.array_equal(levels(read(interlaced)), scene)


@pytest.fixture
def interlaced(tmp_path, scene) -> Path:
    path = tmp_path / "interlaced.png"
    pyvips.Image.new_from_array(scene).pngsave(str(path), interlace=True)
    return path


def test_sixteen_bits_are_kept_in_rgb_and_in_gray(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "rgb.tif", rgb, photometric="rgb")
    Image.fromarray(rgb[..., 0]).save(tmp_path / "gray.png")
    colour, gray = read(tmp_path / "rgb.tif"), read(tmp_path / "gray.png")
    assert np.array_equal(levels(colour, 65535), rgb)
    assert np.array_equal(levels(gray, 65535), rgb[..., :1].repeat(3, axis=2))
    assert (colour.depth, colour.mode, gray.depth, gray.mode) == (16, "RGB", 16, "L")


def test_one_bit_and_gray_become_three_equal_channels(tmp_path, scene):
    gray = Image.fromarray(scene).convert("L")
    for image in (gray, gray.convert("1")):
        picture = read(save(image, tmp_path / f"{image.mode}.png"))
        assert np.array_equal(levels(picture), np.asarray(image.convert("RGB")))
        assert picture.mode == "L"


def test_alpha_is_kept_apart_from_the_colours(tmp_path, scene):
    alpha = (scene[..., :1] // 2 + 40).astype(np.uint8)
    picture = read(save(Image.fromarray(np.concatenate([scene, alpha], -1)), tmp_path / "rgba.png"))
    assert picture.mode == "RGBA" and np.array_equal(levels(picture), scene)
    assert np.array_equal((picture.alpha[0, 0] * 255).round().numpy(), alpha[..., 0])
    gray = Image.fromarray(np.concatenate([scene[..., :1], alpha], -1), "LA")
    picture = read(save(gray, tmp_path / "la.png"))
    assert picture.mode == "LA" and np.array_equal((picture.alpha[0, 0] * 255).round(), alpha[..., 0])


def test_palette_with_transparency_becomes_colour_and_alpha(tmp_path):
    image = Image.new("P", (4, 2), 1)
    image.putpalette([255, 0, 0, 0, 128, 0])
    image.putpixel((0, 0), 0)
    picture = read(save(image, tmp_path / "palette.png", transparency=0))
    assert picture.mode == "P" and picture.depth == 8
    assert levels(picture)[1, 1].tolist() == [0, 128, 0]
    assert picture.alpha[0, 0, 0, 0] == 0 and picture.alpha[0, 0, 1, 1] == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_every_orientation_is_applied_and_reset(tmp_path, scene, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    lossless = {"lossless": True} if suffix == ".webp" else {}
    path = save(Image.fromarray(scene), tmp_path / f"turned{suffix}", exif=exif.tobytes(), **lossless)
    transpositions = [
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
    ]
    stored, turn = Image.open(path).convert("RGB"), transpositions[orientation - 1]
    if suffix == ".tif":  # Pillow turns a TIFF by itself
        stored, turn = Image.fromarray(scene), transpositions[orientation - 1]
    expected = np.asarray(stored if turn is None else stored.transpose(turn)).astype(int)
    picture = read(path)
    assert levels(picture).shape == expected.shape
    assert np.abs(levels(picture) - expected).max() <= 2
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept.get(0x0112, 1) == 1 and kept[0x010F] == "Maker"


def test_a_wide_gamut_profile_is_converted_to_srgb(tmp_path):
    p3 = pyvips.Image.profile_load("p3")
    # CSS Color 4: display-p3(0.5, 0.5, 0.5) is the same gray, and color(display-p3 0.6 0.4 0.3) in sRGB
    # is 0.6296, 0.3931, 0.2760 by the published matrices.
    image = Image.new("RGB", (8, 8), (153, 102, 77))
    image.putpixel((0, 0), (128, 128, 128))
    picture = read(save(image, tmp_path / "p3.png", icc_profile=bytes(p3)))
    assert picture.icc == p3
    assert torch.allclose(picture.pixels[0, :, 0, 0], torch.tensor(128 / 255), atol=2e-3)
    assert torch.allclose(picture.pixels[0, :, 4, 4], torch.tensor(p3_to_srgb(153, 102, 77)), atol=3e-3)


def p3_to_srgb(*colour: int) -> list[float]:
    """CSS Color 4, section 17: Display P3 to sRGB by the published matrices, with one transfer function."""
    encoded = np.array(colour) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    p3_to_xyz = np.array(
        [
            [608311 / 1250200, 189793 / 714400, 198249 / 1000160],
            [35783 / 156275, 247089 / 357200, 198249 / 2500400],
            [0, 32229 / 714400, 5220557 / 5000800],
        ]
    )
    xyz_to_srgb = np.array(
        [
            [12831 / 3959, -329 / 214, -1974 / 3959],
            [-851781 / 878810, 1648619 / 878810, 36519 / 878810],
            [705 / 12673, -2585 / 12673, 705 / 667],
        ]
    )
    linear = xyz_to_srgb @ p3_to_xyz @ linear
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).tolist()


def test_a_profile_with_swapped_channels_swaps_them_back(tmp_path, scene):
    path = save(Image.fromarray(scene), tmp_path / "swapped.png", icc_profile=swapped_profile())
    assert np.abs(levels(read(path)) - scene[..., [1, 0, 2]]).max() <= 1


def test_a_sixteen_bit_picture_is_converted_in_sixteen_bits(tmp_path):
    ramp = np.linspace(20000, 21000, 1000).astype(np.uint16).reshape(10, 100, 1).repeat(3, axis=2)
    image = pyvips.Image.new_from_array(ramp).copy(interpretation="rgb16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", pyvips.Image.profile_load("p3"))
    image.pngsave(str(tmp_path / "ramp.png"))
    assert len(np.unique(levels(read(tmp_path / "ramp.png"), 65535))) > 500


def test_an_srgb_profile_changes_nothing(tmp_path, scene):
    for icc in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), srgb_of_libvips()):
        picture = read(save(Image.fromarray(scene), tmp_path / "srgb.png", icc_profile=icc))
        assert np.array_equal(levels(picture), scene) and picture.icc == icc


def srgb_of_libvips() -> bytes:
    return bytes(pyvips.Image.profile_load("srgb"))


@pytest.mark.parametrize("icc", [b"no profile at all", swapped_profile()[:400], srgb_of_libvips()])
def test_a_profile_that_is_broken_or_of_other_colours_is_ignored(tmp_path, icc):
    mode = "L" if icc == srgb_of_libvips() else "RGB"
    picture = read(save(Image.new(mode, (8, 8), 100), tmp_path / "odd.jpg", icc_profile=icc))
    assert picture.icc is None and picture.pixels.isfinite().all()


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
@pytest.mark.parametrize("profiled", [True, False])
def test_cmyk_becomes_the_colours_it_prints(tmp_path, suffix, profiled):
    inks = {"cyan": (255, 0, 0, 0), "yellow": (0, 0, 255, 0), "paper": (0, 0, 0, 0), "black": (0, 0, 0, 255)}
    image = Image.new("CMYK", (64, 16))
    for i, ink in enumerate(inks.values()):
        image.paste(ink, (16 * i, 0, 16 * i + 16, 16))
    options = {"icc_profile": bytes(pyvips.Image.profile_load("cmyk"))} if profiled else {}
    if suffix == ".jpg":
        options["quality"] = 100
    picture = read(save(image, tmp_path / f"inks{suffix}", **options))
    cyan, yellow, paper, black = (picture.pixels[0, :, 8, 8 + 16 * i].tolist() for i in range(4))
    assert picture.mode == "CMYK" and (picture.icc is not None) == profiled
    assert cyan[0] < 0.25 and cyan[2] > 0.7
    assert yellow[0] > 0.9 and yellow[2] < 0.3
    assert min(paper) > 0.97 and max(black) < 0.25


def test_a_float_tiff_is_read_if_its_values_are_colours(tmp_path):
    values = np.linspace(0, 1, HEIGHT * WIDTH * 3, dtype=np.float32).reshape(HEIGHT, WIDTH, 3)
    tifffile.imwrite(tmp_path / "float.tif", values, photometric="rgb")
    tifffile.imwrite(tmp_path / "bright.tif", values * 7, photometric="rgb")
    tifffile.imwrite(tmp_path / "nan.tif", values * np.nan, photometric="rgb")
    picture = read(tmp_path / "float.tif")
    assert picture.depth == 16
    assert np.allclose(picture.pixels[0].permute(1, 2, 0), values, atol=1e-5)
    for name in ("bright.tif", "nan.tif"):
        with pytest.raises(UsageError) as error:
            read(tmp_path / name)
        assert "8 or 16 bits" in one_line(error, tmp_path / name)


def test_a_file_is_known_by_its_content_and_any_name_will_do(tmp_path, scene):
    path = tmp_path / "Übermalt 絵 [1,n=-1].jpg"
    Image.fromarray(scene).save(path, format="png")
    assert np.array_equal(levels(read(str(path))), scene)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".heic", ".gif", ".bmp"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_picture_cut_short_is_refused(tmp_path, suffix, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole, cut = BytesIO(), tmp_path / f"cut{suffix}"
    if suffix == ".heic":
        pillow_heif.from_pillow(noise).save(whole)
    else:
        noise.save(whole, format={".jpg": "jpeg", ".tif": "tiff"}.get(suffix, suffix[1:]))
    cut.write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * share)])
    with pytest.raises(UsageError) as error:
        read(cut)
    assert "damaged or incomplete" in one_line(error, cut)


def test_a_jpeg_cut_short_and_then_properly_ended_is_refused(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole, path = BytesIO(), tmp_path / "half.jpg"
    noise.save(whole, "jpeg")
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2] + b"\xff\xd9")
    with pytest.raises(UsageError) as error:
        read(path)
    assert "damaged or incomplete" in one_line(error, path)


def test_rubbish_after_a_whole_jpeg_does_no_harm(tmp_path, scene):
    path = save(Image.fromarray(scene), tmp_path / "long.jpg")
    expected = read(path).pixels
    path.write_bytes(path.read_bytes() + b"appended by some camera" * 50)
    assert torch.equal(read(path).pixels, expected)


def test_too_many_pixels_are_refused_before_any_is_decoded(tmp_path, scene, monkeypatch):
    path = save(Image.fromarray(scene), tmp_path / "scene.png")
    with pytest.raises(UsageError) as error:
        read(path, max_pixels=WIDTH * HEIGHT - 1)
    assert "24 x 16" in one_line(error, path)
    read(path, max_pixels=WIDTH * HEIGHT)
    monkeypatch.setenv("IMPASTO_MAX_PIXELS", "100")
    with pytest.raises(UsageError):
        read(path)
    assert read(path, max_pixels=10**6).width == WIDTH
    monkeypatch.setenv("IMPASTO_MAX_PIXELS", "many")
    with pytest.raises(UsageError, match="whole number"):
        read(path)


def test_a_bomb_of_four_gigapixels_is_refused_by_its_header(tmp_path):
    chunk = b"IHDR" + (65536).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    file = BytesIO(b"\x89PNG\r\n\x1a\n")
    file.seek(8)
    PngImagePlugin.putchunk(file, b"IHDR", chunk[4:])
    PngImagePlugin.putchunk(file, b"IDAT", bytes(1000))
    PngImagePlugin.putchunk(file, b"IEND", b"")
    path = tmp_path / "bomb.png"
    path.write_bytes(file.getvalue())
    with pytest.raises(UsageError) as error:
        read(path)
    assert "more than the 250,000,000 allowed" in one_line(error, path)


def test_what_is_no_picture_file_gets_its_own_clear_line(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    os.mkfifo(tmp_path / "pipe.png")
    expected = {
        "missing.png": "does not exist",
        "empty.png": "is empty",
        "text.jpg": "is not a picture that can be read",
        "pipe.png": "a device or a pipe",
        ".": "is a folder",
        "text.jpg/below.png": "cannot be read",
        "n" * 300: "cannot be read",
        "nul\0.png": "cannot be read",
    }
    for name, words in expected.items():
        with pytest.raises(UsageError, match=words) as error:
            read(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_file_that_may_not_be_read_is_said_to_be_so(tmp_path, scene, as_nobody):
    path = save(Image.fromarray(scene), tmp_path / "secret.png")
    path.chmod(0)
    with as_nobody(), pytest.raises(UsageError) as error:
        read(path)
    assert "may not be read" in one_line(error, path)


@pytest.fixture
def as_nobody():
    """Root may read and write everything, so those who run the tests as root do this as nobody."""

    @contextmanager
    def nobody() -> Iterator[None]:
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)

    return nobody


def test_reading_says_nothing_on_the_terminal(tmp_path, scene, capfd):
    path = save(Image.fromarray(scene), tmp_path / "odd.jpg", icc_profile=b"broken", exif=b"Exif\0\0II*\0\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(path).exif is None
    assert capfd.readouterr() == ("", "")


def test_a_picture_of_the_wrong_shape_or_type_is_refused():
    good = torch.zeros(1, 3, 4, 6)
    assert (Picture(good).height, Picture(good).width) == (4, 6)
    for pixels in (good[0], good.repeat(2, 1, 1, 1), good[:, :1], good.double(), good[..., :0], "picture"):
        with pytest.raises(UsageError, match="pixels"):
            Picture(pixels)
    with pytest.raises(UsageError, match="alpha"):
        Picture(good, alpha=torch.zeros(1, 1, 4, 5))
    with pytest.raises(UsageError, match="depth"):
        Picture(good, depth=12)


def test_a_picture_for_which_there_is_no_memory_is_refused_in_one_line(tmp_path):
    path = tmp_path / "large.png"
    pyvips.Image.black(16_000, 12_500).pngsave(str(path))
    check = (
        "import resource, sys, torch, impasto.errors, impasto.images, pathlib\n"
        "impasto.images.read(sys.argv[2])\n"
        "used = int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))\n"
        "try:\n"
        "    impasto.images.read(sys.argv[1])\n"
        "except impasto.errors.ImpastoError as error:\n"
        "    sys.exit(f'{type(error).__name__}: {error}')\n"
    )
    small = save(Image.new("L", (8, 8)), tmp_path / "small.png")
    done = subprocess.run([sys.executable, "-c", check, path, small], capture_output=True, text=True)
    assert done.stderr == f"ImpastoError: {path}: not enough memory to decode it; make it smaller first\n"
