"""Read a picture from a file: upright, in sRGB, with all that the file has beside its colours."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import UsageError
from impasto.images import icc as profiles
from impasto.images.exif import upright
from impasto.images.orientation import lay, upright_size
from impasto.images.picture import Picture
from impasto.images.recipe import from_xmp
from impasto.images.source import one_line_errors, open_source

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 250_000_000
MAX_PIXELS_VARIABLE = "IMPASTO_MAX_PIXELS"

# libvips's names for colours: what we call them, how many channels they have, whose profiles fit them.
_COLOURS = {
    "b-w": ("L", 1, "GRAY"),
    "grey16": ("L", 1, "GRAY"),
    "srgb": ("RGB", 3, "RGB"),
    "rgb": ("RGB", 3, "RGB"),
    "rgb16": ("RGB", 3, "RGB"),
    "scrgb": ("RGB", 3, "RGB"),
    "cmyk": ("CMYK", 4, "CMYK"),
}


def read(path: str | Path, *, max_pixels: int | None = None) -> Picture:
    """Read a JPEG, PNG, WebP, TIFF, AVIF, HEIC, GIF or BMP file; of an animation, the first frame.

    The file is recognised by its content. Its orientation is applied, its colours are converted to sRGB
    by its ICC profile (colours outside sRGB end at its border), and alpha and 16 bits are kept. A PNG's
    gAMA chunk is ignored, as Pillow and libvips ignore it. A float TIFF is taken as sRGB-encoded, in [0, 1].

    The picture is decoded, converted and turned strip by strip into its tensor, so that a large one needs
    little memory beside that, but for the kinds of file that can only be decoded whole.

    Args:
        path: The picture file.
        max_pixels: The most pixels that are decoded, asked of the header before any is. Default: the
            environment variable `IMPASTO_MAX_PIXELS`, or 250 million.

    Raises:
        UsageError: The file is missing, unreadable, empty, damaged, cut short, too large or no picture.
        ImpastoError: There is not enough memory for it.

    >>> from impasto.images import read
    >>> read("photo.jpg").pixels.shape  # doctest: +SKIP
    torch.Size([1, 3, 3024, 4032])
    """
    path = Path(path)
    source = open_source(path)
    _check_size(path, source.width, source.height, max_pixels)
    strips = (_without_floats(path, strip) for strip in source.strips())
    first = next(strips)
    mode, channels, kind = _colours(path, first)
    icc = profiles.usable(source.icc, kind)
    size = upright_size(source.orientation, source.height, source.width)
    pixels = _empty(path, source.kind, 3, size)
    alpha = _empty(path, source.kind, 1, size) if first.bands > channels else None
    top = 0
    for strip in chain([first], strips):
        lay(_floats(_in_srgb(strip.extract_band(0, n=channels), kind, icc)), top, pixels, source.orientation)
        if alpha is not None:
            lay(_floats(strip[channels]), top, alpha, source.orientation)
        top += strip.height
    return Picture(
        pixels=pixels,
        alpha=alpha,
        icc=icc,
        exif=upright(source.exif),
        depth=16 if first.format == "ushort" else 8,
        mode="P" if source.palette else mode + ("A" if alpha is not None else ""),
        recipe=from_xmp(source.xmp),
    )


def _check_size(path: Path, width: int, height: int, bound: int | None) -> None:
    if bound is None:
        setting = os.environ.get(MAX_PIXELS_VARIABLE) or str(MAX_PIXELS)
        try:
            bound = int(setting)
        except ValueError:
            raise UsageError(f"{MAX_PIXELS_VARIABLE} is {setting!r}: it must be a whole number") from None
    if width * height > bound:
        raise UsageError(
            f"{path} is {width} x {height} pixels, more than the {bound:,} allowed: "
            f"make it smaller, or raise max_pixels or {MAX_PIXELS_VARIABLE}"
        )


def _without_floats(path: Path, image: Any) -> Any:
    """The image in 8 or 16 bits. Floats in [0, 1] become 16 bits; other numbers are no picture's."""
    if image.format in ("uchar", "ushort"):
        return image
    import numpy as np

    values = image.numpy()
    if image.format not in ("float", "double") or not bool(((values >= 0) & (values <= 1)).all()):
        raise UsageError(
            f"{path} holds {image.format} numbers, not all of them colours in 0…1: save it with 8 or 16 bits"
        )
    levels = np.rint(values * 65535).astype(np.uint16)
    interpretation = "grey16" if image.bands < 3 else "rgb16"
    return type(image).new_from_array(levels).copy(interpretation=interpretation)


def _colours(path: Path, image: Any) -> tuple[str, int, str]:
    mode, channels, kind = _COLOURS.get(image.interpretation, ("", 0, ""))
    if not mode or not channels <= image.bands <= channels + 1:
        raise UsageError(
            f"{path} has {image.bands} channels of {image.interpretation} colour: save it as gray, RGB or CMYK"
        )
    return mode, channels, kind


def _in_srgb(image: Any, kind: str, icc: bytes | None) -> Any:
    """Colours without alpha in sRGB: one channel for gray with no profile, else three."""
    if kind != "CMYK" and (icc is None or (kind == "RGB" and profiles.is_srgb(icc))):
        return image
    return profiles.to_srgb(image, icc)


def _empty(path: Path, kind: str, channels: int, size: tuple[int, int]) -> Tensor:
    import torch

    with one_line_errors(path, kind):
        return torch.empty(1, channels, *size)


def _floats(image: Any) -> Tensor:
    """An 8- or 16-bit image as float32 (channels, height, width) in [0, 1]."""
    import torch

    levels = image.numpy().reshape(image.height, image.width, image.bands)
    highest = 255 if image.format == "uchar" else 65535
    return torch.from_numpy(levels).permute(2, 0, 1).to(torch.float32).div_(highest)
