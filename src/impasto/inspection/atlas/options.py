"""Options of the atlas: the one definition of its keywords, flags and options files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from impasto.inspection.options import RenderingOptions, several


class AtlasOptions(RenderingOptions):
    """How to make an atlas of a network."""

    size: Annotated[int, Field(ge=16, le=1024, description="Side of each unit's picture in pixels.")] = 96
    steps: Annotated[int, Field(ge=1, le=10_000, description="Steps of Adam for each picture.")] = 128
    diversity: Annotated[
        int, Field(ge=0, le=16, description="Small pictures of each unit that must differ; 0 for none.")
    ] = 3
    diversity_size: Annotated[int, Field(ge=16, le=1024, description="Side of those in pixels.")] = 48
    taps: Annotated[
        tuple[str, ...],
        BeforeValidator(several),
        Field(description="The layers. Default: all that have weights of their own, blocks as a whole."),
    ] = ()
    patch_size: Annotated[int, Field(ge=16, le=512, description="Side at which patches are shown, in pixels.")] = 64
    scan_size: Annotated[
        int, Field(ge=16, le=2048, description="Size of the folder's pictures, in pixels, when units look at them.")
    ] = 224
    activation_atlases: Annotated[
        tuple[str, ...],
        BeforeValidator(several),
        Field(
            description="Layers to make activation atlases of, or `none`. Default: the last block of convolutions and "
            "one in the middle."
        ),
    ] = ()
    samples: Annotated[
        int, Field(ge=1, le=1024, description="Positions of each picture that go into an activation atlas.")
    ] = 8
    layout: Annotated[
        Literal["auto", "umap", "tsne", "pca"],
        Field(description="How activations are laid out in the plane; auto is umap where it is installed, else tsne."),
    ] = "auto"
    workers: Annotated[
        int | None, Field(ge=1, le=256, description="Processes that work at once. Default: one for each processor.")
    ] = None
