"""A picture in memory: its pixels, and what a file has beside its colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from impasto.errors import UsageError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, upright and sRGB-encoded, with all that is needed to write it as it was read.

    `dataclasses.replace(picture, pixels=painted)` puts other pixels in the same frame.

    Attributes:
        pixels: Float32 colours (1, 3, height, width), RGB, sRGB-encoded, in [0, 1].
        alpha: Float32 opacity (1, 1, height, width) in [0, 1], not multiplied into the colours; or None.
        icc: The ICC profile of the file that was read, even where it is a gray or CMYK one.
        exif: The EXIF block (from its `II` or `MM` on, with no `Exif` prefix), its orientation reset.
        depth: Bits per channel of the file, 8 or 16.
        mode: What the file held: L, LA, RGB, RGBA, P (a palette), CMYK or CMYKA.
        recipe: JSON text saying how the picture was made; it travels in the file.

    Raises:
        UsageError: The tensors have another shape or type than these.

    >>> import torch
    >>> Picture(torch.zeros(1, 3, 4, 6)).width
    6
    """

    pixels: Float[Tensor, "1 3 height width"]
    alpha: Float[Tensor, "1 1 height width"] | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    depth: Literal[8, 16] = 8
    mode: str = "RGB"
    recipe: str | None = None

    def __post_init__(self) -> None:
        _expect("pixels", self.pixels, "(1, 3, height, width)", channels=3)
        if self.alpha is not None:
            _expect("alpha", self.alpha, f"(1, 1, {self.height}, {self.width})", channels=1)
            if self.alpha.shape[2:] != self.pixels.shape[2:]:
                raise UsageError(
                    f"alpha is {tuple(self.alpha.shape)} but the pixels are {tuple(self.pixels.shape)}: "
                    "both need the same height and width"
                )
        if self.depth not in (8, 16):
            raise UsageError(f"depth is {self.depth!r}: it must be 8 or 16 bits per channel")

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[2])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.pixels.shape[3])


def _expect(name: str, tensor: Any, shape: str, channels: int) -> None:
    found = tuple(getattr(tensor, "shape", ()))
    if len(found) != 4 or found[:2] != (1, channels) or 0 in found:
        what = f"a tensor of shape {found}" if hasattr(tensor, "shape") else f"a {type(tensor).__name__}"
        raise UsageError(f"{name} is {what}: it must be a tensor of shape {shape}")
    if str(tensor.dtype) != "torch.float32":
        raise UsageError(f"{name} has type {tensor.dtype}: it must be torch.float32 with values in [0, 1]")
