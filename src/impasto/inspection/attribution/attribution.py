"""Attribution: for one picture and one class, how much each pixel has to do with the score."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

Fact = float | int | str


@dataclass(frozen=True, eq=False)
class Attribution:
    """What one method says of one picture and one class.

    Attributes:
        method: The method's name.
        values: What the method gives, (3, h, w) where it tells the colours apart, else (1, h, w); on the CPU.
        map: (h, w), how much each pixel matters: what is shown, and what orders the pixels. On the CPU.
        signed: Whether negative values of the map speak against the class; else the map has none.
        facts: What else there is to say: the tap, the baseline, the gap in the method's own accounts.
    """

    method: str
    values: Float[Tensor, "c h w"]
    map: Float[Tensor, "h w"]
    signed: bool
    facts: dict[str, Fact] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether the map says nothing: it is zero all over."""
        return not bool(self.map.any())


def unsigned(method: str, values: Float[Tensor, "c h w"], **facts: Fact) -> Attribution:
    """An attribution whose map is the largest magnitude over the colours.

    Simonyan et al., "Deep inside convolutional networks" (2014), section 3.1.
    """
    values = values.detach().cpu()
    return Attribution(method, values, values.abs().amax(0), signed=False, facts=facts)


def signed(method: str, values: Float[Tensor, "c h w"], **facts: Fact) -> Attribution:
    """An attribution whose map is the sum over the colours: what speaks for the class, less what speaks against it."""
    values = values.detach().cpu()
    return Attribution(method, values, values.sum(0), signed=True, facts=facts)
