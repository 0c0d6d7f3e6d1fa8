"""JPEG: compression and decompression by libjpeg itself, and the same to the bit in whole numbers on any device."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

# ITU-T T.81, annex K.1: the tables of luma and of chroma that qualities scale.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)

# The cosines of libjpeg's accurate integer DCT (jfdctint.c, after Loeffler, Ligtenberg and Moschytz, 1989), its steps
# multiplied out: √8 of the orthonormal transform, in 13 bits. A row is a frequency; its second half mirrors the first.
_COSINES = (
    (8192, 8192, 8192, 8192),
    (11363, 9633, 6437, 2260),
    (10703, 4433, -4433, -10703),
    (9633, -2259, -11362, -6436),
    (8192, -8192, -8192, 8192),
    (6437, -11362, 2261, 9633),
    (4433, -10704, 10704, -4433),
    (2260, -6436, 9633, -11363),
)
_BITS, _EXTRA = 13, 2  # of the cosines, and those that are kept between the two passes


def compress(
    images: Float[Tensor, "b 3 h w"], qualities: Sequence[int], chroma: Sequence[str]
) -> Float[Tensor, "b 3 h w"]:
    """The pictures after they were saved as JPEG and read again.

    On the processor by libjpeg, which is the faster there; elsewhere by `through_tensors`, which gives the same.

    Args:
        images: In [0, 1]; rounded to 8 bits.
        qualities: libjpeg's, 1 to 100, one a picture.
        chroma: 420 or 444, one a picture: whether colours are kept at half the size, or all.
    """
    if images.device.type == "cpu":
        return through_libjpeg(images, qualities, chroma)
    result = torch.empty_like(images)
    for kind in set(chroma):
        some = [i for i, one in enumerate(chroma) if one == kind]
        result[some] = through_tensors(images[some], [qualities[i] for i in some], kind)
    return result


def through_libjpeg(
    images: Float[Tensor, "b 3 h w"], qualities: Sequence[int], chroma: Sequence[str]
) -> Float[Tensor, "b 3 h w"]:
    """As `compress`, by the codec that Pillow holds."""
    result = torch.empty_like(images)
    for i, pixels in enumerate(_levels(images).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()):
        file = io.BytesIO()
        subsampling = {"420": "4:2:0", "444": "4:4:4"}[chroma[i]]
        Image.fromarray(pixels).save(file, "JPEG", quality=qualities[i], subsampling=subsampling)
        result[i] = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255
    return result


def through_tensors(
    images: Float[Tensor, "b 3 h w"], qualities: Sequence[int], chroma: str
) -> Float[Tensor, "b 3 h w"]:
    """As `compress`, by tensors of 32-bit integers: what libjpeg computes, in its order and with its roundings.

    So the accurate integer DCT (its default), and its smooth enlarging of chroma. Entropy coding loses nothing and is
    left out.
    """
    height, width = images.shape[-2:]
    y, cb, cr = _ycc(_levels(images)).unbind(1)
    scales = torch.tensor([5000 // one if one < 50 else 200 - 2 * one for one in qualities])
    luma, colour = (_table(table, scales, images.device) for table in (_LUMA, _CHROMA))
    y = _coded(_edged(y, 8), luma)[:, :height, :width]
    if chroma == "420":
        high, wide = -(-height // 2), -(-width // 2)
        halved = [_halved(_edged(_edged(each, 16, across=True), 2, across=False)) for each in (cb, cr)]
        cb, cr = (_coded(_edged(each, 8), colour)[:, :high, :wide] for each in halved)
        cb, cr = (_doubled(each)[:, :height, :width] for each in (cb, cr))
    else:
        cb, cr = (_coded(_edged(each, 8), colour)[:, :height, :width] for each in (cb, cr))
    return _rgb(y, cb, cr).to(images.dtype) / 255


def _levels(images: Tensor) -> Int[Tensor, "b 3 h w"]:
    return (images.clamp(0, 1) * 255 + 0.5).floor().int()


def _ycc(levels: Tensor) -> Tensor:
    """JFIF's Y, Cb and Cr in 16 bits behind the point, as jccolor.c."""
    red, green, blue = levels.unbind(1)
    half, middle = 1 << 15, (128 << 16) + (1 << 15) - 1
    y = 19595 * red + 38470 * green + 7471 * blue + half
    cb = -11059 * red - 21709 * green + 32768 * blue + middle
    cr = 32768 * red - 27439 * green - 5329 * blue + middle
    return torch.stack([y, cb, cr], dim=1) >> 16


def _rgb(y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
    """The way back, as jdcolor.c."""
    cb, cr, half = cb - 128, cr - 128, 1 << 15
    red = y + ((91881 * cr + half) >> 16)
    green = y + ((-22554 * cb - 46802 * cr + half) >> 16)
    blue = y + ((116130 * cb + half) >> 16)
    return torch.stack([red, green, blue], dim=1).clamp(0, 255)


def _table(table: Sequence[Sequence[int]], scales: Tensor, device: torch.device) -> Int[Tensor, "b 1 1 8 8"]:
    """The table of each quality: jcparam.c's jpeg_add_quant_table."""
    scaled = (torch.tensor(table) * scales[:, None, None] + 50) // 100
    return scaled.clamp(1, 255)[:, None, None].int().to(device)


def _edged(plane: Tensor, block: int, across: bool | None = None) -> Tensor:
    """The plane up to whole blocks, its last column and row repeated; or only its columns, or only its rows."""
    high, wide = plane.shape[-2:]
    right, below = 0 if across is False else -wide % block, 0 if across else -high % block
    columns = torch.arange(wide + right, device=plane.device).clamp(max=wide - 1)
    rows = torch.arange(high + below, device=plane.device).clamp(max=high - 1)
    return plane.index_select(-1, columns).index_select(-2, rows)


def _halved(plane: Tensor) -> Tensor:
    """Means of 2×2, rounded up and down in turn (jcsample.c, h2v2_downsample)."""
    total = plane[:, ::2, ::2] + plane[:, 1::2, ::2] + plane[:, ::2, 1::2] + plane[:, 1::2, 1::2]
    bias = torch.arange(total.shape[-1], device=plane.device, dtype=plane.dtype) % 2 + 1
    return (total + bias) >> 2


def _doubled(plane: Tensor) -> Tensor:
    """Twice as large, each pixel 3/4 of the nearest and 1/4 of the next (jdsample.c, h2v2_fancy_upsample)."""
    if plane.shape[-1] <= 2:  # libjpeg only repeats so narrow a plane
        return plane.repeat_interleave(2, -1).repeat_interleave(2, -2)

    def woven(axis: int, before: int, after: int, shift: int) -> Tensor:
        last = plane.shape[axis] - 1
        places = torch.arange(last + 1, device=plane.device)
        previous = plane.index_select(axis, (places - 1).clamp(min=0))
        following = plane.index_select(axis, (places + 1).clamp(max=last))
        pair = (3 * plane + previous + before) >> shift, (3 * plane + following + after) >> shift
        return torch.stack(pair, dim=axis + 1).flatten(axis, axis + 1)

    plane = woven(1, 0, 0, 0)
    return woven(2, 8, 7, 4)


def _coded(plane: Int[Tensor, "b h w"], table: Int[Tensor, "b 1 1 8 8"]) -> Int[Tensor, "b h w"]:
    """A plane after its blocks were transformed, quantised, and transformed back."""
    count, high, wide = plane.shape
    blocks = plane.view(count, high // 8, 8, wide // 8, 8).transpose(2, 3) - 128
    forward, back = _matrices(plane.device)
    blocks = _transform(blocks, forward, _BITS - _EXTRA)
    blocks = _transform(blocks.mT, forward, _BITS + _EXTRA).mT  # now 8 times the coefficients
    step = 8 * table
    quantised = (blocks.abs() + step // 2) // step * blocks.sign() * table
    blocks = _transform(quantised.mT, back, _BITS - _EXTRA).mT
    blocks = _transform(blocks, back, _BITS + _EXTRA + 3)
    return (blocks + 128).clamp(0, 255).transpose(2, 3).reshape(count, high, wide)


def _transform(blocks: Tensor, matrix: Int[Tensor, "8 8"], shift: int) -> Tensor:
    """The rows of blocks times a matrix, without the last bits; devices have no product of integer matrices."""
    total = blocks.new_full((), 1 << (shift - 1)).expand_as(blocks).clone()
    for k in range(8):
        total += blocks[..., k, None] * matrix[k]
    return total >> shift


@lru_cache(maxsize=8)
def _matrices(device: torch.device) -> tuple[Tensor, Tensor]:
    """The transform of rows from the right, and the one back."""
    half = torch.tensor(_COSINES, dtype=torch.int32)
    mirror = torch.tensor([1, -1] * 4, dtype=torch.int32)[:, None]
    cosines = torch.cat([half, mirror * half.flip(1)], dim=1).to(device)
    return cosines.T.contiguous(), cosines
