"""Options of attribution and of fooling: the one definition of their keywords, flags and options files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from impasto.inspection.options import InspectionOptions, several

MethodName = Literal[
    "saliency",
    "gradient",
    "guided",
    "deconvnet",
    "integrated-gradients",
    "smoothgrad",
    "smoothgrad-squared",
    "occlusion",
    "grad-cam",
    "edges",
]
BaselineName = Literal["black", "gray", "blur"]

ClassName = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]


class ClassifierPictureOptions(InspectionOptions):
    """What explaining and fooling have in common: a classifier, and a picture at a size that it takes."""

    network: Annotated[
        str,
        Field(description="Which classifier: squeezenet1_0 or _1, vgg19, vgg16, timm:NAME, or a run of training."),
    ] = "squeezenet1_0"
    size: Annotated[
        int | None,
        Field(
            ge=16,
            le=4096,
            description="Shorter side in pixels at which the network sees the picture. Default: the network's own.",
        ),
    ] = None
    top: Annotated[int, Field(ge=1, le=1000, description="How many of the most probable classes are told.")] = 5


class ExplainOptions(ClassifierPictureOptions):
    """How to find which pixels a class score comes from."""

    method: Annotated[
        tuple[MethodName, ...],
        BeforeValidator(several),
        Field(description="How; several make a map each. Default: six that suit the network."),
    ] = ()
    class_: Annotated[
        ClassName | None,
        Field(description="Name or number of the class that is explained. Default: the most probable."),
    ] = None
    tap: Annotated[
        str | None,
        Field(description="Layer of grad-cam. Default: the last with positions through which the score runs."),
    ] = None
    baseline: Annotated[
        BaselineName | None,
        Field(description="What stands for nothing. Default: black for integrated-gradients, gray for occlusion."),
    ] = None
    steps: Annotated[int, Field(ge=1, le=10_000, description="Points on the way of integrated-gradients.")] = 50
    samples: Annotated[int, Field(ge=1, le=10_000, description="Noisy pictures of smoothgrad.")] = 25
    noise: Annotated[
        float, Field(ge=0, le=10, description="Noise of smoothgrad, as a part of the picture's range.")
    ] = 0.15
    window: Annotated[
        int | None,
        Field(ge=1, description="Side in pixels of what occlusion covers. Default: an eighth of the picture."),
    ] = None
    stride: Annotated[
        int | None, Field(ge=1, description="Pixels from one window of occlusion to the next. Default: half a window.")
    ] = None
    sanity: Annotated[
        bool, Field(description="Test each map: against shuffled weights, and by deletion, insertion and ROAD.")
    ] = True
    randomise: Annotated[
        Literal["all", "cascading", "independent"],
        Field(description="Which weights are shuffled: all; more and more from the output on; or each part by itself."),
    ] = "all"

    @model_validator(mode="before")
    @classmethod
    def _class_is_a_word_of_python(cls, values: Any) -> Any:
        """An options file says ``class``, which Python cannot; flags and keywords say ``class_`` and go over it."""
        if isinstance(values, dict) and "class" in values:
            values = {"class_": values["class"]} | {name: v for name, v in values.items() if name != "class"}
        return values


class FoolOptions(ClassifierPictureOptions):
    """How to change a picture so little that a person sees nothing, and the network something else."""

    target: Annotated[
        ClassName | None,
        Field(description="Name or number of the class it shall take the picture for. Default: a random one."),
    ] = None
    steps: Annotated[int, Field(ge=1, le=100_000, description="Steps at most.")] = 100
    rate: Annotated[
        float,
        Field(gt=0, le=255, description="Length of a step: grey levels that a pixel moves, as a root mean square."),
    ] = 0.25
    confidence: Annotated[
        float, Field(ge=0, lt=1, description="Probability that the target must reach; 0: it is enough that it leads.")
    ] = 0.0
