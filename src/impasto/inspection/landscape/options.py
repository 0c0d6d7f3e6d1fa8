"""Options of loss landscapes: the one definition of their keywords, flags and options files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class LandscapeOptions(BaseModel):
    """Which part of the landscape is looked at, on which pictures."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    directions: Annotated[
        str,
        Field(
            description="random; trajectory: the plane in which training moved most (needs a run with --snapshots); or "
            "another run, towards whose weights the line goes."
        ),
    ] = "random"
    dimensions: Annotated[int, Field(ge=1, le=2, description="1 for a line, 2 for a plane.")] = 2
    points: Annotated[
        int, Field(ge=3, le=1001, description="Points along each direction; Li et al. took 51, a fourfold work.")
    ] = 25
    reach: Annotated[
        float | None,
        Field(
            gt=0,
            le=1e6,
            description="How far the grid goes: to both sides at random directions (default 1, the size of the filters "
            "themselves), beyond both runs (0.5), beyond the trajectory on every side, as a part of its length (0.2).",
        ),
    ] = None
    normalise: Annotated[
        Literal["filter", "layer", "none"] | None,
        Field(
            description="Give each filter (or layer) of a direction the size of the weights'. Default: filter at "
            "random directions, none at the others, which have their own lengths."
        ),
    ] = None
    batch_norm: Annotated[
        Literal["kept", "recomputed"] | None,
        Field(
            description="Statistics of batch norm: those of the trained network, or those of the pictures at every "
            "point, which doubles the work. Default: kept at random directions, recomputed along a trajectory; between "
            "two runs they are interpolated as the weights are."
        ),
    ] = None
    pictures: Annotated[int, Field(ge=1, description="How many pictures the loss is the mean of.")] = 256
    split: Annotated[
        Literal["train", "valid", "both"], Field(description="Which of the run's pictures they are drawn from.")
    ] = "train"
    compare: Annotated[Path | None, Field(description="A second run, drawn beside the first on the same scale.")] = None
    seed: Annotated[int, Field(ge=0, lt=2**63, description="Of the directions and of the choice of pictures.")] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto takes the fastest there is.")
    ] = "auto"
