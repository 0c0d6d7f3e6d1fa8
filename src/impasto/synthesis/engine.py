"""The engine: moves the pixels of one picture down an objective, tells of every step, and can be taken up again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.synthesis.adam import Adam
from impasto.synthesis.lbfgs import LBFGS
from impasto.synthesis.point import Evaluate, Point

PLATEAU = 10  # steps over which progress is judged
OPTIMIZERS: dict[str, type[LBFGS] | type[Adam]] = {"lbfgs": LBFGS, "adam": Adam}


@dataclass(frozen=True)
class Walk:
    """How to go down.

    Attributes:
        steps: How many at most.
        optimizer: L-BFGS, or Adam for pictures whose L-BFGS history would not fit in memory.
        history: Pairs of pictures that L-BFGS remembers.
        half: Whether it remembers them in half precision.
        plateau: Stop when the last ten steps together won less than this part of the loss.
        average: Decay of the running average of the pictures that is told of instead of the last one; 0 for none.
    """

    steps: int
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    history: int = 20
    half: bool = False
    plateau: float = 2e-3
    average: float = 0.0


@dataclass(eq=False)
class Descent:
    """A picture on its way down: iterate to move it, a step at a time.

    After any step :meth:`state` holds all that the next ones depend on, and :meth:`restored` goes on from there to the
    same pictures, bit for bit.
    """

    walk: Walk
    optimizer: LBFGS | Adam
    losses: list[float] = field(default_factory=list)
    mean: Tensor | None = None

    @classmethod
    def begin(cls, evaluate: Evaluate, start: Float[Tensor, "1 3 h w"], walk: Walk) -> Descent:
        """Evaluate the start.

        Raises:
            ImpastoError: The objective is not finite there.
        """
        optimizer: LBFGS | Adam
        if walk.optimizer == "adam":
            optimizer = Adam(evaluate, start, walk.steps)
        else:
            optimizer = LBFGS(evaluate, start, walk.history, half=walk.half)
        if not math.isfinite(optimizer.point.loss):
            raise ImpastoError("the loss is not a finite number: a lower --strength or other --taps may help")
        return cls(walk, optimizer, mean=torch.zeros_like(start) if walk.average else None)

    def __iter__(self) -> Iterator[Point]:
        """Yield the point after every further step, until the steps are made or the loss is on a plateau."""
        while not self.finished:
            if not self.optimizer.step() and self.losses:
                return
            point = self.optimizer.point
            self.losses.append(point.loss)
            if self.mean is not None:
                self.mean.lerp_(point.x, 1 - self.walk.average)
            yield point

    @property
    def step(self) -> int:
        """Steps made."""
        return len(self.losses)

    @property
    def finished(self) -> bool:
        """Whether no further step is worth it."""
        if self.step >= self.walk.steps:
            return True
        if self.step <= PLATEAU or self.walk.optimizer == "adam":  # Adam's loss goes up now and then
            return False
        before = self.losses[-PLATEAU - 1]
        return before - self.losses[-1] <= self.walk.plateau * abs(before)

    @property
    def image(self) -> Float[Tensor, "1 3 h w"]:
        """The picture so far, or the average of the pictures so far; may leave [0, 1] a little."""
        if self.mean is None or not self.losses:
            return self.optimizer.point.x
        # begun at zero, the running average lacks this part of its weight (Kingma and Ba 2015, section 3)
        return self.mean / (1 - self.walk.average**self.step)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and facts from which :meth:`restored` goes on."""
        tensors, facts = self.optimizer.state()
        if self.mean is not None:
            tensors = tensors | {"mean": self.mean}
        return tensors, {"optimizer": facts, "losses": self.losses}

    @classmethod
    def restored(cls, evaluate: Evaluate, walk: Walk, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Descent:
        """The descent as :meth:`state` found it; nothing is evaluated."""
        optimizer = OPTIMIZERS[walk.optimizer].restored(evaluate, tensors, facts["optimizer"])
        return cls(walk, optimizer, list(facts["losses"]), tensors.get("mean"))
