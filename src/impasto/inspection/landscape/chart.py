"""A chart: a mapped surface with the way of a training on it, as it is kept in a file, drawn and put on a page."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from impasto.inspection.landscape.surface import Grid


@dataclass(frozen=True)
class Way:
    """Where a training went.

    Attributes:
        points: (n, k) coefficients of the chart's directions.
        held: (n,) part of each point's squared distance from the origin that lies in the chart's plane.
        explained: Part of the variance of all of them that the plane holds.
        losses: (n,) of the weights themselves, which lie beside the plane.
        labels: When each was.
    """

    points: Float[np.ndarray, "n k"]
    held: Float[np.ndarray, " n"]
    explained: float
    losses: Float[np.ndarray, " n"]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """A surface and all that is said of it.

    Attributes:
        title: Whose it is.
        grid: Where its values are.
        values: (h, w) by name: the loss, the accuracy.
        axes: What each direction is; one makes it a line.
        way: The way of the training, or None.
        roughness: By the name of the value, the measures of :class:`impasto.inspection.landscape.surface.Roughness`.
        facts: What else is to be known of it.
    """

    title: str
    grid: Grid
    values: dict[str, Float[np.ndarray, "h w"]]
    axes: tuple[str, ...]
    way: Way | None = None
    roughness: dict[str, dict[str, float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def flat(self) -> bool:
        """Whether it is a line."""
        return len(self.grid.y) == 1

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON holds it: what is no finite number becomes null."""
        way = self.way and {
            "points": _plain(self.way.points),
            "held": _plain(self.way.held),
            "explained": self.way.explained,
            "losses": _plain(self.way.losses),
            "labels": list(self.way.labels),
        }
        return {
            "title": self.title,
            "axes": list(self.axes),
            "x": _plain(self.grid.x),
            "y": _plain(self.grid.y),
            "values": {name: _plain(one) for name, one in self.values.items()},
            "way": way,
            "roughness": {
                name: {measure: _finite(value) for measure, value in one.items()}
                for name, one in self.roughness.items()
            },
            "facts": self.facts,
        }


def _plain(array: Float[np.ndarray, ...]) -> Any:
    return [_plain(one) if isinstance(one, np.ndarray) else _finite(float(one)) for one in array]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
