"""Writing: a file has what its picture had, and appears whole or not at all."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch
from PIL import Image, ImageCms

from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read, read_recipe, write

EVERY_FORMAT = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif", ".heic")
WITH_ALPHA = (".png", ".webp", ".tif", ".avif", ".heic")
RECIPE = '{"verb": "stylize", "note": "<&> \\"Öl\\" 絵 ]]>", "lines": "a\\nb"}\r\n'


@pytest.fixture
def scene() -> Picture:
    """A smooth colour picture of 40 x 32 whose values are on no grid of levels."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 40), indexing="ij")
    return Picture(torch.stack([x, y, 1 - (x + y) / 2])[None])


def noise(depth: int, channels: int = 3) -> torch.Tensor:
    """Every level equally likely, exactly as a file of that depth holds it."""
    highest = 2**depth - 1
    generator = torch.Generator().manual_seed(depth)
    levels = torch.randint(0, highest + 1, (1, channels, 32, 40), generator=generator)
    return levels.to(torch.float32) / highest


def exif_block() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x011A], exif[0x0128] = "Maker", 6, 300.0, 2
    exif[0x8769] = {0x9003: "2021:02:03 04:05:06", 0x829A: 0.125}
    exif[0x8825] = {1: "N", 2: (50.0, 4.0, 30.0)}
    return exif.tobytes().removeprefix(b"Exif\0\0")


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_lossless_formats_give_back_exactly_what_was_written(tmp_path, depth, suffix):
    picture = Picture(noise(depth), alpha=noise(depth, 1), depth=depth)
    write(tmp_path / f"noise{suffix}", picture)
    back = read(tmp_path / f"noise{suffix}")
    assert torch.equal(back.pixels, picture.pixels) and torch.equal(back.alpha, picture.alpha)
    assert (back.depth, back.mode) == (depth, "RGBA")
    write(tmp_path / f"again{suffix}", picture)
    assert (tmp_path / f"again{suffix}").read_bytes() == (tmp_path / f"noise{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", EVERY_FORMAT)
def test_every_format_gives_nearly_what_was_written(tmp_path, scene, suffix):
    path = tmp_path / f"scene{suffix.upper()}"
    write(str(path), scene)
    back = read(path)
    assert (back.width, back.height, back.depth) == (40, 32, 8)
    assert (back.pixels - scene.pixels).abs().mean() < 0.015


@pytest.mark.parametrize("suffix", EVERY_FORMAT)
def test_the_recipe_travels_in_every_format(tmp_path, scene, suffix):
    path = tmp_path / f"scene{suffix}"
    write(path, replace(scene, recipe=RECIPE))
    assert read_recipe(path) == RECIPE
    assert read(path).recipe == RECIPE
    write(path, scene)
    assert read_recipe(path) is None


def test_a_recipe_that_another_program_made_an_attribute_is_found(tmp_path, scene):
    image = pyvips.Image.black(8, 8, bands=3).copy(interpretation="srgb")
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:RDF>'
        '<r:Description xmlns:a="https://impasto.art/ns/1.0/" a:recipe="{}"/></r:RDF></x:xmpmeta>'
    )
    image.set_type(pyvips.GValue.blob_type, "xmp-data", packet.encode())
    image.pngsave(str(tmp_path / "attribute.png"))
    image.set_type(pyvips.GValue.blob_type, "xmp-data", b"<no xml")
    image.pngsave(str(tmp_path / "broken.png"))
    assert read_recipe(tmp_path / "attribute.png") == "{}"
    assert read_recipe(tmp_path / "broken.png") is None


def test_a_recipe_too_long_for_a_jpeg_is_refused_and_others_hold_it(tmp_path, scene):
    long = replace(scene, recipe="[" + "1," * 40_000 + "1]")
    with pytest.raises(UsageError, match="another format"):
        write(tmp_path / "long.jpg", long)
    assert only(tmp_path) == []
    for suffix in (".png", ".webp", ".tif", ".avif", ".heic"):
        write(tmp_path / f"long{suffix}", long)
        assert read_recipe(tmp_path / f"long{suffix}") == long.recipe


@pytest.mark.parametrize("suffix", EVERY_FORMAT)
def test_exif_survives_with_its_orientation_reset(tmp_path, scene, suffix):
    path = tmp_path / f"scene{suffix}"
    write(path, replace(scene, exif=exif_block()))
    back = read(path)
    assert (back.width, back.height) == (40, 32)
    exif = Image.Exif()
    exif.load(back.exif)
    assert exif[0x010F] == "Maker" and exif.get(0x0112, 1) == 1 and float(exif[0x011A]) == 300
    assert exif.get_ifd(0x8769)[0x9003] == "2021:02:03 04:05:06"
    assert float(exif.get_ifd(0x8769)[0x829A]) == 0.125
    assert exif.get_ifd(0x8825)[1] == "N"
    if suffix != ".heic":
        shown = Image.open(path).getexif()
        assert shown[0x010F] == "Maker" and shown.get_ifd(0x8769)[0x9003] == "2021:02:03 04:05:06"


def test_a_tiff_with_exif_is_sound_for_another_reader(tmp_path):
    picture = Picture(noise(8), exif=exif_block(), recipe=RECIPE)
    write(tmp_path / "exif.tif", picture)
    other = np.asarray(Image.open(tmp_path / "exif.tif"))
    assert np.array_equal(other, (picture.pixels[0] * 255).round().permute(1, 2, 0).numpy())
    assert torch.equal(read(tmp_path / "exif.tif").pixels, picture.pixels)


def test_exif_that_is_rubbish_is_left_out(tmp_path, scene):
    for exif in (b"junk", b"II*\0\xff\xff\xff\xff", b"", b"MM\0*\0\0\0\x08\0\x05\1\2"):
        for suffix in (".jpg", ".tif", ".png"):
            write(tmp_path / f"scene{suffix}", replace(scene, exif=exif))
            read(tmp_path / f"scene{suffix}")


@pytest.mark.parametrize("suffix", EVERY_FORMAT)
def test_colours_go_back_to_the_profile_they_came_from(tmp_path, scene, suffix):
    p3 = bytes(pyvips.Image.profile_load("p3"))
    path = tmp_path / f"p3{suffix}"
    red = torch.tensor([0.9, 0.2, 0.1]).reshape(1, 3, 1, 1).expand(1, 3, 32, 32)
    write(path, Picture(red.contiguous(), icc=p3))
    back = read(path)
    assert back.icc == p3
    assert (back.pixels - red).abs().mean() < 0.01
    if suffix == ".png":  # in P3 itself the same red is less saturated
        stored = np.asarray(Image.open(path))[0, 0] / 255
        assert stored[0] < 0.86 and stored[1] > 0.22


def test_a_picture_in_a_wide_profile_comes_back_to_the_level(tmp_path):
    p3 = bytes(pyvips.Image.profile_load("p3"))
    # Muted colours, which sRGB has too.
    stored = (np.random.default_rng(0).random((32, 40, 3)) * 60 + 90).astype(np.uint8)
    Image.fromarray(stored).save(tmp_path / "in.png", icc_profile=p3)
    write(tmp_path / "out.png", read(tmp_path / "in.png"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), stored)


@pytest.mark.parametrize("name", ["cmyk", "gray"])
def test_where_the_profile_is_not_rgb_srgb_is_written_and_said(tmp_path, scene, name):
    icc = bytes(pyvips.Image.profile_load("cmyk")) if name == "cmyk" else gray_profile()
    write(tmp_path / "out.png", replace(scene, icc=icc))
    back = read(tmp_path / "out.png")
    assert (back.pixels - scene.pixels).abs().max() <= 0.5 / 255 + 1e-6
    assert ImageCms.ImageCmsProfile(BytesIO(back.icc)).profile.xcolor_space == "RGB "


def gray_profile() -> bytes:
    """The header of a gray profile, which is all that a writer of RGB asks of it."""
    icc = bytearray(pyvips.Image.profile_load("srgb"))
    icc[16:20] = b"GRAY"
    return bytes(icc)


@pytest.mark.parametrize("suffix", WITH_ALPHA)
def test_alpha_is_kept_where_the_format_has_it(tmp_path, scene, suffix):
    alpha = torch.linspace(0, 1, 40).expand(1, 1, 32, 40).contiguous()
    write(tmp_path / f"soft{suffix}", replace(scene, alpha=alpha))
    assert (read(tmp_path / f"soft{suffix}").alpha - alpha).abs().mean() < 0.02


def test_a_format_without_alpha_lays_the_picture_over_white(tmp_path):
    picture = Picture(torch.zeros(1, 3, 32, 32), alpha=torch.full((1, 1, 32, 32), 0.25))
    write(tmp_path / "soft.jpg", picture)
    back = read(tmp_path / "soft.jpg")
    assert back.alpha is None
    assert torch.allclose(back.pixels, torch.tensor(0.75), atol=1.5 / 255)


def test_values_are_rounded_to_the_nearest_level_and_clamped(tmp_path):
    values = torch.tensor([-0.5, 0.49 / 255, 0.51 / 255, 100.4 / 255, 100.6 / 255, 1.5])
    write(tmp_path / "row.png", Picture(values.expand(1, 3, 1, 6).contiguous()))
    assert np.asarray(Image.open(tmp_path / "row.png"))[0, :, 0].tolist() == [0, 0, 1, 100, 101, 255]


def test_pixels_that_are_being_optimised_can_be_written(tmp_path, scene):
    write(tmp_path / "leaf.png", replace(scene, pixels=scene.pixels.clone().requires_grad_()))
    assert not read(tmp_path / "leaf.png").pixels.requires_grad


def test_sixteen_bits_become_eight_where_the_format_has_no_more(tmp_path):
    write(tmp_path / "deep.webp", Picture(noise(16), depth=16))
    assert read(tmp_path / "deep.webp").depth == 8


def test_a_lower_quality_makes_a_smaller_file(tmp_path):
    for suffix in (".jpg", ".webp", ".avif", ".heic"):
        sizes = []
        for quality in (30, 95):
            write(tmp_path / f"noise{suffix}", Picture(noise(8)), quality=quality)
            sizes.append((tmp_path / f"noise{suffix}").stat().st_size)
        assert sizes[0] < sizes[1], suffix
    with pytest.raises(UsageError, match="from 1 to 100"):
        write(tmp_path / "noise.jpg", Picture(noise(8)), quality=0)


def test_nan_and_infinity_are_refused(tmp_path, scene):
    (tmp_path / "out.png").write_bytes(b"earlier")
    for value in (float("nan"), float("inf")):
        pixels = scene.pixels.clone()
        pixels[0, 1, 2, 3] = value
        with pytest.raises(ImpastoError, match="out.png was not written.*NaN"):
            write(tmp_path / "out.png", replace(scene, pixels=pixels))
    assert (tmp_path / "out.png").read_bytes() == b"earlier"


def test_an_extension_that_names_no_format_is_refused_with_those_that_do(tmp_path, scene):
    for name in ("out.gif", "out", "out.png.bak", "png"):
        with pytest.raises(UsageError) as error:
            write(tmp_path / name, scene)
        assert ".png .jpg .jpeg .webp .tif .tiff .avif .heic" in str(error.value)
    assert only(tmp_path) == []


def test_a_picture_larger_than_its_format_allows_is_refused(tmp_path):
    with pytest.raises(UsageError, match="WebP holds at most 16383 pixels a side"):
        write(tmp_path / "long.webp", Picture(torch.zeros(1, 3, 1, 16_384)))
    write(tmp_path / "long.png", Picture(torch.zeros(1, 3, 1, 16_384)))


def test_a_place_that_cannot_be_written_gets_its_own_clear_line(tmp_path, scene):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    expected = {
        "folder.png": "is a folder",
        "missing/out.png": "missing does not exist",
        "file/out.png": "file is not a folder",
        "n" * 300 + ".png": "was not written",
        "nul\0.png": "was not written",
    }
    for name, words in expected.items():
        with pytest.raises(ImpastoError, match=words) as error:
            write(tmp_path / name, scene)
        assert "\n" not in str(error.value) and error.value.exit_code == 1
    assert only(tmp_path) == ["file", "folder.png"]


def test_a_folder_that_may_not_be_written_to_is_said_to_be_so(tmp_path, scene, as_nobody):
    write(tmp_path / "out.png", scene)
    before = (tmp_path / "out.png").read_bytes()
    tmp_path.chmod(0o555)
    with as_nobody(), pytest.raises(ImpastoError, match="may not be written to"):
        write(tmp_path / "out.png", scene)
    assert (tmp_path / "out.png").read_bytes() == before and only(tmp_path) == ["out.png"]


@pytest.fixture
def as_nobody():
    """Root may write everywhere, so those who run the tests as root do this as nobody."""

    @contextmanager
    def nobody():
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)

    return nobody


def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(tmp_path, scene):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk can be mounted only by root")
    try:
        write(disk / "out.png", scene)
        before = (disk / "out.png").read_bytes()
        with pytest.raises(ImpastoError, match="out.png was not written, the disk is full") as error:
            write(disk / "out.png", Picture(torch.rand(1, 3, 512, 512)))
        assert "\n" not in str(error.value) and error.value.exit_code == 1
        assert (disk / "out.png").read_bytes() == before and only(disk) == ["out.png"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_limit_on_file_sizes_leaves_the_earlier_file_and_nothing_else(tmp_path, scene):
    write(tmp_path / "out.png", scene)
    before = (tmp_path / "out.png").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    try:
        with pytest.raises(ImpastoError, match="out.png was not written, it is larger than a file may be"):
            write(tmp_path / "out.png", Picture(torch.rand(1, 3, 512, 512)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "out.png").read_bytes() == before and only(tmp_path) == ["out.png"]


def test_a_write_that_is_interrupted_leaves_the_earlier_file(tmp_path, scene, monkeypatch):
    write(tmp_path / "out.png", scene)
    before = (tmp_path / "out.png").read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, call, interrupted)
            write(tmp_path / "out.png", replace(scene, depth=16))
        assert (tmp_path / "out.png").read_bytes() == before and only(tmp_path) == ["out.png"]


def test_the_bytes_are_on_the_disk_before_the_name_is_theirs(tmp_path, scene, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), rename(a, b)))
    write(tmp_path / "out.png", scene)
    assert calls == ["fsync", "replace"]


def test_many_who_write_one_file_at_once_leave_one_whole_file(tmp_path):
    pictures = [Picture(torch.full((1, 3, 64, 64), i / 8)) for i in range(8)]
    writers = [threading.Thread(target=write, args=(tmp_path / "out.png", p)) for p in pictures]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert only(tmp_path) == ["out.png"]
    assert len(read(tmp_path / "out.png").pixels.unique()) == 1


def test_a_link_is_followed_and_a_new_file_has_the_usual_permissions(tmp_path, scene):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "real" / "out.png")
    write(tmp_path / "link.png", scene)
    assert (tmp_path / "link.png").is_symlink() and only(tmp_path / "real") == ["out.png"]
    usual = tmp_path / "usual"
    usual.touch()
    assert (tmp_path / "real" / "out.png").stat().st_mode == usual.stat().st_mode


def test_names_may_be_in_any_script(tmp_path, scene):
    path = tmp_path / "Übermalt 絵 [1,n=-1].png"
    write(path, scene)
    assert read(path).width == 40


def test_the_terminal_stays_quiet_and_torch_unloaded_until_needed(tmp_path, scene, capfd):
    for suffix in EVERY_FORMAT:
        write(tmp_path / f"scene{suffix}", replace(scene, exif=exif_block(), recipe=RECIPE))
        read(tmp_path / f"scene{suffix}")
    assert capfd.readouterr() == ("", "")
    check = "import sys, impasto.images; sys.exit(any(m in sys.modules for m in ('torch', 'pyvips', 'PIL')))"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


@pytest.mark.parametrize("source", ["scan.jpg", "scan.png"])
@pytest.mark.parametrize("target", ["out.jpg", "out.png", "out.tif"])
def test_the_size_in_print_is_kept_where_only_the_header_tells_it(tmp_path: Path, source: str, target: str) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / source, dpi=(300, 300))
    write(tmp_path / target, read(tmp_path / source))
    with Image.open(tmp_path / target) as made:
        assert [round(float(value)) for value in made.info["dpi"]] == [300, 300]


@pytest.mark.parametrize("name", ["plain.jpg", "plain.png"])
def test_no_exif_is_made_up(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / name)
    assert read(tmp_path / name).exif is None
