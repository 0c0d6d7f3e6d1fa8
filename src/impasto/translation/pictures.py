"""Pictures to learn from: those of a folder, decoded once where memory allows, and crops of them by a seed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, read
from impasto.images.folder import pictures_below
from impasto.images.resample import imresize
from impasto.runs.recipe import Input, find, input_file

Tell = Callable[[float, str], object]

LEAST_PICTURES = 2


@dataclass(frozen=True)
class Folder:
    """The pictures that are learnt from and those that are not, as paths.

    Attributes:
        train: To learn from.
        valid: To judge by.
    """

    train: tuple[Path, ...]
    valid: tuple[Path, ...]


def split(folder: Path, share: float, seed: int) -> Folder:
    """The pictures below a folder, or below its ``train`` if it has that; for validation those below its ``valid`` (or
    ``val``), of which none is learnt from, or a part of the others taken out by chance.

    Raises:
        UsageError: There are fewer than two.
    """
    held = next((folder / name for name in ("valid", "val") if (folder / name).is_dir()), None)
    root = folder / "train" if (folder / "train").is_dir() else folder
    paths = [root / name for name in pictures_below(root)]
    if held:
        paths = [path for path in paths if held not in path.parents]
    if len(paths) < LEAST_PICTURES:
        raise UsageError(f"{root} holds {len(paths)} picture to learn from: that takes {LEAST_PICTURES} at least")
    if held:
        return Folder(tuple(paths), tuple(held / name for name in pictures_below(held)))
    chosen = set(taken_out(len(paths), share, seed))
    return Folder(
        tuple(path for number, path in enumerate(paths) if number not in chosen),
        tuple(path for number, path in enumerate(paths) if number in chosen),
    )


def taken_out(count: int, share: float, seed: int) -> list[int]:
    """The numbers of those of so many that are kept for validation: of a few, one; never all."""
    some = min(count - 1, max(round(count * share), share > 0))
    return sorted(np.random.default_rng(seed).permutation(count)[:some].tolist())


def records(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Path, size and hash of each file, for a manifest."""
    return [input_file("picture", path).model_dump(include={"path", "size", "sha256"}) for path in paths]


def unchanged(kept: Iterable[Mapping[str, Any]], search: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Where the files of such records are now: at their place, or below the folders ``search``, known by their hash.

    Raises:
        UsageError: One is gone or has changed.
    """
    inputs = [Input(role="picture", **one) for one in kept]
    found = find(inputs, search)
    return tuple(found[one.sha256] for one in inputs)


class Pictures:
    """Pictures by number, as 8-bit colours; decoded when first asked for, kept as memory allows."""

    def __init__(self, paths: Sequence[Path], *, memory: int, zooms: Sequence[float] = (1.0,)) -> None:
        """Take pictures from these files.

        Args:
            paths: The files.
            memory: Bytes that may be used to keep them.
            zooms: Factors by which they are made smaller, each a picture of its own.
        """
        self.paths, self.zooms = tuple(paths), tuple(zooms)
        self._memory, self._used, self._lock = memory, 0, Lock()
        self._kept: OrderedDict[tuple[int, float], UInt8[Tensor, "3 h w"]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.paths)

    def get(self, number: int, zoom: float = 1.0) -> UInt8[Tensor, "3 h w"]:
        """A picture, made smaller by a factor (MATLAB's bicubic).

        Raises:
            UsageError: The file cannot be read.
        """
        key = (number, zoom)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        if zoom == 1.0:
            made = levels(on_white(read(self.paths[number])))
        else:
            whole = self.get(number)[None].float() / 255
            size = (max(1, round(whole.shape[-2] * zoom)), max(1, round(whole.shape[-1] * zoom)))
            made = levels(imresize(whole, size=size))
        with self._lock:
            if key not in self._kept:  # another thread may have been as quick
                self._kept[key] = made
                self._used += made.numel()
            while self._used > self._memory and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._used -= dropped.numel()
        return made

    def crop(self, number: int, size: int, seed: int, *, turns: bool = True) -> Float[Tensor, "3 size size"]:
        """A square of a picture at a random place, mirrored or not, turned or not, in [0, 1].

        A picture that is smaller is continued at its borders by its mirror image.

        Args:
            number: Of the picture.
            size: Side in pixels.
            seed: Of the chance.
            turns: Turn it by quarters, too.
        """
        chance = np.random.default_rng(seed)
        zoom = self.zooms[chance.integers(len(self.zooms))]
        picture = self.get(number, zoom)
        if min(picture.shape[1:]) < size <= min(self.get(number).shape[1:]):
            picture = self.get(number)
        picture = mirrored_to(picture, size)
        top = int(chance.integers(picture.shape[1] - size + 1))
        left = int(chance.integers(picture.shape[2] - size + 1))
        found = picture[:, top : top + size, left : left + size]
        flip, turn = chance.integers(2), chance.integers(4)
        if flip:
            found = found.flip(2)
        if turns and turn:
            found = found.rot90(int(turn), (1, 2))
        return found.float() / 255


def middle(picture: UInt8[Tensor, "3 h w"], largest: int, multiple: int) -> Float[Tensor, "1 3 k l"]:
    """The middle of a picture, at most so large, its sides multiples, in [0, 1]."""
    picture = mirrored_to(picture, multiple)
    height, width = (min(side, largest) // multiple * multiple for side in picture.shape[1:])
    top, left = (picture.shape[1] - height) // 2, (picture.shape[2] - width) // 2
    return picture[None, :, top : top + height, left : left + width].float() / 255


def mirrored_to(picture: Tensor, size: int) -> Tensor:
    """A picture continued by its mirror image, to the right and below, until both sides are ``size`` at least."""
    for axis in (1, 2):
        while picture.shape[axis] < size:
            picture = torch.cat([picture, picture.flip(axis)], dim=axis)
    return picture


def on_white(picture: Picture) -> Float[Tensor, "1 3 h w"]:
    """The colours as they are seen on white paper: where a picture is transparent, a file may hold any."""
    return picture.pixels if picture.alpha is None else 1 + picture.alpha * (picture.pixels - 1)


def levels(pixels: Float[Tensor, "1 3 h w"]) -> UInt8[Tensor, "3 h w"]:
    """Colours in [0, 1] as 8 bits hold them."""
    return (pixels[0].clamp(0, 1) * 255).round().to(torch.uint8)
