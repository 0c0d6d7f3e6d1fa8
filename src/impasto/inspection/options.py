"""Options of inspection: the one definition of its keywords, flags, options files and recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


def several(value: Any) -> Any:
    """One name stands for a tuple of one."""
    return (value,) if isinstance(value, str | int | Path) else value


class InspectionOptions(BaseModel):
    """What all ways to look inside a network have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    network: Annotated[
        str,
        Field(
            description="Which network: pocket (embedded), squeezenet1_0 or _1, vgg19, vgg16, timm:NAME, "
            "or on the command line a run of `impasto train classify`."
        ),
    ] = "pocket"
    weights: Annotated[
        Path | None, Field(description="A file of weights for the network, instead of the published ones.")
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**63, description="Seed of all chance: the same seed gives the same.")] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto takes the fastest there is.")
    ] = "auto"


class RenderingOptions(InspectionOptions):
    """What feature visualization and dreams have in common: how pixels are moved."""

    precision: Annotated[
        Literal["32-true", "bf16-mixed"],
        Field(description="bf16-mixed runs the network in half precision: faster where the processor has it."),
    ] = "32-true"


class VisualizationOptions(RenderingOptions):
    """How to make pictures that excite units."""

    size: Annotated[int, Field(ge=16, le=8192, description="Side of each picture in pixels.")] = 128
    steps: Annotated[int, Field(ge=1, le=100_000, description="Steps of Adam.")] = 256
    rate: Annotated[float, Field(gt=0, le=10, description="Learning rate of Adam.")] = 0.05
    parameterisation: Annotated[
        Literal["fourier", "pixels", "cppn"],
        Field(description="What is moved: spatial frequencies, pixels, or a small network that draws."),
    ] = "fourier"
    decorrelate: Annotated[
        bool, Field(description="Move colours along the axes in which photographs' colours vary independently.")
    ] = True
    robustness: Annotated[
        Literal["full", "jitter", "none"],
        Field(description="What the picture must survive: jitter, scaling and rotation; jitter; nothing."),
    ] = "full"
    rescue: Annotated[
        int, Field(ge=0, description="First steps in which dead ReLUs let gradients through, for units that sleep.")
    ] = 16
    diversity: Annotated[
        int, Field(ge=1, le=64, description="Pictures of each unit, which must differ when there are several.")
    ] = 1
    diversity_weight: Annotated[
        float, Field(ge=0, description="How much it counts that they differ, against how strongly they excite.")
    ] = 2.0
    alpha: Annotated[bool, Field(description="Find out too what of the picture matters; the rest is transparent.")] = (
        False
    )
    neuron: Annotated[bool, Field(description="Excite the unit at the middle of the picture only, not everywhere.")] = (
        False
    )
    batch: Annotated[int, Field(ge=1, description="Pictures that move at once.")] = 16


class DreamOptions(RenderingOptions):
    """How to dream of a picture."""

    size: Annotated[
        int | None,
        Field(ge=32, description="Longest side of the result in pixels. Default: the picture's own, 1024 at most."),
    ] = None
    octaves: Annotated[int, Field(ge=1, le=20, description="Sizes at which to dream, from small to full.")] = 4
    octave_scale: Annotated[float, Field(gt=1, le=4, description="How much larger each octave is.")] = 1.4
    steps: Annotated[int, Field(ge=1, le=10_000, description="Steps at each octave.")] = 10
    strength: Annotated[
        float, Field(gt=0, le=255, description="Mean change of a pixel in one step, in levels of 255.")
    ] = 1.5
    jitter: Annotated[int, Field(ge=0, le=1024, description="Pixels by which the picture is rolled at most.")] = 32
    tile: Annotated[int, Field(ge=64, description="Largest side of what is worked at once: bounds the memory.")] = 768
    guide: Annotated[
        Path | None, Field(description="A picture of what is to appear: each place becomes like some place of it.")
    ] = None
