"""Masks: pictures with a label for every pixel, in a folder of ``images`` and ``masks``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from impasto.errors import UsageError
from impasto.images.folder import pictures_below

IGNORED = 255  # of a mask: counts for nothing


@dataclass(frozen=True)
class Masked:
    """Pictures and the masks that belong to them, in the same order."""

    pictures: tuple[Path, ...]
    masks: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.pictures)


def masked(folder: Path) -> Masked:
    """The pictures in ``folder/images`` and the masks of the same names in ``folder/masks`` (or ``labels``).

    Raises:
        UsageError: There are none, or a picture has no mask.
    """
    images = folder / "images"
    masks = next((folder / name for name in ("masks", "labels") if (folder / name).is_dir()), None)
    if not images.is_dir() or masks is None:
        raise UsageError(
            f"{folder} has no images and masks folders: put pictures in one, masks of their names in the other"
        )
    by_stem = {Path(name).with_suffix("").as_posix(): masks / name for name in pictures_below(masks)}
    names = pictures_below(images)
    for name in names:
        if Path(name).with_suffix("").as_posix() not in by_stem:
            raise UsageError(f"{images / name} has no mask of its name in {masks}")
    return Masked(
        tuple(images / name for name in names), tuple(by_stem[Path(name).with_suffix("").as_posix()] for name in names)
    )


def read_labels(path: Path) -> UInt8[Tensor, "h w"]:
    """The labels of a mask: the levels of a gray picture or the numbers of a palette's colours, 0 to 255.

    Raises:
        UsageError: It cannot be read, or has colours instead of labels.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("L", "P", "1"):
                raise UsageError(
                    f"{path} is a picture of mode {image.mode}, no mask: save labels as gray levels or a palette"
                )
            return torch.from_numpy(np.asarray(image).astype(np.uint8))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise UsageError(f"the mask {path} cannot be read: save it again as a PNG") from error


def nearest_frames(train: Sequence[Path], valid: Sequence[Path]) -> list[int]:
    """How many frames each validation picture lies from the nearest training picture of its film, where names say so.

    Names of a film are alike but for a number at their end (``0016E5_07959``). Pictures taken a moment apart show the
    same scene: a validation clip out of the middle of a training film measures memory.

    >>> nearest_frames([Path("a_100.png"), Path("b_7.png")], [Path("a_131.png"), Path("c_1.png")])
    [31]
    """
    known: dict[str, list[int]] = {}
    for path in train:
        if found := _frame(path):
            known.setdefault(found[0], []).append(found[1])
    frames = [found for path in valid if (found := _frame(path))]
    return [min(abs(number - other) for other in known[film]) for film, number in frames if film in known]


def _frame(path: Path) -> tuple[str, int] | None:
    found = re.fullmatch(r"(.*?)(\d+)", path.stem)
    return (found[1], int(found[2])) if found and found[1] else None
