"""Plans: the scales, tiles, memory and time of a picture, before anything is spent on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from impasto.images import Picture
from impasto.images.resize import fit
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.synthesis import stylize
from impasto.synthesis.memory import GIB, Layout
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.painting import Craft, layout_of
from impasto.synthesis.preparation import Source
from impasto.synthesis.schedule import Stage
from impasto.synthesis.tiles import Tiling

PROBE = 384  # longest side of the picture on which a step is measured
FORWARD = 0.35  # part of an evaluation that is the network's forward pass: what the first pass over tiles adds
SEARCH = 1.15  # evaluations that a step of L-BFGS takes
PREPARING = 3.0  # forward passes before the first step: calibration and targets


@dataclass(frozen=True)
class PlannedStage:
    """A stage, how it is laid out in memory, and how long it may take at most, in seconds."""

    stage: Stage
    layout: Layout
    seconds: float

    def row(self) -> dict[str, Any]:
        """What a table shows of it."""
        tiles = len(self.layout.tiling.tiles)
        stage = self.stage
        history = f", {stage.history} pairs" + (" in half precision" if stage.half else "")
        return {
            "size": f"{stage.size[1]}×{stage.size[0]}",
            "network": stage.network,
            "optimizer": "adam" if stage.optimizer == "adam" else "lbfgs" + history,
            "steps": stage.steps,
            "tiles": "whole" if tiles == 1 else f"{tiles} of {self.layout.tiling.side}",
            "content": self.layout.chosen.content,
            "GiB": round(self.layout.bytes / GIB, 1),
            "seconds": round(self.seconds),
        }


@dataclass(frozen=True)
class Plan:
    """All stages of a picture.

    Attributes:
        stages: Coarse to fine.
    """

    stages: tuple[PlannedStage, ...]

    @property
    def seconds(self) -> float:
        """Time that all of it may take; less where a scale reaches its plateau early."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def bytes(self) -> float:
        """Memory that it takes at its most."""
        return max(stage.layout.bytes for stage in self.stages)


def plan(
    content: Source,
    styles: Source | Sequence[Source],
    *,
    options: StyleTransferOptions | None = None,
    download: Download | None = None,
    **fields: Any,
) -> Plan:
    """What `stylize` with the same arguments would do: scales, tiles, memory, and time from a measured step.

    Args:
        content: The photograph.
        styles: The painting, or several.
        options: All options at once; ``fields`` go over it.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`StyleTransferOptions`.

    Raises:
        UsageError: What `stylize` would refuse.
        ImpastoError: It would not fit.
    """
    options = merge(StyleTransferOptions, options, fields)
    one = isinstance(styles, str | Picture) or not isinstance(styles, Sequence)
    return plan_of(stylize.prepare(content, [styles] if one else styles, options, download))  # type: ignore[list-item, arg-type]


def plan_of(craft: Craft) -> Plan:
    """The plan of any craft."""
    speeds = {name: _seconds_per_pixel(craft, name) for name in dict.fromkeys(s.network for s in craft.stages)}
    planned = []
    for index, stage in enumerate(craft.stages):
        layout = layout_of(craft, index)
        own = stage.size[0] * stage.size[1]
        seen = _seen(layout.tiling)
        again = 1 - min(1.0, layout.chosen.kept / len(layout.tiling.tiles))
        evaluation = speeds[stage.network] * seen * (1 + FORWARD * again)
        evaluations = stage.steps * (SEARCH if stage.optimizer == "lbfgs" else 1.0) + 1
        preparing = speeds[stage.network] * own * FORWARD * PREPARING
        planned.append(PlannedStage(stage, layout, evaluation * evaluations + preparing))
    return Plan(tuple(planned))


def _seconds_per_pixel(craft: Craft, network: str) -> float:
    """The time of one evaluation of the craft's own objective on a small picture."""
    stage = next(stage for stage in reversed(craft.stages) if stage.network == network)
    multiple = 16
    small = fit(stage.size, min(PROBE, max(stage.size)))
    height, width = (max(2 * multiple, round(side / multiple) * multiple) for side in small)
    probe = cast(Craft, replace(cast(Any, craft), stages=(replace(stage, size=(height, width)),)))
    layout = layout_of(probe, 0)
    objective = probe.objective(0, layout)
    image = probe.start(0, None)
    objective(image)  # the first one warms caches up
    began = time.perf_counter()
    objective(image)
    return (time.perf_counter() - began) / _seen(layout.tiling)


def _seen(tiling: Tiling) -> int:
    return sum((t.seen_rows[1] - t.seen_rows[0]) * (t.seen_columns[1] - t.seen_columns[0]) for t in tiling.tiles)
