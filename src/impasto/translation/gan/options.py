"""Options of making pictures from noise: the one definition of keywords, flags, options files and reruns."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from impasto.training.names import PrecisionName

GanKind = Literal["wgan", "wgan-gp", "progressive"]


class Method(NamedTuple):
    """How a kind is trained.

    Attributes:
        optimizer: Of both sides.
        learning_rate: Of both sides.
        betas: Of Adam.
        critic_steps: Of the critic before each of the generator.
        bursts: Whether the critic has 100 steps before each of the generator's first 25, and at every 500th.
        clip: Bound of the critic's weights; 0 for none.
        penalty: Weight of the gradient penalty; 0 for none.
        drift: Weight of the squared scores of real pictures.
        decay: Part of the steps, at the end, in which the learning rate falls to 0.
    """

    optimizer: Literal["adam", "rmsprop"]
    learning_rate: float
    betas: tuple[float, float]
    critic_steps: int
    bursts: bool
    clip: float
    penalty: float
    drift: float
    decay: float


# What the papers have, but for settings that suit wide networks, a GPU and a day. wgan: Arjovsky et al. (2017),
# algorithm 1, at 5e-4 for their 5e-5; the bursts are their code's. wgan-gp: Gulrajani et al. (2017), algorithm 1, at
# 1e-3 and two critic steps for their 1e-4 and five. progressive: Karras et al. (2018), appendix A.1. That the rate
# falls to 0 is Gulrajani et al.'s code's, which lets it fall from the beginning.
METHODS: dict[GanKind, Method] = {
    "wgan": Method("rmsprop", 5e-4, (0.0, 0.99), 5, False, clip=0.01, penalty=0.0, drift=0.0, decay=0.5),
    "wgan-gp": Method("adam", 1e-3, (0.0, 0.9), 2, False, clip=0.0, penalty=10.0, drift=0.0, decay=0.5),
    "progressive": Method("adam", 1e-3, (0.0, 0.99), 1, False, clip=0.0, penalty=10.0, drift=1e-3, decay=0.4),
}

BURST, FIRST, EVERY = 100, 25, 500


class GanOptions(BaseModel):
    """How a generator of pictures is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Annotated[
        GanKind,
        Field(
            description="wgan (weights clipped), wgan-gp (gradient penalty), or progressive (growing from 4×4 pixels)."
        ),
    ] = "wgan-gp"
    size: Annotated[int, Field(ge=16, le=128, description="Side of the pictures in pixels: 16, 32, 64 or 128.")] = 32
    steps: Annotated[int, Field(ge=1, description="Steps of the generator.")] = 2000
    batch_size: Annotated[int, Field(ge=2, le=4096, description="Pictures in a step.")] = 32
    width: Annotated[
        int | None,
        Field(
            ge=1,
            le=1024,
            description="Channels: of the maps nearest to the picture (default: half the size, 16 at least), of the "
            "small maps of a progressive network (default: the size, 32 at least).",
        ),
    ] = None
    noise: Annotated[int, Field(ge=1, le=4096, description="Numbers that a picture is made from.")] = 100
    upsample: Annotated[
        Literal["transposed", "resize"],
        Field(description="How maps are doubled (not in a progressive network): resize draws no checkerboards."),
    ] = "transposed"

    optimizer: Annotated[
        Literal["adam", "rmsprop"] | None,
        Field(description="What moves the weights. Default: rmsprop for wgan, else adam."),
    ] = None
    learning_rate: Annotated[float | None, Field(gt=0, description="Of both. Default: 1e-3, with wgan 5e-4.")] = None
    critic_steps: Annotated[
        int | None,
        Field(
            ge=1,
            le=1000,
            description="Of the critic before each of the generator. Default: 2, with wgan 5, with progressive 1.",
        ),
    ] = None
    bursts: Annotated[
        bool | None,
        Field(
            description="100 critic steps before each of the generator's first 25 steps and at every 500th; not by "
            "default."
        ),
    ] = None
    clip: Annotated[
        float | None, Field(ge=0, description="Bound of the critic's weights, 0 for none. Default: 0.01 with wgan.")
    ] = None
    penalty: Annotated[
        float | None,
        Field(ge=0, description="Weight of the gradient penalty, 0 for none. Default: 10, none with wgan."),
    ] = None
    decay: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="Part of the steps, at the end, in which the learning rate falls to 0. Default: 0.5, with "
            "progressive 0.4.",
        ),
    ] = None
    spectral: Annotated[bool, Field(description="Spectral norm in the critic (not of a progressive network).")] = False
    average: Annotated[
        float, Field(ge=0, lt=1, description="Decay of the running average of the generator's weights; 0 for none.")
    ] = 0.999

    flip: Annotated[bool, Field(description="Mirror half of the pictures.")] = False
    sheet_every: Annotated[int, Field(ge=1, description="Steps from one sheet.png to the next.")] = 100
    sheet_count: Annotated[int, Field(ge=1, le=400, description="Pictures on a sheet.")] = 36
    seed: Annotated[int, Field(ge=0, lt=2**63, description="Seed of all chance.")] = 0
    precision: Annotated[PrecisionName, Field(description="Mixed precision is for GPUs.")] = "32-true"
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto takes the fastest there is.")
    ] = "auto"

    @field_validator("size")
    @classmethod
    def _power_of_two(cls, size: int) -> int:
        if size & (size - 1):
            raise ValueError("must be 16, 32, 64 or 128")
        return size

    @model_validator(mode="after")
    def _lipschitz(self) -> GanOptions:
        method = self.method
        if not (method.clip or method.penalty or self.spectral):
            raise ValueError("nothing keeps the critic's slopes in bounds: give --clip, --penalty or --spectral")
        if self.kind == "progressive" and self.spectral:
            raise ValueError("a progressive critic has no spectral norm: leave --spectral out")
        return self

    @property
    def method(self) -> Method:
        """The kind's own, with what is asked for over it."""
        given = {name: value for name in Method._fields if (value := getattr(self, name, None)) is not None}
        return METHODS[self.kind]._replace(**given)

    def critic_steps_before(self, step: int) -> int:
        """Steps of the critic before this one of the generator, counted from 0.

        >>> [GanOptions(kind="wgan", bursts=True).critic_steps_before(step) for step in (0, 24, 25, 499, 500)]
        [100, 100, 5, 5, 100]
        """
        method = self.method
        burst = method.bursts and (step < FIRST or step % EVERY == 0)
        return max(BURST, method.critic_steps) if burst else method.critic_steps

    def learning_rate_at(self, step: int) -> float:
        """The learning rate at this step of the generator, counted from 0.

        >>> [GanOptions(steps=8, learning_rate=1.0, decay=0.5).learning_rate_at(step) for step in (0, 4, 5, 7)]
        [1.0, 1.0, 0.75, 0.25]
        """
        left = (self.steps - step) / self.steps
        decay = self.method.decay
        return self.method.learning_rate * (min(1.0, left / decay) if decay else 1.0)

    @property
    def channels_of_maps(self) -> int:
        """The width: what is asked for, else what suits the size."""
        return self.width or (max(32, self.size) if self.kind == "progressive" else max(16, self.size // 2))

    def generator(self, channels: int) -> dict[str, Any]:
        """What :func:`~impasto.translation.gan.generator.build_generator` takes."""
        common = {"size": self.size, "noise": self.noise, "channels": channels}
        if self.kind == "progressive":
            return {"kind": "progressive", **common, "width": self.channels_of_maps}
        return {"kind": "dcgan", **common, "width": self.channels_of_maps, "upsample": self.upsample}


class GenerateOptions(BaseModel):
    """Which pictures a generator is to make."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    count: Annotated[
        int, Field(ge=1, le=10_000, description="Pictures on the sheet; with --interpolate, of whole rows.")
    ] = 36
    columns: Annotated[
        int | None, Field(ge=1, description="Pictures in a row. Default: as many as there are rows.")
    ] = None
    interpolate: Annotated[bool, Field(description="Every row goes from one picture to another, step by step.")] = False
    enlarge: Annotated[int, Field(ge=1, le=32, description="Times that every pixel is repeated.")] = 1
    seed: Annotated[int, Field(ge=0, lt=2**63, description="Seed of the noise: the same seed, the same pictures.")] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto takes the fastest there is.")
    ] = "auto"

    @model_validator(mode="after")
    def _rows_have_two_ends(self) -> Self:
        if self.interpolate and (self.columns or self.count) < 2:
            raise ValueError("a row that goes from one picture to another has two at least: take --columns 10")
        return self
