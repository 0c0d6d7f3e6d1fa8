"""Options of training a classifier: the one definition of its keywords, flags, options files and reruns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from impasto.errors import UsageError
from impasto.training.names import OptimizerName, PrecisionName, ScheduleName
from impasto.training.stage import parse_stage

GivenPath = Annotated[Path, AfterValidator(Path.absolute)]  # a run may be resumed from another folder


def _several(value: Any) -> Any:
    """One stands for a tuple of one, and the word none for none."""
    if value in ("none", ["none"], ("none",)):
        return ()
    return (value,) if isinstance(value, str | Path) else value


class ClassifierOptions(BaseModel):
    """How a classifier is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # what it is made of
    network: Annotated[
        str,
        Field(
            description="What it begins with: squeezenet1_0, pocket (embedded), vgg16, vgg19, timm:NAME, or "
            "scratch:plain and scratch:residual, which know nothing yet (scratch:residual-56x8: 56 deep, 8 wide)."
        ),
    ] = "squeezenet1_0"
    weights: Annotated[
        GivenPath | None, Field(description="A file of weights for the network, instead of the published ones.")
    ] = None
    tap: Annotated[
        str | None, Field(description="The layer that the head stands on. Default: the network's last before its own.")
    ] = None
    head: Annotated[
        Literal["linear", "pooled"],
        Field(description="linear: one layer over pooled activations; pooled: fastai's, with a hidden layer."),
    ] = "linear"
    dropout: Annotated[float, Field(ge=0, lt=1, description="In the head, before its last layer.")] = 0.25
    boxes: Annotated[bool, Field(description="Learn the bounding boxes too, from the same network.")] = False
    batch_norm: Annotated[bool, Field(description="With scratch networks: batch norm after each convolution.")] = True
    input_batch_norm: Annotated[bool, Field(description="Batch norm on the pictures themselves.")] = False

    # what it sees
    size: Annotated[int, Field(ge=8, le=4096, description="Side of the pictures in pixels.")] = 224
    fit: Annotated[
        Literal["squish", "crop", "pad"],
        Field(description="How a picture becomes square: its sides squeezed, its middle, or with borders."),
    ] = "squish"
    valid: Annotated[
        float,
        Field(gt=0, lt=1, description="Part of the training pictures kept for validation, where there is none yet."),
    ] = 0.2
    augment: Annotated[
        tuple[str, ...],
        BeforeValidator(_several),
        Field(description="Chance changes of the training pictures: flip, rotate:10, zoom:0.1, brightness:0.2; none."),
    ] = ("flip", "zoom")
    copies: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="Copies, one of them plain, of which activations are precomputed for a frozen network.",
        ),
    ] = 3
    precompute: Annotated[
        bool, Field(description="Compute the activations of a frozen network once, not in each epoch.")
    ] = True
    sampling: Annotated[
        Literal["plain", "balanced"],
        Field(description="balanced: every class is seen equally often, however few pictures it has."),
    ] = "plain"

    # how it learns
    stages: Annotated[
        tuple[str, ...],
        BeforeValidator(_several),
        Field(
            description="What is trained for how many epochs: head:10, features.7:2, all:3; with @160 at that size, "
            "with *1e-4 at that learning rate."
        ),
    ] = ("head:40", "all:3")
    optimizer: Annotated[OptimizerName, Field(description="What moves the weights.")] = "adamw"
    learning_rate: Annotated[
        float | Literal["auto"],
        Field(
            description="Highest learning rate of the head, a twentieth of it once pretrained layers move too; auto "
            "looks for it before each stage."
        ),
    ] = 2e-3
    discriminative: Annotated[
        float,
        Field(gt=0, le=1, description="The lowest layers' learning rate, as a part of the head's; between, geometric."),
    ] = 0.01
    schedule: Annotated[ScheduleName, Field(description="How the learning rate goes over a stage.")] = "one-cycle"
    batch_size: Annotated[int, Field(ge=2, le=65536, description="Pictures in a step.")] = 32
    weight_decay: Annotated[float, Field(ge=0, description="Of all weights but biases and normalisation.")] = 0.01
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="Part of a label shared out to all classes.")] = 0.0
    mixup: Annotated[
        float, Field(ge=0, description="Mix pictures and their labels by parts from Beta(a, a); 0 for none.")
    ] = 0.0
    clip: Annotated[float | None, Field(gt=0, description="Largest norm of the gradient.")] = None
    average: Annotated[
        float, Field(ge=0, lt=1, description="Decay of a running average of the weights (EMA); 0 for none.")
    ] = 0.0
    patience: Annotated[
        int | None,
        Field(ge=1, description="End a stage after so many epochs without a lower validation loss; keep the best."),
    ] = None
    precision: Annotated[PrecisionName, Field(description="Mixed precision is for GPUs.")] = "32-true"

    # what else it learns from
    unlabelled: Annotated[
        GivenPath | None, Field(description="A folder of pictures without labels, to learn pseudo-labels of.")
    ] = None
    pseudo_share: Annotated[
        float, Field(gt=0, le=0.5, description="Part of each batch with pseudo-labels; the field takes 1/4 to 1/3.")
    ] = 0.25
    teachers: Annotated[
        tuple[GivenPath, ...],
        BeforeValidator(_several),
        Field(description="Runs whose (averaged) opinion is learnt: of unlabelled pictures, and by distillation."),
    ] = ()
    temperature: Annotated[float, Field(gt=0, description="Of distillation: how soft the teachers' opinion is.")] = 4.0
    distillation: Annotated[
        float, Field(ge=0, le=1, description="Weight of the teachers' opinion on labelled pictures, against the label.")
    ] = 0.0

    snapshots: Annotated[
        bool, Field(description="Keep the weights before training and after every epoch, for `impasto landscape`.")
    ] = False
    audit: Annotated[bool, Field(description="Look for copies and leaks among the pictures before training.")] = True
    seed: Annotated[int, Field(ge=0, lt=2**63, description="Seed of all chance.")] = 0
    memory: Annotated[float, Field(gt=0, description="GiB in which decoded pictures may be held.")] = 4.0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto takes the fastest there is.")
    ] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _from_scratch(cls, values: Any) -> Any:
        """A network that knows nothing is trained as a whole, and faster: its own defaults."""
        if isinstance(values, dict) and str(values.get("network", "")).startswith("scratch:"):
            return {"stages": ("all:10",), "learning_rate": 5e-3} | values
        return values

    @model_validator(mode="after")
    def _each_makes_sense(self) -> ClassifierOptions:
        for stage in self.stages:
            try:
                parse_stage(stage, "head:10, features.7:2")
            except UsageError as error:
                raise ValueError(str(error)) from None
        if not self.stages:
            raise ValueError("no stages: give one at least, as head:10")
        if isinstance(self.learning_rate, float) and self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: it must be greater than 0, or auto")
        return self

    def require_fit(self) -> None:
        """Make sure that the options go together; flags alone need not, before a file's are laid under them.

        Raises:
            UsageError: They do not.
        """
        if self.unlabelled and not self.teachers:
            raise UsageError("pseudo-labels need a run that gives them: add --teachers RUN")
        if self.teachers and not (self.unlabelled or self.distillation):
            raise UsageError(
                "teachers are given, but nothing to ask them: add --unlabelled FOLDER or --distillation 0.5"
            )
        if self.distillation and not self.teachers:
            raise UsageError("distillation needs a teacher: add --teachers RUN")
        if self.boxes and self.mixup:
            raise UsageError("boxes cannot be mixed: leave --mixup or --boxes out")
        if self.network.startswith("scratch:") and self.weights:
            raise UsageError(f"{self.network} knows nothing yet: leave --weights out")
