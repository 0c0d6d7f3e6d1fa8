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
from impasto.synthesis.memory import Layout
from impasto.synthesis.objective import Objective
from impasto.synthesis.options import SynthesisOptions
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

    def layout(self, index: int, tile: int | None = None) -> Layout:
        """How a stage is laid out in memory, in tiles of this side or in the largest that fit."""

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
    image: Tensor | None = None
    for index in range(checkpoint.facts["stage"] if checkpoint else 0, len(craft.stages)):
        walk = _walk(craft.stages[index], craft.options)
        if checkpoint:
            # in the tiles that it had: others would round differently
            layout = replace(craft.layout(index, checkpoint.facts["tile"]), kept=checkpoint.facts["kept"])
            objective = craft.objective(index, layout)
            tensors = {name: tensor.to(craft.device) for name, tensor in checkpoint.tensors.items()}
            descent = Descent.restored(objective, walk, tensors, checkpoint.facts["descent"])
            checkpoint = None
            del tensors
        else:
            image = craft.start(index, image)
            objective = craft.objective(index, craft.layout(index))
            descent = Descent.begin(objective, image, walk)
            image = None
        done = 0.0
        for _ in descent:
            yield (event := _tell(craft.stages, index, descent, objective))
            done = event.done
            del event
        if index + 1 == len(craft.stages) and done < 1:  # on its plateau early, or nothing was left to do
            yield replace(_tell(craft.stages, index, descent, objective), done=1.0)
        image = descent.image
        del descent, objective


def _tell(stages: tuple[Stage, ...], index: int, descent: Descent, objective: Objective) -> SynthesisProgress:
    stage, point = stages[index], descent.optimizer.point
    before = sum(earlier.cost for earlier in stages[:index])
    here = stage.cost * min(1.0, descent.step / stage.steps)

    def checkpoint() -> Checkpoint:
        tensors, facts = descent.state()
        tile = objective.tiling.side or max(stage.size)
        return Checkpoint(tensors, {"stage": index, "descent": facts, "tile": tile, "kept": objective.kept})

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
