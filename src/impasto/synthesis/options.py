"""Options of synthesis: the one definition of its keywords, flags, options files and recipes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, field_validator, model_validator

from impasto.losses.names import StyleLossName

Weight = Annotated[PositiveFloat, Field(allow_inf_nan=False)]


def _several(value: Any) -> Any:
    """One name stands for a tuple of one."""
    return (value,) if isinstance(value, str | Path) else value


class SynthesisOptions(BaseModel):
    """What all crafts that move pixels have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    network: Annotated[
        str,
        Field(description="Whose activations: pocket (embedded), vgg19, vgg16, squeezenet1_0 or _1, timm:NAME."),
    ] = "pocket"
    weights: Annotated[
        Path | None, Field(description="A file of weights for the network, instead of the published ones.")
    ] = None
    pooling: Annotated[
        Literal["max", "average", "l2"],
        Field(description="In place of a network's max pooling: a smoother average or l2."),
    ] = "max"
    padding: Annotated[Literal["zeros", "replicate"], Field(description="What convolutions see beyond the border.")] = (
        "replicate"
    )
    optimizer: Annotated[
        Literal["auto", "lbfgs", "adam"],
        Field(description="What moves the pixels; auto is L-BFGS, and Adam above 24 megapixels."),
    ] = "auto"
    steps: Annotated[
        int | None,
        Field(
            ge=1,
            le=10000,
            description="Steps at the finest scale; coarser ones make more. Default: by quality and size.",
        ),
    ] = None
    scales: Annotated[
        int | None,
        Field(
            ge=1,
            le=20,
            description="How many scales at most, each half the size of the next. Default: down to 96 pixels.",
        ),
    ] = None
    average: Annotated[
        float,
        Field(ge=0, lt=1, description="Decay of a running average of the pictures, which is the result; 0 is none."),
    ] = 0.0
    smoothness: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="Weight of total variation; the pyramid makes it needless.")
    ] = 0.0
    tile: Annotated[
        int | None,
        Field(ge=16, description="Side of the tiles in which large pictures are worked. Default: what memory allows."),
    ] = None
    memory: Annotated[
        float,
        Field(gt=0, description="GiB that may be used, if they are free. Tiles are made as large as that allows."),
    ] = 8.0
    seed: Annotated[
        int, Field(ge=0, lt=2**63, description="Seed of all chance: the same seed gives the same picture.")
    ] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto takes the fastest there is.")
    ] = "auto"


class StyleOptions(SynthesisOptions):
    """What style transfer and texture synthesis have in common."""

    loss: Annotated[
        tuple[StyleLossName, ...],
        BeforeValidator(_several),
        Field(min_length=1, description="What is compared with the style; several are added up."),
    ] = ("gram",)
    loss_weights: Annotated[
        tuple[Weight, ...], Field(description="How much each loss counts. Default: all the same.")
    ] = ()
    style_weights: Annotated[
        tuple[Weight, ...],
        Field(description="How much each style counts, in the order given. Default: all the same."),
    ] = ()
    taps: Annotated[
        tuple[str, ...],
        BeforeValidator(_several),
        Field(description="Layers whose statistics make the style. Default: the network's own choice."),
    ] = ()
    stroke: Annotated[
        float,
        Field(
            ge=0.1, le=10, description="Size of the strokes: the style's scale, 1 when it is as large as the result."
        ),
    ] = 1.0
    quality: Annotated[
        Literal["draft", "good", "best"],
        Field(
            description="How much work. With a big network: pocket alone, then the big one, or the big one throughout."
        ),
    ] = "good"

    @property
    def weighted_losses(self) -> list[tuple[StyleLossName, float]]:
        """The losses, each with its weight."""
        return list(zip(self.loss, self.loss_weights or (1.0,) * len(self.loss), strict=True))

    @model_validator(mode="after")
    def _one_weight_for_each_loss(self) -> StyleOptions:
        if self.loss_weights and len(self.loss_weights) != len(self.loss):
            raise ValueError(f"{len(self.loss_weights)} loss weights for {len(self.loss)} losses: give one for each")
        return self


class StyleTransferOptions(StyleOptions):
    """How to paint one picture in the style of others."""

    size: Annotated[
        int | None,
        Field(ge=16, description="Longest side of the result in pixels. Default: the photograph's own, 1024 at most."),
    ] = None
    strength: Annotated[
        float, Field(ge=0, le=1, description="From 0, the photograph untouched, to 1, nothing but style.")
    ] = 0.5
    content_taps: Annotated[
        tuple[str, ...],
        BeforeValidator(_several),
        Field(description="Layers whose activations keep the content. Default: the network's own choice."),
    ] = ()
    masks: Annotated[
        tuple[Path, ...],
        BeforeValidator(_several),
        Field(description="For each style, a gray picture of the photograph's size: white where it paints."),
    ] = ()
    style_masks: Annotated[
        tuple[Path, ...],
        BeforeValidator(_several),
        Field(description="For each style, a gray picture of its size: white where it is taken from."),
    ] = ()
    init: Annotated[
        str, Field(description="Where to start: content, noise, median (filtered noise), or a picture file.")
    ] = "content"
    color: Annotated[
        Literal["keep", "match", "histogram", "style"],
        Field(
            description="The photograph's colours kept; the style's matched to them first, by mean and covariance "
            "(match) or by histogram; or the style's."
        ),
    ] = "style"


class TextureOptions(StyleOptions):
    """How to make a texture that looks like a picture."""

    size: Annotated[str, Field(description="Of the texture, WIDTHxHEIGHT in pixels.")] = "512x512"
    tileable: Annotated[bool, Field(description="Opposite borders fit together, exactly.")] = False
    init: Annotated[
        Literal["noise", "median"], Field(description="Where to start: noise, or median-filtered noise.")
    ] = "noise"

    @property
    def height_and_width(self) -> tuple[int, int]:
        """The size as (height, width)."""
        width, height = re.split("[x×]", self.size)
        return int(height), int(width)

    @field_validator("size")
    @classmethod
    def _size_is_a_size(cls, size: str) -> str:
        found = re.fullmatch(r"(\d{2,6})[x×](\d{2,6})", size)
        if not found or min(int(side) for side in found.groups()) < 32:
            raise ValueError("must be WIDTHxHEIGHT, each 32 or more, like 1024x768")
        return size


class InversionOptions(SynthesisOptions):
    """How to find a picture whose activations are those of another."""

    taps: Annotated[
        tuple[str, ...],
        BeforeValidator(_several),
        Field(description="Layers whose activations must agree; `pixels` is the picture itself. Default: relu3_1."),
    ] = ("relu3_1",)
    steps: Annotated[int | None, Field(ge=1, le=10000, description="Steps at each scale. Default: 200.")] = None
    scales: Annotated[
        int | None, Field(ge=1, le=20, description="How many scales, each half the size of the next. Default: 1.")
    ] = None
    size: Annotated[
        int | None, Field(ge=16, description="Longest side in pixels. Default: the picture's own, 512 at most.")
    ] = None
    init: Annotated[
        Literal["noise", "median"], Field(description="Where to start: noise, or median-filtered noise.")
    ] = "median"
