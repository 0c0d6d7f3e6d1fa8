"""Difference: how far what a training comes to is from what it came to when it was done before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from impasto.runs.circumstances import changes

FACTS = ("made_with", "networks", "teachers")  # of a manifest: what the result of the same options may differ by


class Outcome(NamedTuple):
    """What a training came to.

    Attributes:
        manifest: Of its run.
        weights: By name.
        scores: By name; what is no number is not compared.
    """

    manifest: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    scores: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """How far a run made again is from the first.

    Attributes:
        weights: Largest absolute difference of a weight.
        scores: (first, again) by name, of each number among the scores.
        reasons: What of the circumstances is not as it was.
    """

    weights: float
    scores: dict[str, tuple[float, float]]
    reasons: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether the weights agree to the last bit, and so all that follows from them."""
        return self.weights == 0

    def __str__(self) -> str:
        if self.identical:
            return "identical: the same weights, bit for bit"
        changed = [f"{name} {was:.4f} → {now:.4f}" for name, (was, now) in self.scores.items() if was != now]
        why = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"weights differ by up to {self.weights:.2g}; {', '.join(changed) or 'the same scores'}{why}"


def difference(first: Outcome, again: Outcome) -> Difference:
    """Of two trainings with the same options, whose weights have the same names."""
    pairs = ((first.weights[name].double(), again.weights[name].double()) for name in first.weights)
    was, now = ({k: v for k, v in one.scores.items() if isinstance(v, int | float)} for one in (first, again))
    return Difference(
        weights=max(float((one - other).abs().max()) for one, other in pairs),
        scores={name: (was[name], now[name]) for name in was if name in now},
        reasons=tuple(
            words for fact in FACTS for words in changes(first.manifest.get(fact, {}), again.manifest.get(fact, {}))
        ),
    )
