"""Painting: goes through the stages of a craft, from coarse to fine, and can be stopped and taken up again anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.images import Picture
from impasto.networks import Network
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.recipe import Input
from impasto.synthesis.engine import Descent, Walk
from impasto.synthesis.memory import Chosen, Layout, Needs, lay_out
from impasto.synthesis.objective import Objective, halved, out_of_memory
from impasto.synthesis.options import SynthesisOptions
from impasto.synthesis.processes import agreed, world
from impasto.synthesis.schedule import Stage


class Craft(Protocol):
    """One picture to be made: style transfer, texture synthesis or feature inversion, with all that it needs read.

    Attributes:
        verb: Its name on the command line.
        options: How.
        size: (height, width) of the result.
        stages: Coarse to fine.
        networks: By name.
        inputs: The files that went in.
        device: Where the work is done.
    """

    verb: str
    options: Any
    size: tuple[int, int]
    stages: tuple[Stage, ...]
    networks: dict[str, Network]
    inputs: tuple[Input, ...]
    device: torch.device

    def needs(self, index: int) -> Needs:
        """What of a stage must be laid out in memory."""

    def objective(self, index: int, layout: Layout) -> Objective:
        """What is minimised at a stage."""

    def start(self, index: int, image: Tensor | None) -> Float[Tensor, "1 3 h w"]:
        """The picture from which a stage starts, from the one that the stage before has made."""

    def finish(self, image: Float[Tensor, "1 3 h w"], index: int) -> Picture:
        """The picture as it is written, from what a stage has made: the last one, or an earlier one if interrupted."""


@dataclass(frozen=True, eq=False)
class SynthesisProgress:
    """One step.

    Attributes:
        stage: Which stage it is, from 0.
        stages: All the stages, coarse to fine.
        step: Steps made at this stage.
        done: Part of the whole work that is done, by its estimated cost, in [0, 1].
        losses: Weighted terms by name, and ``total``.
        image: The picture so far, (1, 3, h, w) at this stage's size; may leave [0, 1] a little.
        tile: Side of the tiles; None for the whole picture at once.
        checkpoint: Makes all that is needed to go on from here.
    """

    stage: int
    stages: tuple[Stage, ...]
    step: int
    done: float
    losses: dict[str, float]
    image: Float[Tensor, "1 3 h w"]
    tile: int | None
    checkpoint: Callable[[], Checkpoint]

    @property
    def where(self) -> str:
        """The scale and the network, in a few words."""
        stage = self.stages[self.stage]
        return f"{stage.size[1]}×{stage.size[0]} {stage.network} {self.step}/{stage.steps}"


def paint(craft: Craft, checkpoint: Checkpoint | None = None) -> Iterator[SynthesisProgress]:
    """Make the picture; yields every step. With a checkpoint, goes on from there to the same picture, bit for bit.

    An event keeps the optimiser's memory alive: let go of it before the next one.
    """
    chosen = [Chosen(*one) for one in checkpoint.facts["chosen"]] if checkpoint else choose(craft)
    image: Tensor | None = None
    for index in range(checkpoint.facts["stage"] if checkpoint else 0, len(craft.stages)):
        walk = _walk(craft.stages[index], craft.options)
        if checkpoint:
            objective = _objective(craft, index, chosen)
            objective.tile(checkpoint.facts["tile"])  # out of memory, it may have gone on in smaller ones
            tensors = {name: tensor.to(craft.device) for name, tensor in checkpoint.tensors.items()}
            descent = Descent.restored(objective, walk, tensors, checkpoint.facts["descent"])
            checkpoint = None
            del tensors
        else:
            image = craft.start(index, image)
            objective = _objective(craft, index, chosen)
            descent = Descent.begin(objective, image, walk)
            image = None
        done = 0.0
        for _ in descent:
            yield (event := _tell(craft.stages, index, descent, objective, chosen))
            done = event.done
            del event
        if index + 1 == len(craft.stages) and done < 1:  # on its plateau early, or nothing was left to do
            yield replace(_tell(craft.stages, index, descent, objective, chosen), done=1.0)
        image = descent.image
        del descent, objective


def choose(craft: Craft) -> list[Chosen]:
    """What memory decides, for all stages, before any work: it must not depend on what is free later."""
    found = [layout_of(craft, index).chosen for index in range(len(craft.stages))]
    sides = agreed([one.side for one in found], craft.device)
    return [one._replace(side=side) for one, side in zip(found, sides, strict=True)]


def require_memory(craft: Craft) -> None:
    """Check, before any work, that the finest stage of each network fits: the one that may not.

    Raises:
        ImpastoError: It does not fit.
        UsageError: The network cannot be tiled, or not in tiles of the side asked for.
    """
    for index in {stage.network: index for index, stage in enumerate(craft.stages)}.values():
        layout_of(craft, index)


def layout_of(craft: Craft, index: int) -> Layout:
    """How a stage would be laid out now.

    Raises:
        ImpastoError: It does not fit.
        UsageError: The network cannot be tiled, or not in tiles of the side asked for.
    """
    options = craft.options
    return lay_out(craft.needs(index), memory=options.memory, tile=options.tile, device=craft.device)


def _objective(craft: Craft, index: int, chosen: list[Chosen]) -> Objective:
    """A stage's objective; out of memory, in tiles of half the side."""
    while True:
        side = chosen[index].side
        try:
            layout = Layout(craft.needs(index).tiling(side), chosen[index])
            return craft.objective(index, layout)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or world() > 1:
                raise
        needs = craft.needs(index)
        half = halved(needs.tiling(side), needs.taps.geometry(), needs.reach)
        chosen[index] = chosen[index]._replace(side=half.side or side, kept=1)


def _tell(
    stages: tuple[Stage, ...], index: int, descent: Descent, objective: Objective, chosen: list[Chosen]
) -> SynthesisProgress:
    stage, point = stages[index], descent.optimizer.point
    before = sum(earlier.cost for earlier in stages[:index])
    here = stage.cost * min(1.0, descent.step / stage.steps)

    def checkpoint() -> Checkpoint:
        tensors, facts = descent.state()
        tile = objective.tiling.side or max(stage.size)
        return Checkpoint(tensors, {"stage": index, "descent": facts, "tile": tile, "chosen": chosen})

    return SynthesisProgress(
        stage=index,
        stages=stages,
        step=descent.step,
        done=(before + here) / sum(stage.cost for stage in stages),
        losses=point.terms | {"total": point.loss},
        image=descent.image,
        tile=objective.tiling.side,
        checkpoint=checkpoint,
    )


def _walk(stage: Stage, options: SynthesisOptions) -> Walk:
    return Walk(
        stage.steps,
        "adam" if stage.optimizer == "adam" else "lbfgs",
        history=stage.history,
        half=stage.half,
        average=options.average,
    )
