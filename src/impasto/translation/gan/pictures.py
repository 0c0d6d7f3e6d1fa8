"""Real pictures of a folder, or of idx files, small and in memory: what a generator is to make more of."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import idx, read
from impasto.images.folder import pictures_below
from impasto.images.resize import resize
from impasto.translation.gan.game import seed_of
from impasto.translation.pictures import on_white

log = logging.getLogger("impasto")

MOST_OBLONG = 2.0  # of what is kept of a picture: longer ones lose their ends


@dataclass(frozen=True)
class RealPictures:
    """Pictures whose shorter side is ``size`` pixels.

    Attributes:
        pixels: One by one, (C, h, w), 0 … 255.
        size: Side of what :meth:`batch` gives.
        sha256: Of all pixels: tells whether pictures have changed.
    """

    pixels: Sequence[UInt8[Tensor, "c h w"]] = field(repr=False)
    size: int
    sha256: str

    @property
    def channels(self) -> int:
        """1 if all are gray, as digits are; else 3."""
        return int(self.pixels[0].shape[0])

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, number: int, count: int, *, seed: int, flip: bool = False) -> Float[Tensor, "b c s s"]:
        """The pictures of a batch, in [0, 1]: cropped to squares by chance, in an order that shows all of them in turn.

        What is drawn depends on the seed and on the number of pictures drawn before, on nothing else.

        Args:
            number: Of the batch, from 0; all batches have to be of one size.
            count: Pictures in it.
            seed: Of the order, of where the pictures are cropped, and of which are mirrored.
            flip: Whether to mirror half of them.
        """
        drawn = []
        for serial in range(number * count, (number + 1) * count):
            walk, place = divmod(serial, len(self))
            picture = self.pixels[_order(len(self), seed, walk)[place]]
            chance = np.random.default_rng([seed, serial])
            top, left = (int(chance.integers(side - self.size + 1)) for side in picture.shape[1:])
            picture = picture[:, top : top + self.size, left : left + self.size]
            drawn.append(picture.flip(2) if flip and chance.random() < 0.5 else picture)
        return torch.stack(drawn).float() / 255


def load_pictures(source: Path, size: int, *, progress: Callable[[float, str], object] | None = None) -> RealPictures:
    """Read all pictures below a folder, or those of MNIST's idx files, and make them small.

    Files that cannot be read are passed over with a warning; transparent pictures lie on white.

    Args:
        source: A folder, or an idx file.
        size: Their shorter side, in pixels.
        progress: Called with the part that is done and a few words.

    Raises:
        UsageError: No pictures, fewer than two that can be read, or a damaged idx file.
    """
    if files := idx.image_files(source):
        pixels = [one for file in files for one in _digits(file, size)]
    elif source.is_dir():
        pixels = _below(source, size, progress)
    else:
        raise UsageError(f"{source} is no folder of pictures and no idx file: check the name")
    if len(pixels) < 2:
        raise UsageError(f"{source} holds {len(pixels)} pictures that can be read: a generator learns from many")
    digest = hashlib.sha256()
    for one in pixels:
        digest.update(repr(tuple(one.shape)).encode() + one.contiguous().numpy().tobytes())
    return RealPictures(pixels, size, digest.hexdigest())


def _digits(file: Path, size: int) -> list[Tensor]:
    found = torch.from_numpy(idx.images(file).copy())[:, None].float() / 255
    if not len(found):
        return []
    return list(_levels(resize(found, _short_side(found, size))))


def _below(folder: Path, size: int, progress: Callable[[float, str], object] | None) -> list[Tensor]:
    names, made, lost = pictures_below(folder), list[Tensor](), list[str]()
    for number, name in enumerate(names):
        try:
            picture = read(folder / name)
        except UsageError as error:
            lost.append(str(error))
            continue
        pixels = on_white(picture)
        small = resize(pixels, _short_side(pixels, size))
        h, w = (min(side, int(MOST_OBLONG * size)) for side in small.shape[2:])
        top, left = (small.shape[2] - h) // 2, (small.shape[3] - w) // 2
        made.append(_levels(small[0, :, top : top + h, left : left + w]))
        if progress:
            progress((number + 1) / len(names), f"reading {name}")
    if lost:
        log.warning("%d of %d pictures were passed over: %s", len(lost), len(names), lost[0])
    if all(torch.equal(one, one[:1].expand_as(one)) for one in made):
        return [one[:1].contiguous() for one in made]  # gray all: a generator has no colours to learn
    return made


def _short_side(pixels: Tensor, size: int) -> tuple[int, int]:
    """(height, width) of the same proportions, the shorter side of that size."""
    h, w = pixels.shape[-2:]
    return max(size, round(h * size / min(h, w))), max(size, round(w * size / min(h, w)))


def _levels(pixels: Tensor) -> Tensor:
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8).contiguous()


@lru_cache(maxsize=4)
def _order(count: int, seed: int, walk: int) -> np.ndarray:
    """The order of a walk through all pictures."""
    return np.random.default_rng(seed_of(seed, walk)).permutation(count)
