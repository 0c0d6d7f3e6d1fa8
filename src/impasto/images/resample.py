"""Resampling as MATLAB's imresize does it: what the tables of super-resolution are measured with."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from impasto.errors import UsageError

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from torch import Tensor

Kernel = Literal["bicubic", "bilinear", "box"]

# Over how many input pixels each kernel reaches when it is not stretched.
_WIDTHS: dict[Kernel, float] = {"bicubic": 4.0, "bilinear": 2.0, "box": 1.0}

# Output rows (or columns) that are made by one product of matrices: many enough for the product to be efficient, few
# enough that little of the matrix is zero.
_BLOCK = 32


def imresize(
    image: Float[Tensor, "b c h w"],
    *,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    kernel: Kernel = "bicubic",
    antialias: bool = True,
) -> Float[Tensor, "b c height width"]:
    """The image resampled by ``scale``, or to ``size``: what MATLAB's imresize gives for the same image in double.

    As MATLAB's ``contributions``: the kernel is centred at u = x/scale + (1 − 1/scale)/2 (pixels counted from 1), is
    stretched by 1/scale where the image shrinks, is normalised to the sum 1 at each output pixel, and sees the image
    mirrored at its borders (the border pixel twice). A scale gives ⌈scale · side⌉ pixels and stays itself the scale of
    the grid; a size gives each axis its own. The axis that shrinks most goes first, of two equal ones the vertical.

    The weights are made in float64 and applied in the image's precision, at least float32. Nothing is clamped or
    rounded: bicubic overshoots [0, 1] at edges. (Of a uint8 image MATLAB clamps and rounds after each of the two axes.)

    Args:
        image: Any values, on any device. Gradients flow.
        scale: Output side / input side, of both axes.
        size: (height, width) of the output, instead of a scale.
        kernel: ``bicubic`` is Keys's cubic with a = −1/2 (1981); ``bilinear`` a triangle; ``box`` the mean of the
            pixels covered, and the nearest pixel where the image grows.
        antialias: Whether the kernel is stretched where the image shrinks.

    Raises:
        UsageError: Both a scale and a size, or neither; or one that is not positive.

    >>> import torch
    >>> imresize(torch.arange(16.0).view(1, 1, 4, 4), scale=0.5, kernel="box")
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    import torch

    if (scale is None) == (size is None):
        raise UsageError("imresize takes a scale or a size: give one of them")
    sides = (int(image.shape[-2]), int(image.shape[-1]))
    if scale is not None:
        if not (scale > 0 and math.isfinite(scale)):
            raise UsageError(f"a picture cannot be resampled by {scale}: give a scale above 0")
        scales = (scale, scale)
        size = (math.ceil(scale * sides[0]), math.ceil(scale * sides[1]))
    else:
        assert size is not None
        if min(size) < 1:
            raise UsageError(f"a picture cannot be resampled to {size[1]}×{size[0]} pixels: give sides of at least 1")
        scales = (size[0] / sides[0], size[1] / sides[1])
    if kernel not in _WIDTHS:
        raise UsageError(f"no kernel {kernel!r}: there are {', '.join(_WIDTHS)}")
    precision = image.dtype if image.dtype == torch.float64 else torch.float32
    result = image.to(precision)
    with torch.autocast(image.device.type, enabled=False):  # half precision would be seen
        for axis in sorted((0, 1), key=lambda axis: scales[axis]):
            if scales[axis] == 1:
                continue
            blocks = _blocks(sides[axis], size[axis], scales[axis], kernel, antialias, precision, image.device)
            result = _along(axis, result, size[axis], blocks)
    return result.to(image.dtype)


def round_to_8_bits(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The image clamped to [0, 1] and rounded to the 256 values of a file of 8 bits; halves go up, as in MATLAB.

    >>> import torch
    >>> (round_to_8_bits(torch.tensor([-0.1, 0.5, 0.501, 2.0])) * 255).round()
    tensor([  0., 128., 128., 255.])
    """
    return (image.clamp(0, 1) * 255 + 0.5).floor() / 255


class _Block(NamedTuple):
    """Some neighbouring outputs: which they are, which inputs they see, and with what weights (outputs, inputs)."""

    outputs: slice
    inputs: slice
    weights: Tensor


def _along(axis: int, image: Tensor, length: int, blocks: tuple[_Block, ...]) -> Tensor:
    def part(block: _Block) -> Tensor:
        if axis == 0:
            return block.weights @ image[..., block.inputs, :]
        return image[..., block.inputs] @ block.weights.T

    if len(blocks) == 1:
        return part(blocks[0])
    shape = (*image.shape[:-2], *((length, image.shape[-1]) if axis == 0 else (image.shape[-2], length)))
    result = image.new_empty(shape)
    for block in blocks:
        result[(..., block.outputs, slice(None)) if axis == 0 else (..., block.outputs)] = part(block)
    return result


@lru_cache(maxsize=128)
def _blocks(
    side: int,
    length: int,
    scale: float,
    kernel: Kernel,
    antialias: bool,
    precision: torch.dtype,
    device: torch.device,
) -> tuple[_Block, ...]:
    """MATLAB's contributions of ``side`` inputs to ``length`` outputs, as small dense matrices beside the diagonal."""
    import torch

    stretch = min(scale, 1.0) if antialias else 1.0
    width = _WIDTHS[kernel] / stretch
    centres = torch.arange(1, length + 1, dtype=torch.float64) / scale + 0.5 * (1 - 1 / scale)
    seen = (centres - width / 2).floor()[:, None] + torch.arange(math.ceil(width) + 2, dtype=torch.float64)
    weights = kernel_at(kernel, stretch * (centres[:, None] - seen))
    weights /= weights.sum(1, keepdim=True)
    mirrored = torch.cat([torch.arange(side), torch.arange(side).flip(0)])
    indices = mirrored[(seen.long() - 1).remainder(2 * side)]
    blocks = []
    for start in range(0, length, _BLOCK):
        rows = slice(start, min(start + _BLOCK, length))
        first, last = int(indices[rows].min()), int(indices[rows].max()) + 1
        dense = torch.zeros(rows.stop - rows.start, last - first, dtype=torch.float64)
        dense.scatter_add_(1, indices[rows] - first, weights[rows])
        blocks.append(_Block(rows, slice(first, last), dense.to(device, precision)))
    return tuple(blocks)


def kernel_at(kernel: Kernel, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The weight of an input pixel at this distance from an output pixel, in input pixels; of ``box``, as a double.

    >>> import torch
    >>> kernel_at("bicubic", torch.tensor([0.0, 0.5, -1.5, 2.0])).tolist()
    [1.0, 0.5625, -0.0625, 0.0]
    """
    import torch

    far = x.abs()
    if kernel == "bicubic":
        near = 1.5 * far**3 - 2.5 * far**2 + 1
        beyond = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
        return torch.where(far <= 1, near, torch.where(far <= 2, beyond, 0.0))
    if kernel == "bilinear":
        return (1 - far).clamp_min(0)
    return ((x >= -0.5) & (x < 0.5)).double()
