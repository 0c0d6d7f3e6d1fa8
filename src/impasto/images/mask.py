"""Masks: pictures whose brightness says how much each place counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from impasto.images.read import read
from impasto.images.strips import strips

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def read_mask(path: str | Path) -> Float[Tensor, "1 1 h w"]:
    """Read a picture as weights in [0, 1]: white counts fully, black and the transparent not at all.

    A weight is the gray level as stored, times the alpha where there is one; so gray 128 of 255 weighs about a
    half. A colour's gray level is its luma (ITU-R BT.709, item 3.2).

    Raises:
        UsageError: The file is missing, unreadable, damaged, too large or no picture.
        ImpastoError: There is not enough memory for it.
    """
    import torch

    picture = read(path)
    mask = torch.empty(1, 1, picture.height, picture.width)
    for rows in strips(picture.height, picture.width):
        red, green, blue = (picture.pixels[:, channel, rows] for channel in range(3))
        # 0.2126 R + 0.7152 G + 0.0722 B, in the form that leaves a gray exactly as it is.
        mask[:, 0, rows] = green + 0.2126 * (red - green) + 0.0722 * (blue - green)
    if picture.alpha is not None:
        mask *= picture.alpha
    return mask.clamp_(0, 1)
