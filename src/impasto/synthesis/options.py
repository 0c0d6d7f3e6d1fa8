"""Options of style transfer: the one definition of its keywords, flags, options file and recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat


class StyleTransferOptions(BaseModel):
    """How to paint one picture in the style of others."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    size: Annotated[
        int | None,
        Field(ge=16, description="Longest side of the result in pixels. Default: the photograph's own, 1024 at most."),
    ] = None
    strength: Annotated[
        float, Field(ge=0, le=1, description="From 0, the photograph untouched, to 1, nothing but style.")
    ] = 0.5
    style_weights: Annotated[
        tuple[Annotated[PositiveFloat, Field(allow_inf_nan=False)], ...],
        Field(description="How much each style counts, in the order given. Default: all the same."),
    ] = ()
    loss: Annotated[
        Literal["gram", "wasserstein", "meanstd"],
        Field(description="What is compared: Gram matrices, Gaussians (Wasserstein distance), means and deviations."),
    ] = "gram"
    network: Annotated[
        str,
        Field(description="Whose activations: pocket (embedded), vgg19, vgg16, squeezenet1_0 or _1, timm:NAME."),
    ] = "pocket"
    weights: Annotated[
        Path | None, Field(description="A file of weights for the network, instead of the published ones.")
    ] = None
    taps: Annotated[
        tuple[str, ...], Field(description="Layers whose statistics make the style. Default: the network's own choice.")
    ] = ()
    content_taps: Annotated[
        tuple[str, ...],
        Field(description="Layers whose activations keep the content. Default: the network's own choice."),
    ] = ()
    pooling: Annotated[
        Literal["max", "average", "l2"],
        Field(description="In place of a network's max pooling: a smoother average or l2."),
    ] = "max"
    padding: Annotated[Literal["zeros", "replicate"], Field(description="What convolutions see beyond the border.")] = (
        "replicate"
    )
    init: Annotated[
        str, Field(description="Where to start: content, noise, median (filtered noise), or a picture file.")
    ] = "content"
    color: Annotated[
        Literal["keep", "match", "style"],
        Field(
            description="The photograph's colours kept, the style's matched to the photograph's first, or the style's."
        ),
    ] = "style"
    stroke: Annotated[
        float,
        Field(
            ge=0.1, le=10, description="Size of the strokes: the style's scale, 1 when it is as large as the result."
        ),
    ] = 1.0
    optimizer: Annotated[Literal["lbfgs", "adam"], Field(description="What moves the pixels.")] = "lbfgs"
    quality: Annotated[
        Literal["draft", "good", "best"],
        Field(
            description="How much work. With a big network: pocket alone, then the big one, or the big one throughout."
        ),
    ] = "good"
    steps: Annotated[
        int | None,
        Field(ge=1, le=10000, description="Steps at the finest scale; coarser scales make more. Default: by quality."),
    ] = None
    smoothness: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="Weight of total variation; the pyramid makes it needless.")
    ] = 0.0
    seed: Annotated[
        int, Field(ge=0, lt=2**63, description="Seed of all chance: the same seed gives the same picture.")
    ] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto takes the fastest there is.")
    ] = "auto"
