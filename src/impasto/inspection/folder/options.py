"""Options of what units see over a folder: keywords, flags and options files of four verbs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from impasto.inspection.options import InspectionOptions, several

Method = Literal["pca", "tsne", "umap"]


class FolderOptions(InspectionOptions):
    """What all ways to look at a folder have in common."""

    most: Annotated[
        int | None, Field(ge=1, description="Of a larger folder, so many pictures, evenly spread. Default: all.")
    ] = None
    batch_size: Annotated[int, Field(ge=1, description="Pictures that go through the network together.")] = 16


class PatchOptions(FolderOptions):
    """How to find what in a folder excites units most."""

    size: Annotated[int, Field(ge=8, le=8192, description="Longer side, in pixels, of the pictures.")] = 224
    top: Annotated[int, Field(ge=1, le=100, description="Patches of each unit, each from another picture.")] = 9
    bins: Annotated[int, Field(ge=2, le=1000, description="Of the histogram.")] = 32
    cell: Annotated[int, Field(ge=16, le=1024, description="Height of a patch on the sheet, in pixels.")] = 112


class FeatureOptions(FolderOptions):
    """What of a tap stands for a picture."""

    size: Annotated[
        int | None,
        Field(ge=8, le=8192, description="Longer side, in pixels, of the pictures. Default: 224; 28 for pixels."),
    ] = None
    tap: Annotated[
        str | None,
        Field(description="Whose activations; `pixels` is the picture itself. Default: the last before the scores."),
    ] = None
    pool: Annotated[
        Literal["average", "flat"],
        Field(description="average takes each channel's mean; flat every position, of pictures stretched to squares."),
    ] = "average"


class NeighbourOptions(FeatureOptions):
    """How to find a picture's nearest neighbours in a folder."""

    count: Annotated[int, Field(ge=1, le=1000, description="How many.")] = 12
    metric: Annotated[
        Literal["cosine", "euclidean"], Field(description="The angle between activations, or their distance.")
    ] = "cosine"


class EmbeddingOptions(FeatureOptions):
    """How to lay a folder's pictures out on a plane."""

    methods: Annotated[
        tuple[Method, ...],
        BeforeValidator(several),
        Field(description="What lays them out: pca, tsne and umap, as far as they are installed. The page has all."),
    ] = ()
    components: Annotated[
        int, Field(ge=2, description="Principal components that t-SNE and UMAP are given, as van der Maaten did.")
    ] = 50
    standardise: Annotated[
        bool, Field(description="Give each feature variance 1 first; without it, only the mean is taken off.")
    ] = False
    perplexity: Annotated[
        float, Field(gt=1, le=1000, description="Of t-SNE: about how many neighbours each picture has.")
    ] = 30.0
    neighbours: Annotated[int, Field(ge=2, le=1000, description="Of UMAP: how many each picture has.")] = 15
    spread: Annotated[float, Field(ge=0, le=1, description="Of UMAP: how close neighbours may come; its min_dist.")] = (
        0.1
    )


class ActivationOptions(InspectionOptions):
    """How to show what every layer makes of one picture."""

    size: Annotated[int, Field(ge=8, le=4096, description="The picture's longer side, in pixels.")] = 224
    taps: Annotated[
        tuple[str, ...],
        BeforeValidator(several),
        Field(description="Layers to show. Default: the network's parts, and the layers of those that are chains."),
    ] = ()
    top: Annotated[int, Field(ge=1, le=20, description="Predictions to show, of a classifier.")] = 5
