"""Thumbnails: small JPEG pictures inside a page, with boxes over them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from impasto.errors import ImpastoError
from impasto.images import idx
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Preprocessing, read_pixels

_QUALITY = 78


@dataclass(frozen=True)
class Thumbnail:
    """A picture made small.

    Attributes:
        source: A data URI; empty where the picture cannot be read any more.
        width: In pixels.
        height: Likewise.
    """

    source: str
    width: int
    height: int

    def rectangle(self, box: np.ndarray, preprocessing: Preprocessing) -> tuple[float, float, float, float]:
        """Left, top, width and height, in pixels of the thumbnail, of a box in parts of what the classifier saw."""
        left, top, right, bottom = preprocessing.to_pixels(box.tolist(), self.width, self.height)
        left, right = (min(max(x, 0.0), float(self.width)) for x in (left, right))
        top, bottom = (min(max(y, 0.0), float(self.height)) for y in (top, bottom))
        return round(left, 1), round(top, 1), round(max(0.0, right - left), 1), round(max(0.0, bottom - top), 1)


def thumbnail(pixels: np.ndarray, size: tuple[int, int]) -> Thumbnail:
    """Levels (h, w, 3) as a thumbnail of a width and height."""
    image = Image.fromarray(pixels)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return Thumbnail(f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}", *size)


class Thumbnails:
    """Thumbnails of pictures by their paths, each made once.

    A path is absolute, and ``FILE#N`` that of a picture in an idx file; it need not be there any more.
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self._made: dict[tuple[int, int], Thumbnail] = {}

    def of(self, row: int, side: int) -> Thumbnail:
        """That of a row, its longer side so many pixels long."""
        if (row, side) not in self._made:
            self._made[row, side] = self._make(row, side)
        return self._made[row, side]

    @cached_property
    def _manifest(self) -> Manifest:
        return Manifest.from_rows(({"path": path} for path in self._paths), "/")

    def _make(self, row: int, side: int) -> Thumbnail:
        try:
            across, down = self._size(row)
            pixels = read_pixels(self._manifest, row, Preprocessing(side, "squish"))
        except (ImpastoError, OSError, ValueError):
            return Thumbnail("", side, side)
        scale = side / max(across, down)
        size = max(1, round(across * scale)), max(1, round(down * scale))
        return thumbnail(pixels.permute(1, 2, 0).contiguous().numpy(), size)

    def _size(self, row: int) -> tuple[int, int]:
        """Width and height of the upright picture."""
        path = self._paths[row]
        if inside := idx.place(path):
            height, width = idx.read_image(*inside).shape
            return width, height
        try:
            with Image.open(path) as image:
                upright = image.getexif().get(0x0112, 1) < 5
                return image.size if upright else (image.height, image.width)
        except (OSError, ValueError, SyntaxError):
            from impasto.images import read

            picture = read(path)
            return picture.width, picture.height
