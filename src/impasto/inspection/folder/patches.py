"""Patches: exactly the part of a picture that an activation sees."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from impasto.networks.geometry import TapGeometry

Box = tuple[int, int, int, int]

GRAY = 0.5  # what lies beyond the border


def patch_box(geometry: TapGeometry, position: Sequence[int], picture_size: tuple[int, int]) -> Box:
    """The receptive field of a position, as (top, left, bottom, right) in pixels, the latter two not included.

    It hangs over the picture's border where the field does; it is the whole picture where the tap sees everything.

    Args:
        geometry: Of the tap, as ``taps.geometry()`` measures it.
        position: (row, column) in the tap's map.
        picture_size: Height and width of the picture that the network saw.

    >>> patch_box(TapGeometry(stride=2, before=3, after=3), (0, 5), (32, 32))
    (-3, 7, 4, 14)
    """
    height, width = picture_size
    if geometry.everywhere:
        return 0, 0, height, width
    top, left = (int(place) * geometry.stride - geometry.before for place in position)
    field = geometry.before + geometry.after + 1
    return top, left, top + field, left + field


def patch(picture: Float[Tensor, "1 3 h w"], box: Box) -> Float[Tensor, "1 3 bh bw"]:
    """A part of a picture; what of it lies beyond the border is gray.

    >>> import torch
    >>> patch(torch.ones(1, 3, 4, 4), (-1, 0, 1, 2))[0, 0]
    tensor([[0.5000, 0.5000],
            [1.0000, 1.0000]])
    """
    top, left, bottom, right = box
    height, width = picture.shape[-2:]
    cut = picture.new_full((1, 3, bottom - top, right - left), GRAY)
    inside = (slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width)))
    if inside[0].stop > inside[0].start and inside[1].stop > inside[1].start:
        rows = slice(inside[0].start - top, inside[0].stop - top)
        columns = slice(inside[1].start - left, inside[1].stop - left)
        cut[..., rows, columns] = picture[..., inside[0], inside[1]]
    return cut
