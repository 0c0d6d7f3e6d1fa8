"""Robustness: the network sees the canvas through a window that moves, turns and zooms, and is never empty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Robustness = Literal["full", "jitter", "none"]
Size = tuple[int, int]


@dataclass(frozen=True)
class Motion:
    """How far the window may go from the middle of the canvas.

    Attributes:
        jitter: Pixels to each side.
        scales: Zooms to choose from.
        degrees: Turns to choose from.
    """

    jitter: int
    scales: tuple[float, ...] = (1.0,)
    degrees: tuple[float, ...] = (0.0,)

    def margin(self, size: Size) -> int:
        """Pixels that a canvas needs on each side so that the window never looks beyond it."""
        turns = [math.radians(degrees) for degrees in self.degrees]
        reach = max(
            along * abs(math.cos(turn)) + across * abs(math.sin(turn)) - along * min(self.scales)
            for turn in turns
            for along, across in (size, size[::-1])
        )
        return max(0, math.ceil(reach / min(self.scales) / 2)) + self.jitter


# lucid's: jitter 8 and then 4, scales 0.90 to 1.10, turns of 10 degrees at most, some of them none. lucid pads with
# gray and lets turned corners be black; here the canvas is larger than the picture, and only what is drawn is seen.
MOTIONS: dict[Robustness, Motion] = {
    "full": Motion(
        12,
        scales=tuple(0.9 + 0.02 * k for k in range(11)),
        degrees=(*(float(d) for d in range(-10, 11)), *[0.0] * 5),
    ),
    "jitter": Motion(8),
    "none": Motion(0),
}


def window(
    canvas: Float[Tensor, "n c H W"], size: Size, motion: Motion, generator: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """What the network sees of the canvas this time; all pictures of a batch through the same window.

    Without zoom and turn it is a crop at whole pixels; else sampled bilinearly.
    """
    jitter = motion.jitter
    down, right = (int(torch.randint(-jitter, jitter + 1, (), generator=generator)) for _ in range(2))
    scale = _choice(motion.scales, generator)
    degrees = _choice(motion.degrees, generator)
    if scale == 1 and degrees == 0:
        return middle(canvas, size, down, right)
    (h, w), (whole_h, whole_w) = size, canvas.shape[-2:]
    turn = math.radians(degrees)
    rows = torch.arange(h, device=canvas.device) - (h - 1) / 2
    columns = torch.arange(w, device=canvas.device) - (w - 1) / 2
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    cosine, sine = math.cos(turn) / scale, math.sin(turn) / scale
    places = torch.stack(
        [
            2 * (cosine * x - sine * y + right) / whole_w,
            2 * (sine * x + cosine * y + down) / whole_h,
        ],
        dim=-1,
    )
    grid = places.to(canvas.dtype).expand(len(canvas), -1, -1, -1)
    return F.grid_sample(canvas, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def middle(canvas: Float[Tensor, "n c H W"], size: Size, down: int = 0, right: int = 0) -> Float[Tensor, "n c h w"]:
    """The middle of the canvas, or what lies so many pixels off it."""
    h, w = size
    top, left = (canvas.shape[-2] - h) // 2 + down, (canvas.shape[-1] - w) // 2 + right
    return canvas[..., top : top + h, left : left + w]


def _choice(values: tuple[float, ...], generator: torch.Generator) -> float:
    return values[int(torch.randint(len(values), (), generator=generator))]
