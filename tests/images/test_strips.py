"""Strips: every row once and in order, and nothing that is done by strips depends on where they are cut."""

from itertools import pairwise

import numpy as np
import pytest
import pyvips
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from impasto.images import read, strips
from impasto.images.colour import keep_colours, match_colours, match_histograms

WIDTH, HEIGHT = 56, 83


@given(height=st.integers(1, 70_000), width=st.integers(1, 10**7))
def test_every_row_is_in_one_strip_and_a_strip_is_no_larger_than_it_must(height, width):
    cut = list(strips.strips(height, width))
    assert cut[0].start == 0 and cut[-1].stop == height
    assert all(above.stop == below.start for above, below in pairwise(cut))
    assert all(rows.start % 16 == 0 for rows in cut)
    assert all((rows.stop - rows.start) * width <= max(strips.PIXELS, 16 * width) for rows in cut)


@pytest.fixture
def photo():
    """Noise in 16 bits, colours and alpha."""
    return np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)


def both_ways(path, monkeypatch):
    """The picture read in one strip, and in strips of 16 rows."""
    whole = read(path)
    with monkeypatch.context() as patch:
        patch.setattr(strips, "PIXELS", 1)
        cut = read(path)
    assert torch.equal(cut.pixels, whole.pixels)
    assert (cut.alpha is None) == (whole.alpha is None)
    assert cut.alpha is None or torch.equal(cut.alpha, whole.alpha)
    assert (cut.mode, cut.depth, cut.icc) == (whole.mode, whole.depth, whole.icc)
    return whole


@pytest.mark.parametrize("profiled", [False, True])
@pytest.mark.parametrize(
    "name", ["a.png", "a.tif", "tiled.tif", "a.jpg", "interlaced.png", "a.webp", "a.avif", "a.gif"]
)
def test_a_file_reads_the_same_in_many_strips(tmp_path, monkeypatch, photo, name, profiled):
    deep = name.endswith((".png", ".tif"))
    image = pyvips.Image.new_from_array(photo if deep else (photo >> 8).astype(np.uint8))
    image = image.copy(interpretation="rgb16" if deep else "srgb")
    image = image.extract_band(0, n=3) if name.endswith(".jpg") else image
    if profiled:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", pyvips.Image.profile_load("p3"))
    options = {"tiled.tif": {"tile": True, "tile_width": 32, "tile_height": 32}, "interlaced.png": {"interlace": True}}
    image.write_to_file(str(tmp_path / name), **options.get(name, {}))
    assert (both_ways(tmp_path / name, monkeypatch).depth == 16) == deep


@pytest.mark.parametrize("save", ["float.tif", "a.bmp", "a.heic", "gray.png", "cmyk.jpg"])
def test_so_do_files_of_other_colours_and_those_decoded_whole(tmp_path, monkeypatch, photo, save):
    colours = Image.fromarray((photo[..., :3] >> 8).astype(np.uint8))
    match save:
        case "float.tif":
            pyvips.Image.new_from_array(photo[..., :3] / np.float32(65535)).tiffsave(str(tmp_path / save))
        case "a.heic":
            import pillow_heif

            pillow_heif.from_pillow(colours).save(tmp_path / save)
        case _:
            colours.convert({"gray.png": "L", "cmyk.jpg": "CMYK"}.get(save, "RGB")).save(tmp_path / save)
    both_ways(tmp_path / save, monkeypatch)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_reads_the_same_in_many_strips(tmp_path, monkeypatch, photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    colours = Image.fromarray((photo >> 8).astype(np.uint8))
    colours.save(tmp_path / "turned.png", exif=exif.tobytes())
    turned = both_ways(tmp_path / "turned.png", monkeypatch)
    assert (turned.width, turned.height) == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))


def test_a_jpeg_with_a_harmless_fault_in_a_later_strip_is_read_whole(tmp_path, monkeypatch, photo):
    colours = Image.fromarray((photo[..., :3] >> 8).astype(np.uint8))
    colours.save(tmp_path / "sound.jpg", restart_marker_rows=1)
    data = (tmp_path / "sound.jpg").read_bytes()
    third = data.index(b"\xff\xd2")  # the end of the third row of blocks
    (tmp_path / "odd.jpg").write_bytes(data[:third] + bytes(8) + data[third:])
    sound = read(tmp_path / "sound.jpg").pixels
    assert torch.equal(both_ways(tmp_path / "odd.jpg", monkeypatch).pixels, sound)


@pytest.mark.parametrize("recolour", [keep_colours, match_colours, match_histograms])
def test_colours_are_changed_alike_in_many_strips(monkeypatch, recolour):
    generator = torch.Generator().manual_seed(0)
    image, like = (torch.rand(1, 3, HEIGHT, WIDTH, generator=generator) ** power for power in (1, 2))
    whole = recolour(image, like)
    monkeypatch.setattr(strips, "PIXELS", 1)
    torch.testing.assert_close(recolour(image, like), whole, atol=1e-6, rtol=0)
