"""Sprites: every thumbnail in its cell, drawings as ink, nothing enlarged."""

import base64
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from impasto.images import Picture, write
from impasto.inspection.folder.sprites import Sprites, sprites


def opened(found: Sprites) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(found.source.split(",")[1])))


def test_photographs_lie_in_their_cells(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(5)]
    for k, path in enumerate(paths):
        write(
            path, Picture(torch.tensor([k / 5, 0.5, 1 - k / 5]).view(1, 3, 1, 1).expand(1, 3, 60, 90 - k).contiguous())
        )
    found = sprites(paths)
    assert (found.side, found.columns, found.ink) == (90, 3, False)
    assert found.sizes[4] == (86, 60)
    pixels = np.asarray(opened(found).convert("RGB")) / 255
    for k in range(5):
        cell = pixels[k // 3 * 90 + 30, k % 3 * 90 + 40]
        assert np.abs(cell - [k / 5, 0.5, 1 - k / 5]).max() < 0.03


def test_light_digits_and_dark_letters_become_ink(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(4)]
    for ground, ink in ((0, 255), (255, 0)):
        for path in paths:
            digit = Image.new("L", (28, 28), ground)
            digit.paste(ink, (12, 4, 15, 24))
            digit.save(path)
        found = sprites(paths)
        sheet = opened(found)
        assert found.ink and found.side == 28 and sheet.mode == "LA"
        assert sheet.getpixel((13, 10)) == (255, 255) and sheet.getpixel((2, 2)) == (255, 0)


def test_a_picture_that_has_gone_is_gray(tmp_path: Path) -> None:
    write(tmp_path / "a.png", Picture(torch.rand(1, 3, 20, 20)))
    assert len(sprites([tmp_path / "a.png", tmp_path / "gone.png"]).sizes) == 2
