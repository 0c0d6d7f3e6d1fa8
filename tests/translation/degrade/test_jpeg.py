"""JPEG in tensors is libjpeg's to the bit."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.images import read
from impasto.translation.degrade import parse
from impasto.translation.degrade.jpeg import compress, through_libjpeg, through_tensors

QUALITIES = [1, 5, 10, 24, 49, 50, 75, 90, 95, 100]


def made(height: int, width: int) -> torch.Tensor:
    """A smooth picture, noise, and the sharpest there is: (3, 3, height, width)."""
    random = torch.Generator().manual_seed(height * 1000 + width)
    noise = torch.rand(3, height, width, generator=random)
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([torch.stack([x, y, (x * y * 20).sin() / 2 + 0.5]), noise, (noise > 0.5).float()])


@pytest.mark.parametrize("chroma", ["420", "444"])
@pytest.mark.parametrize("size", [(32, 48), (33, 47), (17, 3), (1, 1), (5, 6), (8, 16), (2, 40)])
def test_tensors_give_what_the_codec_gives_to_the_bit(size: tuple[int, int], chroma: str) -> None:
    images = made(*size)
    for quality in QUALITIES:
        codec = through_libjpeg(images, [quality] * 3, [chroma] * 3)
        assert torch.equal((codec * 255).round(), (through_tensors(images, [quality] * 3, chroma) * 255).round())
        assert torch.allclose(codec, through_tensors(images, [quality] * 3, chroma), atol=1e-6)


def test_each_picture_of_a_batch_has_its_own_quality() -> None:
    images = made(24, 24)[:1].expand(3, -1, -1, -1)
    together = through_tensors(images, [5, 50, 95], "420")
    for number, quality in enumerate((5, 50, 95)):
        assert torch.equal(together[number], through_tensors(images[:1], [quality], "420")[0])
    errors = (together - images).abs().mean((1, 2, 3))
    assert errors[0] > errors[1] > errors[2] > 0


def test_gray_pictures_are_those_of_a_gray_jpeg() -> None:
    gray = made(40, 33)[:1, :1]
    file = io.BytesIO()
    levels = (gray[0, 0] * 255 + 0.5).floor().to(torch.uint8).numpy()
    Image.fromarray(levels, "L").save(file, "JPEG", quality=20)
    reference = torch.from_numpy(np.array(Image.open(file)))
    for chroma in ("420", "444"):
        ours = through_tensors(gray.expand(-1, 3, -1, -1), [20], chroma) * 255
        assert torch.equal(ours.round().to(torch.uint8), reference.expand(1, 3, -1, -1))


def test_chroma_is_halved_where_it_is_said() -> None:
    stripes = torch.zeros(1, 3, 16, 16)
    stripes[:, 0, :, ::2], stripes[:, 2, :, 1::2] = 1, 1
    full, halved = (compress(stripes, [100], [chroma]) for chroma in ("444", "420"))
    assert (full - stripes).abs().max() < 0.02 < 0.3 < (halved - stripes).abs().max()


def test_the_quality_is_printed_in_white_before_it_is_compressed() -> None:
    dark = torch.zeros(6, 3, 48, 64)
    printed = parse("jpeg:90,print=1")(dark, range(6))
    for picture in printed:
        rows, columns = (picture.mean(0) > 0.5).nonzero(as_tuple=True)
        assert len(rows) > 5  # some of a digit
        assert rows.min() <= 24 + 2 and columns.min() <= 32 + 2
        assert rows.max() - rows.min() < 14 and columns.max() - columns.min() < 20
    assert torch.equal(parse("jpeg:90")(dark, range(6)), dark)


@pytest.mark.realdata
def test_photographs_are_compressed_as_by_the_codec(shared: Path) -> None:
    files = sorted((shared / "data" / "photos").iterdir())[:4]
    images = torch.cat([read(file).pixels[:, :, :128, :152] for file in files])
    qualities = [10, 40, 75, 98]
    for chroma in ("420", "444"):
        codec = through_libjpeg(images, qualities, [chroma] * 4)
        assert torch.equal((codec * 255).round(), (through_tensors(images, qualities, chroma) * 255).round())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_a_gpu_gives_what_the_codec_gives() -> None:
    images = made(40, 52).repeat(2, 1, 1, 1)
    qualities, chroma = [5, 20, 50, 70, 90, 100], ["420", "444"] * 3
    there = compress(images.cuda(), qualities, chroma).cpu()
    assert torch.equal((there * 255).round(), (compress(images, qualities, chroma) * 255).round())
