"""Options of training restoration and segmentation: the one definition of their keywords, flags and options files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    model_validator,
)

from impasto.errors import UsageError
from impasto.losses.names import AdversarialLossName, PixelLossName
from impasto.training.names import OptimizerName, PrecisionName, ScheduleName
from impasto.training.stage import parse_stage
from impasto.translation.names import ArchitectureName, Norm


def _placed(value: str) -> str:
    """A run or a file keeps its place, a shipped model its name."""
    return str(Path(value).absolute()) if Path(value).exists() else value


GivenPath = Annotated[Path, AfterValidator(Path.absolute)]  # a run may be resumed from another folder
GivenModel = Annotated[str, AfterValidator(_placed)]


def _several(value: Any) -> Any:
    """One stands for a tuple of one."""
    return (value,) if isinstance(value, str) else value


class TranslationOptions(BaseModel):
    """What every network from picture to picture is made of, and how it learns.

    What has no description here has one of its own, and a default, in what is trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # what it is made of
    architecture: ArchitectureName | Literal["auto"]
    encoder: Annotated[
        str, Field(description="Of a U-Net: pocket, vgg19, squeezenet1_0 or timm:NAME; `impasto networks list`.")
    ] = "pocket"
    weights: Annotated[
        GivenPath | Literal["none"] | None,
        Field(description="The encoder's own file of weights; none begins it from scratch."),
    ] = None
    width: Annotated[int | None, Field(ge=4, le=1024, description="Channels of the maps, at most.")] = None
    blur: Annotated[bool, Field(description="U-Net: average 2×2 pixels after every PixelShuffle.")] = True
    icnr: Annotated[bool, Field(description="Begin every PixelShuffle without checkerboards.")] = True
    attention: Annotated[bool, Field(description="U-Net: self-attention; then it cannot be tiled exactly.")] = False
    cross: Annotated[bool, Field(description="U-Net: the picture joins at full size.")] = True
    norm: Annotated[Norm, Field(description="U-Net: of the decoder's convolutions.")] = "batch"

    # how it learns
    stages: tuple[str, ...]
    size: int
    crops: int
    batch_size: int
    zooms: tuple[float, ...]
    optimizer: Annotated[OptimizerName, Field(description="What moves the weights.")] = "adamw"
    learning_rate: Annotated[float, Field(gt=0, description="The highest, of what is not pretrained.")] = 1e-3
    discriminative: Annotated[
        float, Field(gt=0, le=1, description="The lowest pretrained layers' learning rate, as a part of the highest.")
    ] = 0.01
    schedule: Annotated[ScheduleName, Field(description="How the learning rate goes over a stage.")] = "one-cycle"
    weight_decay: Annotated[float, Field(ge=0, description="Of all weights but biases and normalisation.")] = 1e-4
    clip: Annotated[float | None, Field(gt=0, description="Largest norm of the gradient.")] = 1.0
    average: Annotated[
        float, Field(ge=0, lt=1, description="Decay of a running average of the weights (EMA); 0 for none.")
    ] = 0.999
    precision: Annotated[PrecisionName, Field(description="Of the arithmetic.")] = "32-true"
    valid: Annotated[
        float,
        Field(ge=0, lt=1, description="Part of the pictures that is kept for validation."),
    ] = 0.1
    init: Annotated[
        GivenModel | None,
        Field(description="A model to begin with: a name, a run or a file; what fits of it is taken."),
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**63, description="Seed of all chance.")] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto takes the fastest there is.")
    ] = "auto"

    @model_validator(mode="after")
    def _stages_make_sense(self) -> Self:
        for text in self.stages:
            try:
                stage = parse_stage(text)
            except UsageError as error:
                raise ValueError(str(error)) from None
            if stage.layers not in self.stage_layers():
                raise ValueError(f"{text!r} is no stage: what learns is {' or '.join(self.stage_layers())}, as all:40")
        if not self.stages:
            raise ValueError("no stages: give one at least, as all:40")
        if any(not 0.05 <= zoom <= 1 for zoom in self.zooms) or not self.zooms:
            raise ValueError(f"zooms are {self.zooms}: give factors from 0.05 to 1")
        return self

    @classmethod
    def stage_layers(cls) -> tuple[str, ...]:
        """What a stage may train."""
        return ("decoder", "all")


class EnhancementOptions(TranslationOptions):
    """How a network is trained to make bad pictures good."""

    task: Annotated[
        Literal["superres", "restore", "colorize"],
        Field(description="superres enlarges, restore keeps the size, colorize gives colours to gray pictures."),
    ] = "restore"
    scale: Annotated[int, Field(ge=1, le=8, description="Times that superres enlarges. Default of superres: 2.")] = 1
    recipe: Annotated[
        str | None,
        Field(
            description="What makes good pictures bad: a preset, steps or a YAML file; `impasto degrade --list`. "
            "Default of superres: bicubic:SCALE; of restore: jpeg-denoise; of colorize: colorize."
        ),
    ] = None
    architecture: Annotated[
        ArchitectureName | Literal["auto"],
        Field(
            description="light: a small residual network; unet: over a pretrained encoder; transformer: Johnson's; "
            "auto: unet for colorize and where the recipe writes over pictures, else light."
        ),
    ] = "auto"
    blocks: Annotated[int | None, Field(ge=1, le=128, description="Residual blocks; not of a U-Net.")] = None
    fold: Annotated[
        int | None, Field(ge=1, le=8, description="Light: pixels along a side that are folded into channels.")
    ] = None
    factored: Annotated[bool, Field(description="Transformer: depthwise-separable convolutions.")] = False

    # how it learns
    stages: Annotated[
        tuple[str, ...],
        BeforeValidator(_several),
        Field(
            description="LAYERS:EPOCHS[@SIZE][*RATE] in turn: decoder (the encoder is frozen), all, or gan (all, "
            "against a critic), on crops of SIZE pixels. Growing sizes: decoder:2@64 all:4@64 all:4@128. Default of "
            "colorize: decoder:5, all:20."
        ),
    ] = ("all:40",)
    size: Annotated[
        int,
        Field(
            ge=8,
            le=2048,
            description="Side of the crops, in pixels of the good picture. Default of superres: 48 × scale; of "
            "colorize: 128.",
        ),
    ] = 96
    crops: Annotated[
        int, Field(ge=1, description="Crops taken of each picture in an epoch. Default of colorize: 4.")
    ] = 16
    batch_size: Annotated[int, Field(ge=1, le=4096, description="Crops in a step. Default of colorize: 8.")] = 16
    zooms: Annotated[
        tuple[float, ...],
        Field(
            description="Each crop is of the picture made smaller by one of these factors. Default of superres: "
            "1.0, 0.75, 0.5; of colorize: 1.0, 0.5."
        ),
    ] = (1.0,)

    # what it learns from
    memory: Annotated[float, Field(gt=0, description="GiB in which decoded pictures may be held.")] = 4.0
    gray: Annotated[float, Field(ge=0, le=1, description="Part of the crops that are made gray before all else.")] = 0.0

    # what is minimised
    pixel_loss: Annotated[
        PixelLossName | Literal["auto"],
        Field(description="Between pixels. auto: mse where the recipe writes over pictures, else charbonnier."),
    ] = "auto"
    features: Annotated[float, Field(ge=0, description="Weight of activations (feature loss); 0 for none.")] = 0.0
    gram: Annotated[float, Field(ge=0, description="Weight of their Gram matrices.")] = 0.0
    feature_network: Annotated[str, Field(description="Whose activations: pocket, vgg19, …")] = "pocket"
    feature_weights: Annotated[GivenPath | None, Field(description="That network's own file of weights.")] = None
    feature_taps: Annotated[tuple[str, ...], Field(description="Which; default: those that describe styles.")] = ()

    # stages named gan
    adversarial: Annotated[AdversarialLossName, Field(description="Loss of the stages named gan.")] = "bce"
    adversarial_weight: Annotated[
        float, Field(ge=0, description="Its weight; the content loss has content_weight.")
    ] = 1.0
    content_weight: Annotated[float, Field(ge=0, description="Weight of all other losses in the stages named gan.")] = (
        50.0
    )
    critic: Annotated[
        Literal["course", "patch"], Field(description="The critic: fastai's, or a PatchGAN of 70 pixels.")
    ] = "course"
    critic_epochs: Annotated[int, Field(ge=0, description="Epochs for which the critic learns alone at first.")] = 1
    switch: Annotated[
        float | None,
        Field(
            gt=0,
            description="The critic learns until its loss is below this part of the loss of one that guesses; unset "
            "takes turns, as wasserstein does.",
        ),
    ] = 0.94
    automatic_stop: Annotated[
        bool, Field(description="End a stage named gan where its curves say that it gains nothing more (NoGAN).")
    ] = True

    @classmethod
    def stage_layers(cls) -> tuple[str, ...]:
        """What a stage may train."""
        return ("decoder", "all", "gan")

    @model_validator(mode="wrap")
    @classmethod
    def _of_the_task(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Enlarging means superres, and each task has defaults of its own, which do not count as given."""
        if not isinstance(values, dict):
            return handler(values)
        task = values.get("task", "superres" if values.get("scale", 1) != 1 else "restore")
        own: dict[str, Any] = {"task": task}
        if task == "superres":
            scale = next((n for n in range(1, 9) if str(n) == str(values.get("scale"))), 2)  # others are refused below
            own |= {"scale": 2, "zooms": (1.0, 0.75, 0.5), "size": 48 * scale}
        elif task == "colorize":
            own |= {"size": 128, "crops": 4, "batch_size": 8, "zooms": (1.0, 0.5), "stages": ("decoder:5", "all:20")}
        made = handler(own | values)
        object.__setattr__(made, "__pydantic_fields_set__", set(values))
        return made

    @model_validator(mode="after")
    def _scale_fits(self) -> Self:
        if self.task == "superres" and self.scale == 1:
            raise ValueError("superres enlarges: give --scale 2, 3 or 4")
        if self.task != "superres" and self.scale != 1:
            raise ValueError(f"{self.task} keeps the size: leave --scale out, or take --task superres")
        return self


class SegmentationOptions(TranslationOptions):
    """How a network is trained to say of every pixel what it shows."""

    architecture: Annotated[Literal["unet"], Field(description="A U-Net over a pretrained encoder.")] = "unet"
    stages: Annotated[
        tuple[str, ...],
        BeforeValidator(_several),
        Field(description="LAYERS:EPOCHS[@SIZE][*RATE] in turn: decoder (the encoder is frozen) or all."),
    ] = ("decoder:10", "all:20")
    size: Annotated[int, Field(ge=8, le=2048, description="Side of the crops.")] = 160
    crops: Annotated[int, Field(ge=1, description="Crops taken of each picture in an epoch.")] = 1
    batch_size: Annotated[int, Field(ge=2, le=4096, description="Crops in a step.")] = 8
    zooms: Annotated[
        tuple[float, ...], Field(description="Each crop is taken of the picture made smaller by one of these factors.")
    ] = (1.0,)
    void: Annotated[
        int | None, Field(ge=0, le=255, description="The label that counts for nothing; 255 does in any case.")
    ] = None
    classes: Annotated[
        tuple[str, ...], BeforeValidator(_several), Field(description="Names of the labels 0, 1, …; default: numbers.")
    ] = ()
    balance: Annotated[
        float, Field(ge=0, le=1, description="How far rare classes weigh more: 1 weighs all alike, 0 by their pixels.")
    ] = 0.5

    @model_validator(mode="before")
    @classmethod
    def _without_other_architectures(cls, values: Any) -> Any:
        """Options files of older runs hold settings that a U-Net never had, at their defaults."""
        if not isinstance(values, dict):
            return values
        idle = {"blocks": None, "fold": None, "factored": False, "memory": 4.0}
        return {name: value for name, value in values.items() if name not in idle or value != idle[name]}
