"""Read a picture from a file: upright, in sRGB, with all that the file has beside its colours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import UsageError
from impasto.images import icc as profiles
from impasto.images.exif import upright
from impasto.images.picture import Picture
from impasto.images.recipe import from_xmp
from impasto.images.source import open_source

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
    source = open_source(path)
    _check_size(Path(path), source.width, source.height, max_pixels)
    image = source.decode().autorot()
    image = _without_floats(Path(path), image)
    mode, channels, kind = _colours(Path(path), image)
    icc = profiles.usable(source.icc, kind)
    depth: Any = 16 if image.format == "ushort" else 8
    alpha = _tensor(image[channels]) if image.bands > channels else None
    palette = image.get_typeof("palette") != 0
    return Picture(
        pixels=_tensor(_in_srgb(image.extract_band(0, n=channels), kind, icc)).expand(-1, 3, -1, -1).contiguous(),
        alpha=alpha,
        icc=icc,
        exif=upright(source.exif),
        depth=depth,
        mode="P" if palette else mode + ("A" if alpha is not None else ""),
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


def _tensor(image: Any) -> Tensor:
    """An 8- or 16-bit image as float32 (1, channels, height, width) in [0, 1]."""
    import torch

    levels = image.numpy().reshape(image.height, image.width, image.bands)
    highest = 255 if image.format == "uchar" else 65535
    return torch.from_numpy(levels).permute(2, 0, 1)[None].contiguous().to(torch.float32).div_(highest)
