"""A recipe: how good pictures are made bad, as text, as JSON, and as a function of pictures and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import permutations
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from impasto.errors import UsageError
from impasto.translation.degrade.operations import Value, resolve, sentence, shown, written
from impasto.translation.degrade.sizes import share_after

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

VERSION = 1
MOST_SHUFFLED = 5  # parts of a group whose every order is looked at

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
Probability = Annotated[float, Field(ge=0, le=1)]


class Step(BaseModel):
    """One operation, with all its parameters.

    >>> str(Step(operation="noise", parameters={"sigma": "0-25"}, probability=0.5))
    'noise:0-25@0.5'
    """

    model_config = _FROZEN

    operation: str
    parameters: dict[str, Value] = Field(default_factory=dict)
    probability: Probability = 1.0

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("parameters", {}), dict):
            return values
        return values | {"parameters": resolve(str(values.get("operation")), values.get("parameters", {}))}

    def __str__(self) -> str:
        return written(self.operation, self.parameters) + _often(self.probability)

    def describe(self) -> str:
        """One sentence."""
        return sentence(self.operation, self.parameters) + _in_words(self.probability)


class Member(BaseModel):
    """A sequence of steps within a group, and how often it is the one that is taken."""

    model_config = _FROZEN

    steps: Annotated[tuple[Item, ...], Field(min_length=1)]
    weight: Annotated[float, Field(gt=0)] = 1.0


class Group(BaseModel):
    """Sequences of which one is taken, or all in any order."""

    model_config = _FROZEN

    group: Literal["one-of", "shuffle"]
    members: Annotated[tuple[Member, ...], Field(min_length=1)]
    probability: Probability = 1.0

    @model_validator(mode="after")
    def _few_orders(self) -> Self:
        if self.group == "shuffle" and len(self.members) > MOST_SHUFFLED:
            raise UsageError(f"shuffle takes {MOST_SHUFFLED} parts at most, not {len(self.members)}: put some together")
        return self

    def __str__(self) -> str:
        even = self.group == "shuffle" or all(one.weight == 1 for one in self.members)
        parts = [("" if even else f"{shown(one.weight)} ") + _joined(one.steps) for one in self.members]
        return f"{self.group}({' | '.join(parts)})" + _often(self.probability)

    def describe(self) -> str:
        """One sentence."""
        parts = [" and ".join(step.describe() for step in one.steps) for one in self.members]
        if self.group == "shuffle":
            return "in any order: " + "; ".join(parts) + _in_words(self.probability)
        total = sum(one.weight for one in self.members)
        shares = [f"{100 * one.weight / total:.3g} % {part}" for one, part in zip(self.members, parts)]
        return "one of: [" + "; ".join(shares) + "]" + _in_words(self.probability)


def _kind(item: Any) -> str:
    named = item.get("group") if isinstance(item, dict) else getattr(item, "group", None)
    return "step" if named is None else "group"


Item = Annotated[Annotated[Step, Tag("step")] | Annotated[Group, Tag("group")], Discriminator(_kind)]
Member.model_rebuild()


class Recipe(BaseModel):
    """How good pictures are made bad.

    Attributes:
        version: Of the form of the JSON.
        name: The preset's or file's; None for steps.
        steps: In the order in which they are applied.
    """

    model_config = _FROZEN

    version: Literal[1] = 1
    name: str | None = None
    steps: Annotated[tuple[Item, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ends_at_one_size(self) -> Self:
        shares = _shares(self.steps, {Fraction(1)})
        share = next(iter(shares))
        if len(shares) > 1 or share is None:
            raise UsageError(
                "the recipe ends at a size that is not always the same: add enlarge at the end (back to the original "
                "size), or fit:4 (to a quarter of it)"
            )
        if share.numerator != 1:
            raise UsageError(
                f"the recipe ends at {share} of the original size, which is not 1, 1/2, 1/3, …: add enlarge or fit:N"
            )
        return self

    @classmethod
    def from_json(cls, values: Any) -> Recipe:
        """The recipe that :meth:`to_json` gave.

        Raises:
            UsageError: It is none, or of another version.
        """
        if not isinstance(values, dict) or "steps" not in values:
            raise UsageError("this is no recipe: a recipe has steps")
        if values.get("version", VERSION) != VERSION:
            raise UsageError(
                f"the recipe is of version {values['version']}, not {VERSION}: use the impasto that wrote it"
            )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            from impasto.runs.options_file import describe

            raise UsageError(f"this is no recipe: {describe(error.errors()[0])}") from error

    def to_json(self) -> dict[str, Any]:
        """Everything, defaults too, so that it means the same when defaults have changed."""
        return self.model_dump(mode="json")

    @property
    def scale(self) -> int:
        """Times that the result is smaller than the original; 1 where it has its size."""
        (share,) = _shares(self.steps, {Fraction(1)})
        assert share is not None
        return share.denominator

    @property
    def multiple(self) -> int:
        """What the height and the width of pictures must be multiples of."""
        return self.scale

    def __call__(self, images: Float[Tensor, "b 3 h w"], seeds: Sequence[int]) -> Float[Tensor, "b 3 H W"]:
        """The pictures made bad, each by its own seed, whatever others are in the batch.

        Chance is drawn on the processor, so that it is the same on every device. No gradients.

        Args:
            images: In [0, 1]; H and W multiples of `multiple`.
            seeds: One a picture.

        Returns:
            In [0, 1], at 1/scale of the size.

        Raises:
            UsageError: The size is no multiple.

        >>> import torch
        >>> from impasto.translation.degrade import parse
        >>> parse("down:4 jpeg:30-95")(torch.rand(2, 3, 64, 48), seeds=[0, 1]).shape
        torch.Size([2, 3, 16, 12])
        """
        from impasto.translation.degrade.apply import apply

        return apply(self, images, seeds)

    def __str__(self) -> str:
        """The steps as text, which `parse` reads."""
        return _joined(self.steps)

    def describe(self) -> tuple[str, ...]:
        """One sentence a step, for a card."""
        return tuple(step.describe() for step in self.steps)


def _shares(steps: Iterable[Step | Group], shares: set[Fraction | None]) -> set[Fraction | None]:
    """All the shares of the original size that pictures may have after some steps, of those before; None: any."""
    for item in steps:
        if isinstance(item, Step):
            after = {share_after(item.operation, item.parameters, share) for share in shares}
        elif item.group == "one-of":
            after = set().union(*(_shares(one.steps, shares) for one in item.members))
        else:
            after = set()
            for order in permutations(item.members):
                after |= _shares([step for one in order for step in one.steps], shares)
        if item.probability > 0:
            shares = after | (shares if item.probability < 1 else set())
    return shares


def _joined(steps: Iterable[Step | Group]) -> str:
    return " ".join(map(str, steps))


def _often(probability: float) -> str:
    return "" if probability == 1 else f"@{shown(probability)}"


def _in_words(probability: float) -> str:
    return "" if probability == 1 else f", in {100 * probability:.3g} % of the pictures"
