"""Levels: a picture's colours as the whole numbers that a file holds, computed as they are saved.

The libvips images here compute their rows when they are asked for them, from the memory of the picture's own
tensors. So a picture is written without a second one, of whatever kind of numbers, ever being held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from impasto.images import icc as profiles
from impasto.images.libvips import libvips

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

# Of each depth: the highest level, libvips's name for such numbers, and for such colours.
_DEPTHS = {8: (255, "uchar", "srgb"), 16: (65535, "ushort", "rgb16")}


def levels(colours: Any, alpha: Any | None, icc: bytes | None, depth: int) -> Any:
    """An image of `depth` bits, 8 or 16, whose colours are in the space of the RGB profile.

    Values are rounded to the nearest level, halves to the even one; those outside [0, 1] are clamped.
    """
    if icc is None or profiles.is_srgb(icc):
        image = _rounded(colours, depth)
    else:
        # By 16 bits, whatever the depth, so that nothing is lost to rounding on the way.
        image = profiles.from_srgb(_rounded(colours, 16), icc)
        image = image if depth == 16 else _rounded(image / 65535, depth)
    return image if alpha is None else image.bandjoin(_rounded(alpha, depth))


def over_white(colours: Any, alpha: Any) -> Any:
    """The colours, clamped to [0, 1], as they look on white paper."""
    alpha = alpha.clamp()
    return colours.clamp() * alpha + (1 - alpha)


def floats(tensor: Float[Tensor, "1 c h w"]) -> Any:
    """A tensor on the processor as an image of floats that shares its memory."""
    height, width = tensor.shape[2:]
    planes = (plane.contiguous().numpy() for plane in tensor[0])
    first, *others = (libvips().Image.new_from_memory(plane, width, height, 1, "float") for plane in planes)
    return first.bandjoin(others) if others else first


def _rounded(values: Any, depth: int) -> Any:
    highest, numbers, colours = _DEPTHS[depth]
    return (values * highest).rint().cast(numbers).copy(interpretation=colours)
