"""Options of enhancement: the one definition of its keywords, flags, options files and recipes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from impasto.translation.apply_options import MEMORY, Device, Memory, Overlap, Tile

Use = Literal["superres", "restore", "colorize", "text"]


class EnhanceOptions(BaseModel):
    """How a picture is made larger, mended or given colours."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[
        str | None,
        Field(
            description="A name of `impasto models`, a run of `impasto train enhance`, or a file. Default: by --task."
        ),
    ] = None
    task: Annotated[
        Use | None,
        Field(description="superres (the default) enlarges, restore mends, colorize gives colours, text removes text."),
    ] = None
    scale: Annotated[
        int | None, Field(ge=1, le=16, description="Times that superres enlarges: 2 or 4 of the shipped models.")
    ] = None
    outscale: Annotated[
        float | None,
        Field(gt=0, le=32, description="Times the picture's size that the result is resized to at last."),
    ] = None
    strength: Annotated[
        float, Field(ge=0, le=1, description="How much of the model: less lets the (enlarged) picture through.")
    ] = 1.0
    realism: Annotated[
        float,
        Field(ge=0, le=1, description="From the faithful model, 0, to its realistic companion, 1: by their weights."),
    ] = 0.0
    companion: Annotated[
        str | None,
        Field(description="The realistic companion: a name, run or file. Default: what the model's card says."),
    ] = None
    render: Annotated[
        int | None,
        Field(
            ge=16,
            le=4096,
            description="colorize: pixels of the longer side at which colours are found. Default: what the model's "
            "card says, else 384.",
        ),
    ] = None
    saturation: Annotated[
        float, Field(ge=0, le=4, description="colorize: how much of the colours found; above 1 pale ones get stronger.")
    ] = 1.0
    self_ensemble: Annotated[
        bool, Field(description="Mean over the eight flips and rotations: a little better, and eight times the work.")
    ] = False
    tile: Tile = None
    overlap: Overlap = None
    memory: Memory = MEMORY
    precision: Annotated[
        Literal["auto", "32", "16", "bf16"],
        Field(description="Of the arithmetic; auto is half on a GPU, where it does no harm, else single."),
    ] = "auto"
    quality: Annotated[int, Field(ge=1, le=100, description="Of JPEG, WebP, AVIF and HEIC files.")] = 95
    device: Device = "auto"
