"""Augmentation: batches of pictures changed at random as a camera might have, each by a seed of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.networks.names import nearest
from impasto.networks.network import IMAGENET_MEAN

DRAWS = 4  # random numbers that each augmentation has for itself

# Shares of red, green and blue in what is seen as brightness (ITU-R BT.601, section 2.5.1).
LUMA = np.array([0.299, 0.587, 0.114])

# The nearest that a point may come to the eye, the middle being 1 away, when strong motions are composed.
NEAREST = 0.05


class Kind(NamedTuple):
    """One kind of augmentation: what it does, how much by default, and at most; 0 is nothing for each."""

    about: str
    magnitude: float
    limit: float


# Their order is that of the random numbers: a new one goes to the end, lest the others change.
NAMES: dict[str, Kind] = {
    "flip": Kind("mirrored left to right, with this probability", 0.5, 1),
    "flip-vertical": Kind("mirrored top to bottom, with this probability", 0.5, 1),
    "rotate": Kind("turned by up to so many degrees", 15, 180),
    "zoom": Kind("larger or smaller by up to this part", 0.15, 9),
    "shift": Kind("moved by up to this part of the side, across and down", 0.1, 1),
    "shear": Kind("slanted by up to so many degrees", 10, 60),
    "squeeze": Kind("made wider or higher by up to this part, at equal area", 0.15, 9),
    "perspective": Kind("seen from aside: one side nearer by up to this part", 0.2, 0.45),
    "crop": Kind("a part of the picture, less than the whole by up to this part of the area", 0.3, 0.95),
    "brightness": Kind("lighter or darker by up to this part of the range", 0.15, 1),
    "contrast": Kind("contrast raised or lowered by up to this part", 0.3, 9),
    "saturation": Kind("colours stronger or weaker by up to this part; from 1 on down to gray", 0.4, 9),
    "hue": Kind("colours turned around gray by up to so many degrees", 15, 180),
    "channel-shift": Kind("red, green and blue each moved by up to this part of the range", 0.08, 1),
    "erase": Kind("a rectangle of up to this part of the area made gray", 0.2, 0.8),
}


class Augmentation(NamedTuple):
    """One augmentation and how strong it is.

    >>> str(Augmentation("rotate", 15.0))
    'rotate:15'
    """

    name: str
    magnitude: float

    def __str__(self) -> str:
        return f"{self.name}:{self.magnitude:.12g}"


def parse(words: Iterable[str | Augmentation]) -> tuple[Augmentation, ...]:
    """Augmentations as a person writes them: ``NAME`` or ``NAME:MAGNITUDE``.

    Raises:
        UsageError: An unknown name, one given twice, or a magnitude that it cannot have.

    >>> parse(["flip", "rotate:20"])
    (Augmentation(name='flip', magnitude=0.5), Augmentation(name='rotate', magnitude=20.0))
    """
    found: dict[str, Augmentation] = {}
    for word in words:
        name, mark, number = str(word).partition(":")
        if name not in NAMES:
            raise UsageError(f"there is no augmentation {name!r}: there are {nearest(name, list(NAMES))}")
        if name in found:
            raise UsageError(f"the augmentation {name} is given twice: give it once")
        kind = NAMES[name]
        try:
            magnitude = float(number) if mark else float(kind.magnitude)
        except ValueError:
            magnitude = math.nan
        if not 0 <= magnitude <= kind.limit:
            raise UsageError(
                f"{word}: {name} takes a number from 0 to {kind.limit:g}, such as {name}:{kind.magnitude:g}"
            )
        found[name] = Augmentation(name, magnitude)
    return tuple(found.values())


def augment(
    images: Float[Tensor, "b 3 h w"],
    augmentations: Sequence[Augmentation],
    seeds: Sequence[int],
    boxes: Float[Tensor, "b 4"] | None = None,
) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 4"] | None]:
    """The pictures changed at random, in the order in which the augmentations are given.

    What becomes of a picture depends on its own seed only, not on the other pictures of the batch; and what one
    augmentation does to it, not on which others there are. All that moves pixels is one homography, and pictures
    are resampled once, with their reflection beyond the border; all that changes colours is one matrix.
    Pictures that are only mirrored, or not changed at all, keep their values to the bit.

    Args:
        images: In [0, 1].
        augmentations: From `parse`.
        seeds: One a picture.
        boxes: One a picture, in parts of its sides: left, top, right, bottom; NaN where there is none.

    Returns:
        The pictures, in [0, 1], and the boxes, each the smallest upright one around where its corners have gone,
        within the picture.
    """
    if len(seeds) != len(images):
        raise ValueError(f"{len(images)} pictures need as many seeds, not {len(seeds)}")
    if not augmentations or not len(images):
        return images, boxes
    numbers = _numbers(seeds)
    draws = {name: numbers[:, place] for place, name in enumerate(NAMES)}
    aspect = images.shape[-1] / images.shape[-2]
    motion = np.broadcast_to(np.eye(3), (len(images), 3, 3))
    colour = np.broadcast_to(np.eye(4), (len(images), 4, 4))
    for name, magnitude in augmentations:
        if name in _MOTIONS:
            motion = _MOTIONS[name](draws[name], magnitude, aspect) @ motion
        elif name in _COLOURS:
            colour = _COLOURS[name](draws[name], magnitude) @ colour
    images = _moved(images, motion, aspect)
    images = _coloured(images, colour)
    for name, magnitude in augmentations:
        if name == "erase":
            images = _erased(images, draws[name], magnitude)
    return images, boxes if boxes is None else _moved_boxes(boxes, motion, aspect)


def _numbers(seeds: Sequence[int]) -> np.ndarray:
    """Uniform numbers in [0, 1): (pictures, kinds, DRAWS)."""
    shape = len(NAMES), DRAWS
    return np.stack([np.random.Generator(np.random.Philox(int(seed))).random(shape) for seed in seeds])


# Motions take each point of a picture to where it goes: x from −aspect to aspect, y from −1 to 1, the middle at 0.


def _matrices(count: int, **entries: np.ndarray) -> np.ndarray:
    """Identity matrices (count, 3, 3) but for the entries named by row and column: m02=…"""
    matrices = np.tile(np.eye(3), (count, 1, 1))
    for place, values in entries.items():
        matrices[:, int(place[1]), int(place[2])] = values
    return matrices


def _both_ways(draws: np.ndarray, magnitude: float) -> np.ndarray:
    """Uniform from −magnitude to magnitude."""
    return magnitude * (2 * draws - 1)


def _factors(draws: np.ndarray, magnitude: float) -> np.ndarray:
    """From 1/(1 + magnitude) to 1 + magnitude, as often above 1 as below, uniform in the logarithm."""
    return np.exp(_both_ways(draws, math.log1p(magnitude)))


def _flip(draws: np.ndarray, magnitude: float, aspect: float) -> np.ndarray:
    return _matrices(len(draws), m00=np.where(draws[:, 0] < magnitude, -1.0, 1.0))


def _flip_vertical(draws: np.ndarray, magnitude: float, aspect: float) -> np.ndarray:
    return _matrices(len(draws), m11=np.where(draws[:, 0] < magnitude, -1.0, 1.0))


def _rotate(draws: np.ndarray, magnitude: float, aspect: float) -> np.ndarray:
    angle = _both_ways(draws[:, 0], math.radians(magnitude))
    cos, sin = np.cos(angle), np.sin(angle)
    return _matrices(len(draws), m00=cos, m01=-sin, m10=sin, m11=cos)


def _zoom(draws: np.ndarray, magnitude: float, aspect: float) -> np.ndarray:
    factor = _factors(draws[:, 0], magnitude)
    return _matrices(len(draws), m00=factor, m11=factor)


def _shift(draws: np.ndarray, magnitude: float, aspect: float) -> np.ndarray:
    across, down = _both_ways(draws[:, :2], 2 * magnitude).T  # a side is 2 long
    return _matrices(len(draws), m02=across * aspect, m12=down)


def _shear(draws: np.ndarray, magnitude: float, aspect: float) -> np.ndarray:
    return _matrices(len(draws), m01=np.tan(_both_ways(draws[:, 0], math.radians(magnitude))))


def _squeeze(draws: np.ndarray, magnitude: float, aspect: float) -> np.ndarray:
    root = np.sqrt(_factors(draws[:, 0], magnitude))
    return _matrices(len(draws), m00=root, m11=1 / root)


def _perspective(draws: np.ndarray, magnitude: float, aspect: float) -> np.ndarray:
    across, down = _both_ways(draws[:, :2], magnitude).T
    return _matrices(len(draws), m20=across / aspect, m21=down)


def _crop(draws: np.ndarray, magnitude: float, aspect: float) -> np.ndarray:
    side = np.sqrt(1 - magnitude * draws[:, 0])
    across, down = _both_ways(draws[:, 1:3], 1).T * (1 - side)
    return _matrices(len(draws), m00=1 / side, m11=1 / side, m02=-across * aspect / side, m12=-down / side)


_MOTIONS: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {
    "flip": _flip,
    "flip-vertical": _flip_vertical,
    "rotate": _rotate,
    "zoom": _zoom,
    "shift": _shift,
    "shear": _shear,
    "squeeze": _squeeze,
    "perspective": _perspective,
    "crop": _crop,
}


# Colours are taken as (red, green, blue, 1) by 4 × 4 matrices, so that they too are composed by multiplication.


def _affine(matrix: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Matrices (b, 4, 4) that multiply colours by (b, 3, 3) and add (b, 3)."""
    whole = np.tile(np.eye(4), (len(matrix), 1, 1))
    whole[:, :3, :3], whole[:, :3, 3] = matrix, shift
    return whole


def _scaled(factor: np.ndarray) -> np.ndarray:
    return factor[:, None, None] * np.eye(3)


def _brightness(draws: np.ndarray, magnitude: float) -> np.ndarray:
    shift = _both_ways(draws[:, 0], magnitude)
    return _affine(_scaled(np.ones(len(draws))), np.repeat(shift[:, None], 3, axis=1))


def _contrast(draws: np.ndarray, magnitude: float) -> np.ndarray:
    factor = _factors(draws[:, 0], magnitude)
    return _affine(_scaled(factor), np.repeat((1 - factor)[:, None] / 2, 3, axis=1))


def _saturation(draws: np.ndarray, magnitude: float) -> np.ndarray:
    factor = np.maximum(0, 1 + _both_ways(draws[:, 0], magnitude))
    gray = (1 - factor)[:, None, None] * LUMA
    return _affine(_scaled(factor) + gray, np.zeros((len(draws), 3)))


def _hue(draws: np.ndarray, magnitude: float) -> np.ndarray:
    """Turned around the gray axis (1, 1, 1)/√3 by Rodrigues' formula: I + sin α·K + (1 − cos α)·K²."""
    angle = _both_ways(draws[:, 0], math.radians(magnitude))[:, None, None]
    axis = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    return _affine(np.eye(3) + np.sin(angle) * axis + (1 - np.cos(angle)) * axis @ axis, np.zeros((len(draws), 3)))


def _channel_shift(draws: np.ndarray, magnitude: float) -> np.ndarray:
    return _affine(_scaled(np.ones(len(draws))), _both_ways(draws[:, :3], magnitude))


_COLOURS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
    "channel-shift": _channel_shift,
}


def _moved(images: Tensor, motion: np.ndarray, aspect: float) -> Tensor:
    """The pictures where the motion takes them; those that are mirrored at most are not resampled."""
    across, down = motion[:, 0, 0], motion[:, 1, 1]
    mirrors = _matrices(len(motion), m00=np.sign(across), m11=np.sign(down))
    plain = (motion == mirrors).all(axis=(1, 2))
    for side, sign in ((-1, across), (-2, down)):
        chosen = plain & (sign < 0)
        if chosen.any():
            images = _replaced(images, chosen, lambda some, side=side: some.flip(side))  # type: ignore[misc]
    if not plain.all():
        scale = np.array([aspect, 1.0, 1.0])
        back = np.linalg.inv(motion[~plain]) / scale[:, None] * scale  # from −1 to 1 on both sides, as torch counts
        images = _replaced(images, ~plain, lambda some: _resampled(some, back))
    return images


def _replaced(images: Tensor, chosen: np.ndarray, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The batch with the chosen pictures changed."""
    if chosen.all():
        return change(images)
    where = torch.from_numpy(np.flatnonzero(chosen)).to(images.device)
    images = images.clone()
    images[where] = change(images[where])
    return images


def _resampled(images: Tensor, back: np.ndarray) -> Tensor:
    """Each point taken from where the matrix sends it. Sums of products are written out, for those of matrix
    products are rounded by the size of the batch.
    """
    high, wide = images.shape[-2:]
    y = (2 * torch.arange(high, device=images.device, dtype=torch.float32) + 1 - high)[None, :, None] / high
    x = (2 * torch.arange(wide, device=images.device, dtype=torch.float32) + 1 - wide)[None, None, :] / wide
    m = torch.from_numpy(back).to(images.device, torch.float32)[..., None, None]
    grid = torch.empty(len(images), high, wide, 2, device=images.device)
    for row in (0, 1):
        torch.add(m[:, row, 0] * x, m[:, row, 1] * y + m[:, row, 2], out=grid[..., row])
    if (back[:, 2, :2] != 0).any():
        grid /= (m[:, 2, 0] * x + (m[:, 2, 1] * y + m[:, 2, 2])).clamp_(min=NEAREST)[..., None]
    moved = F.grid_sample(images, grid.to(images.dtype), padding_mode="reflection", align_corners=False)
    return moved.clamp_(0, 1)


def _coloured(images: Tensor, colour: np.ndarray) -> Tensor:
    changed = (colour != np.eye(4)).any(axis=(1, 2))
    if not changed.any():
        return images
    m = torch.from_numpy(colour[changed]).to(images.device, images.dtype)[..., None, None]
    simple = not (colour[:, :3, :3] * (1 - np.eye(3))).any()

    def change(some: Tensor) -> Tensor:
        if simple:
            diagonal = torch.stack([m[:, channel, channel] for channel in range(3)], dim=1)
            return (some * diagonal).add_(m[:, :3, 3]).clamp_(0, 1)
        made = torch.empty_like(some)
        for channel in range(3):
            part = some[:, 0] * m[:, channel, 0]
            part.add_(some[:, 1] * m[:, channel, 1]).add_(some[:, 2] * m[:, channel, 2])
            made[:, channel] = part.add_(m[:, channel, 3])
        return made.clamp_(0, 1)

    return _replaced(images, changed, change)


def _erased(images: Tensor, draws: np.ndarray, magnitude: float) -> Tensor:
    """Random erasing (Zhong et al., 2017), with ImageNet's mean colour, of any area down to none."""
    high, wide = images.shape[-2:]
    area = magnitude * draws[:, 0]
    root = 2 ** (draws[:, 1] - 0.5)  # of the aspect: from 1/2 to 2
    across, down = np.minimum(1, np.sqrt(area) * root), np.minimum(1, np.sqrt(area) / root)
    left, top = draws[:, 2] * (1 - across), draws[:, 3] * (1 - down)
    columns = np.rint(np.stack([left, left + across]) * wide).astype(int)
    rows = np.rint(np.stack([top, top + down]) * high).astype(int)
    images = images.clone()
    mean = images.new_tensor(IMAGENET_MEAN)[:, None, None]
    for place in range(len(images)):
        images[place, :, rows[0, place] : rows[1, place], columns[0, place] : columns[1, place]] = mean
    return images


def _moved_boxes(boxes: Tensor, motion: np.ndarray, aspect: float) -> Tensor:
    left, top, right, bottom = boxes.double().cpu().numpy().T
    corners = np.stack([(left, top), (right, top), (left, bottom), (right, bottom)]).transpose(2, 1, 0)  # (b, 2, 4)
    points = np.concatenate([(2 * corners - 1) * [[aspect], [1.0]], np.ones((len(boxes), 1, 4))], axis=1)
    gone = motion @ points
    places = (gone[:, :2] / gone[:, 2:].clip(NEAREST) / [[aspect], [1.0]] + 1) / 2
    around = np.concatenate([places.min(axis=2), places.max(axis=2)], axis=1).clip(0, 1)
    return torch.from_numpy(around).to(boxes.device, boxes.dtype)
