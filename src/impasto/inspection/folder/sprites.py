"""Sprites: the thumbnails of many pictures in one, for a page that shows them all at once."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from impasto.errors import ImpastoError
from impasto.images.resize import fit, resize, size_of
from impasto.inspection.folder.pictures import read_pixels
from impasto.inspection.progress import Progress

SHEET = 4096  # longest side that browsers on phones can draw from
THUMBNAIL = 128  # longest side of one, at most

_JPEG_QUALITY = 82
_DARK, _LIGHT = 0.35, 0.65  # mean of gray pictures that are drawn in light ink on dark, and in dark ink on light


@dataclass(frozen=True)
class Sprites:
    """Thumbnails side by side.

    Attributes:
        source: The sheet, as a data URI.
        side: Of a thumbnail's square cell in pixels; the thumbnail lies in its left upper corner.
        columns: Cells in a row.
        sizes: Width and height of each thumbnail.
        ink: Whether all are gray drawings (digits, letters): then the sheet is ink, white, with its opacity.
    """

    source: str
    side: int
    columns: int
    sizes: tuple[tuple[int, int], ...]
    ink: bool


def sprites(paths: Sequence[Path], progress: Progress | None = None) -> Sprites:
    """The pictures made small, none larger than it is, in a sheet of :data:`SHEET` pixels at most."""
    columns = math.ceil(math.sqrt(len(paths)))
    side = max(4, min(THUMBNAIL, SHEET // columns))
    small: list[np.ndarray] = []
    with ThreadPoolExecutor(2) as pool:
        for made in pool.map(lambda path: _small(path, side), paths):
            small.append(made)
            if progress and len(small) % 20 == 0:
                progress(len(small) / len(paths), f"thumbnails {len(small)} of {len(paths)}")
    side = max(max(one.shape[:2]) for one in small)
    gray = all(bool((one[..., 0] == one[..., 1]).all() and (one[..., 0] == one[..., 2]).all()) for one in small)
    mean = float(np.mean([one.mean() for one in small])) / 255
    ink = gray and not _DARK <= mean <= _LIGHT
    sheet = np.zeros((math.ceil(len(small) / columns) * side, columns * side, 3), np.uint8)
    for number, one in enumerate(small):
        top, left = number // columns * side, number % columns * side
        sheet[top : top + one.shape[0], left : left + one.shape[1]] = one if not ink or mean < _DARK else 255 - one
    buffer = io.BytesIO()
    if ink:
        alpha = sheet[..., 0]
        Image.fromarray(np.dstack([np.full_like(alpha, 255), alpha])).save(buffer, "PNG", optimize=True)
    elif gray or side <= 32:
        Image.fromarray(sheet[..., 0] if gray else sheet).save(buffer, "PNG", optimize=True)
    else:
        Image.fromarray(sheet).save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    kind = "jpeg" if not (ink or gray or side <= 32) else "png"
    return Sprites(
        data_uri(buffer.getvalue(), f"image/{kind}"),
        side,
        columns,
        tuple((one.shape[1], one.shape[0]) for one in small),
        ink,
    )


def data_uri(data: bytes, kind: str) -> str:
    """Bytes as an address that a page can use without any host."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _small(path: Path, side: int) -> np.ndarray:
    """A thumbnail (h, w, 3) uint8; of a picture that has gone since, a gray one."""
    try:
        pixels = read_pixels(path)
    except ImpastoError:
        return np.full((side, side, 3), 128, np.uint8)
    pixels = resize(pixels, fit(size_of(pixels), min(side, max(size_of(pixels))))).clamp(0, 1)
    return (pixels[0].permute(1, 2, 0) * 255).round().byte().numpy()
