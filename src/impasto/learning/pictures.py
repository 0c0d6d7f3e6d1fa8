"""Pictures of a manifest as tensors of one size: decoded ahead of their use, and held in memory where they fit."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import psutil
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import icc as profiles
from impasto.images import idx, read
from impasto.images.exif import ORIENTATION
from impasto.learning.manifest import Manifest
from impasto.networks.network import IMAGENET_MEAN
from impasto.networks.weights import sha256_of

Fit = Literal["squish", "crop", "pad"]
Box = Sequence[float]
Indices = Sequence[int] | np.ndarray

# What lies beside a padded picture: ImageNet's mean colour, which is nothing to a network once it is normalised.
PADDING = tuple(round(255 * level) for level in IMAGENET_MEAN)

# A JPEG is decoded at the smallest of its own scales (1/2, 1/4, 1/8) that leaves this many times the wanted size,
# and other pictures are first shrunk by whole factors to it, so that resampling sees what it would have seen.
GAP = 2.0

# How EXIF's orientations are stood upright with Pillow (Exif 2.32, tag 0x0112).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_CHUNK = 8  # pictures a thread takes at a time


@dataclass(frozen=True)
class Preprocessing:
    """How a picture of any shape becomes a square one.

    Attributes:
        size: Its side in pixels.
        fit: ``squish`` stretches the whole picture to the square, ``crop`` takes the largest square in its middle,
            ``pad`` puts the whole picture, unstretched, in the middle of the square.
    """

    size: int
    fit: Fit = "squish"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"pictures cannot be made {self.size} pixels wide: give 1 or more")
        if self.fit not in get_args(Fit):
            raise UsageError(f"there is no fit {self.fit!r}: there are {', '.join(get_args(Fit))}")

    def to_parts(self, box: Box, width: int, height: int) -> tuple[float, float, float, float]:
        """A box in pixels of the upright picture as parts of the square; what is cropped away lies outside [0, 1].

        Args:
            box: left, top, right, bottom.
            width: Of the upright picture.
            height: Likewise.

        >>> Preprocessing(100, "crop").to_parts((50, 0, 100, 100), 200, 100)
        (0.0, 0.0, 0.5, 1.0)
        """
        left, top, across, down = self._square(width, height)
        x0, y0, x1, y1 = box
        return (x0 - left) / across, (y0 - top) / down, (x1 - left) / across, (y1 - top) / down

    def to_pixels(self, parts: Box, width: int, height: int) -> tuple[float, float, float, float]:
        """A box in parts of the square as pixels of the upright picture: what `to_parts` undoes."""
        left, top, across, down = self._square(width, height)
        x0, y0, x1, y1 = parts
        return left + x0 * across, top + y0 * down, left + x1 * across, top + y1 * down

    def _square(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of the square in the picture's pixels; of a padded one, more than the picture."""
        if self.fit == "squish":
            return 0.0, 0.0, float(width), float(height)
        if self.fit == "crop":
            side = min(width, height)
            return (width - side) / 2, (height - side) / 2, float(side), float(side)
        left, top, wide, high = self._inside(width, height)
        across, down = width / wide, height / high  # the picture's pixels in one of the square's
        return -left * across, -top * down, self.size * across, self.size * down

    def _inside(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, width and height, in pixels of the square, of the picture that is padded to it."""
        scale = self.size / max(width, height)
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
        return (self.size - wide) // 2, (self.size - high) // 2, wide, high


def read_pixels(manifest: Manifest, index: int, preprocessing: Preprocessing) -> UInt8[Tensor, "3 s s"]:
    """The picture of a row: upright, in sRGB, on white where it is transparent, resampled bilinearly.

    Raises:
        UsageError: The picture is missing or broken.
    """
    return torch.from_numpy(_levels(manifest, index, preprocessing)).permute(2, 0, 1)


def picture_hash(manifest: Manifest, index: int) -> str:
    """The sha256 of a row's file; of an idx file's picture, of its pixels.

    Raises:
        UsageError: The file is missing or may not be read.
    """
    digit = _digit(manifest, index)
    if digit is not None:
        return hashlib.sha256(digit.tobytes()).hexdigest()
    path = manifest.root / manifest.paths[index]
    try:
        return sha256_of(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): scan the pictures again") from error


class Pictures:
    """The pictures of a manifest's rows, for many passes over them.

    Where all fit into the memory allowed, each is decoded once and held as bytes; else at every pass, ahead of
    its use. Decoding runs in threads of its own, for the decoders let other threads run meanwhile.
    """

    def __init__(
        self,
        manifest: Manifest,
        preprocessing: Preprocessing,
        memory_bytes: int | None = None,
        threads: int | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            manifest: The rows.
            preprocessing: The size and how it is reached.
            memory_bytes: How much may be held; default: half of the memory that is free now; 0 holds nothing.
            threads: How many decode; default: as many as torch computes with.
        """
        self.manifest = manifest
        self.preprocessing = preprocessing
        if memory_bytes is None:
            memory_bytes = psutil.virtual_memory().available // 2
        shape = (len(manifest), preprocessing.size, preprocessing.size, 3)
        holds = int(np.prod(shape)) <= memory_bytes
        # rows, columns, channels, as decoders and convolutions like it; the memory is taken only as it is filled
        self._held = np.empty(shape, np.uint8) if holds else None
        self._there = np.zeros(len(manifest), bool)
        self._pool = ThreadPoolExecutor(threads or torch.get_num_threads(), "pictures")

    def __len__(self) -> int:
        return len(self.manifest)

    def get(self, indices: Indices) -> UInt8[Tensor, "b 3 s s"]:
        """The pictures of these rows, in this order.

        Raises:
            UsageError: One is missing or broken.
        """
        return next(self.stream([indices]))[1]

    def in_order(self, batch_size: int = 64) -> Iterator[tuple[np.ndarray, UInt8[Tensor, "b 3 s s"]]]:
        """All rows with their pictures, in their order, in batches of sizes that differ by one at most.

        Raises:
            UsageError: One is missing or broken.
        """
        rows = np.arange(len(self))
        return self.stream(np.array_split(rows, -(-len(rows) // batch_size)) if len(rows) else [])

    def stream(
        self, batches: Iterable[Indices], ahead: int = 2
    ) -> Iterator[tuple[np.ndarray, UInt8[Tensor, "b 3 s s"]]]:
        """Each batch of rows with its pictures, while the next ones are decoded.

        Args:
            batches: The rows of each batch.
            ahead: How many batches are decoded beyond the one that is given out.

        Raises:
            UsageError: A picture is missing or broken.
        """
        waiting: deque[tuple[np.ndarray, np.ndarray, list[Future[None]]]] = deque()
        try:
            for batch in batches:
                waiting.append(self._begin(np.asarray(batch, dtype=np.int64)))
                if len(waiting) > ahead:
                    yield _finish(*waiting.popleft())
            while waiting:
                yield _finish(*waiting.popleft())
        finally:
            for _, _, futures in waiting:
                for future in futures:
                    future.cancel()

    def hashes(self, indices: Indices) -> Iterator[str]:
        """The sha256 of the pictures of these rows as they are now, as a manifest has it; read in the threads."""
        return self._pool.map(lambda index: picture_hash(self.manifest, index), indices)

    def _begin(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[Future[None]]]:
        """Set the threads to work on a batch: its rows, where its pictures will be, and what to wait for."""
        if self._held is not None and self._there[indices].all():
            return indices, self._held[indices], []
        size = self.preprocessing.size
        pixels = np.empty((len(indices), size, size, 3), np.uint8)
        starts = range(0, len(indices), _CHUNK)
        return (
            indices,
            pixels,
            [
                self._pool.submit(self._decode, indices[start : start + _CHUNK], pixels[start : start + _CHUNK])
                for start in starts
            ],
        )

    def _decode(self, indices: np.ndarray, onto: np.ndarray) -> None:
        for place, index in enumerate(indices):
            if self._held is None:
                onto[place] = _levels(self.manifest, index, self.preprocessing)
                continue
            if not self._there[index]:
                self._held[index] = _levels(self.manifest, index, self.preprocessing)
                self._there[index] = True
            onto[place] = self._held[index]


def _finish(indices: np.ndarray, pixels: np.ndarray, futures: list[Future[None]]) -> tuple[np.ndarray, Tensor]:
    for future in futures:
        future.result()
    return indices, torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _levels(manifest: Manifest, index: int, preprocessing: Preprocessing) -> np.ndarray:
    """The picture of a row as bytes (s, s, 3)."""
    digit = _digit(manifest, index)
    if digit is not None:
        return _squared(Image.fromarray(digit), 1, preprocessing)
    path = manifest.root / manifest.paths[index]
    quick = _quick(path, preprocessing)
    return _squared(_thorough(path), 1, preprocessing) if quick is None else quick


def _digit(manifest: Manifest, index: int) -> np.ndarray | None:
    """The pixels (h, w) of a row that is a picture of an idx file; None of another."""
    inside = idx.place(manifest.root / manifest.paths[index])
    return idx.read_image(*inside) if inside else None


def _quick(path: Path, preprocessing: Preprocessing) -> np.ndarray | None:
    """The picture by Pillow, which decodes JPEG at the scale that is needed; None where it does not do it right."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("L", "LA", "P", "RGB", "RGBA") or not _needs_no_profile(image):
                return None
            side = round(GAP * preprocessing.size)
            image.draft(None, (side, side))
            orientation = image.getexif().get(ORIENTATION, 1)
            return _squared(image, orientation, preprocessing)
    except Exception:  # whatever is wrong with it, the thorough way can read it or says it in one line
        return None


def _needs_no_profile(image: Image.Image) -> bool:
    icc = image.info.get("icc_profile")
    return not icc or _is_srgb(icc, "GRAY" if image.mode in ("L", "LA") else "RGB")


@lru_cache(maxsize=64)
def _is_srgb(icc: bytes, colours: str) -> bool:
    """Whether the colours are sRGB with this profile: it is no profile for them, or sRGB's."""
    sound = profiles.usable(icc, colours)
    return sound is None or (colours == "RGB" and profiles.is_srgb(sound))


def _thorough(path: Path) -> Image.Image:
    """The picture by the room that knows every kind of file, on white."""
    picture = read(path)
    pixels = picture.pixels
    if picture.alpha is not None:
        pixels = 1 + picture.alpha * (pixels - 1)
    return Image.fromarray(pixels[0].mul(255).round_().clamp_(0, 255).byte().permute(1, 2, 0).contiguous().numpy())


def _squared(image: Image.Image, orientation: Any, preprocessing: Preprocessing) -> np.ndarray:
    """An opened picture, made square, then stood upright."""
    size = preprocessing.size
    image = _on_white(image)
    width, height = image.size
    if preprocessing.fit == "pad":
        _, _, wide, high = preprocessing._inside(width, height)
        image = _resized(image, (wide, high), (0, 0, width, height))
    else:
        left, top, across, down = preprocessing._square(width, height)
        image = _resized(image, (size, size), (left, top, left + across, top + down))
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    image = image if image.mode == "RGB" else image.convert("RGB")
    if preprocessing.fit == "pad":
        padded = Image.new("RGB", (size, size), PADDING)
        padded.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
        image = padded
    return np.array(image)


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    if image.size == size == (box[2] - box[0], box[3] - box[1]):
        return image
    return image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=GAP)


def _on_white(image: Image.Image) -> Image.Image:
    """In gray or RGB, without palette and alpha."""
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
