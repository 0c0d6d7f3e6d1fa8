"""Pairs: crops of good pictures and what the degradation makes of them, as the training loop wants them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.networks import Network
from impasto.translation.degrade import Recipe
from impasto.translation.degrade.gray import luma
from impasto.translation.judging import means, scores
from impasto.translation.pictures import Pictures, middle, mirrored_to

Batch = tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 3 H W"]]

VALID_SIDE = 256  # pixels of the middle of a validation picture by which a model is judged
VALID_LEAST = 64  # smaller ones are mirrored: SSIM looks through a window of 11, within a border of the scale
VALID_MOST = 32  # validation pictures that are looked at after every epoch
AHEAD = 2  # batches that are made while one is learnt
MOST_MAKERS = 4  # threads that make them


@dataclass(frozen=True)
class PairTask:
    """What a network is to learn: to give the good picture where it sees the bad one.

    Attributes:
        pictures: To learn from.
        recipe: What makes them bad.
        criterion: (output, target) → loss.
        device: Where.
        size: Side of the crops, a multiple of the recipe's.
        crops: Of each picture in an epoch.
        batch_size: Crops in a step.
        seed: Of all chance.
        first_epoch: Epochs that earlier stages have had: each has crops of its own.
        turns: Whether crops are turned by quarters.
        gray: Part of the crops that are made gray, the good ones too.
        valid: Pairs to judge by.
        colours: Whether it is a colorization, which is judged by its colours alone.
        network: To judge by too, one that sees how far pictures are from each other; or None.
    """

    pictures: Pictures
    recipe: Recipe
    criterion: Callable[[Tensor, Tensor], Tensor]
    device: torch.device
    size: int
    crops: int = 16
    batch_size: int = 16
    seed: int = 0
    first_epoch: int = 0
    turns: bool = True
    gray: float = 0.0
    valid: list[Batch] = field(default_factory=list)
    colours: bool = False
    network: Network | None = None

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return max(1, len(self.pictures) * self.crops // self.batch_size)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch from the ``start``-th on, made ahead of their use."""
        order = self._order(epoch)
        waiting: deque[Future[Batch]] = deque()
        makers = _makers()
        with ThreadPoolExecutor(makers) as threads:
            for number in range(start, self.steps):
                waiting.append(threads.submit(self._make, order, epoch, number))
                if len(waiting) > max(AHEAD, makers):
                    yield self._moved(waiting.popleft().result())
            while waiting:
                yield self._moved(waiting.popleft().result())

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted over all epochs."""
        epoch, number = divmod(step, self.steps)
        return self._moved(self._make(self._order(epoch), epoch, number))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """What is minimised."""
        bad, good = batch
        return self.criterion(model(bad).float(), good)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """``loss`` and what `impasto.translation.judging.scores` tells: means over the validation pairs."""
        if not self.valid:
            return {}
        rows = []
        for bad, good in self.valid:
            bad, good = bad.to(self.device), good.to(self.device)
            output = model(bad).float()
            with torch.autocast(self.device.type, enabled=False):  # the network may be rounded, not what judges it
                loss = {"loss": self.criterion(output, good).item()}
                rows.append(loss | scores(bad, output, good, self.recipe, colours=self.colours, network=self.network))
        return means(rows)

    def _moved(self, batch: Batch) -> Batch:
        bad, good = (one.to(self.device, memory_format=torch.channels_last) for one in batch)
        return bad, good

    def _order(self, epoch: int) -> np.ndarray:
        """The pictures of an epoch's crops: every picture once before any again."""
        chance = np.random.default_rng([self.seed, self.first_epoch + epoch])
        return np.concatenate([chance.permutation(len(self.pictures)) for _ in range(self.crops + 1)])

    def _make(self, order: np.ndarray, epoch: int, number: int) -> Batch:
        numbers = self.seed, self.first_epoch + epoch
        places = range(number * self.batch_size, (number + 1) * self.batch_size)
        seeds = [
            int(np.random.SeedSequence([*numbers, place]).generate_state(1, np.uint64)[0] >> 1) for place in places
        ]
        good = torch.stack(
            [
                self.pictures.crop(int(order[place % len(order)]), self.size, seed, turns=self.turns)
                for place, seed in zip(places, seeds, strict=True)
            ]
        )
        if self.gray:
            drawn = np.array([np.random.default_rng([*numbers, place, 1]).random() for place in places])
            good = torch.where(torch.from_numpy(drawn < self.gray)[:, None, None, None], luma(good), good)
        if self.device.type == "cuda":
            good = good.to(self.device)  # where the recipe does the whole batch at once, by the same seeds
        return self.recipe(good, seeds), good


def _makers() -> int:
    """Threads that make batches: half of the cores; where there are two, the other one learns."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_MAKERS, cores // 2))


@torch.no_grad()
def validation_pairs(pictures: Pictures, recipe: Recipe, seed: int, most: int = VALID_MOST) -> list[Batch]:
    """The middles of the validation pictures and what the recipe makes of them, always the same."""
    pairs = []
    for number in range(min(len(pictures), most)):
        good = middle(mirrored_to(pictures.get(number), VALID_LEAST), VALID_SIDE, recipe.multiple)
        pairs.append((recipe(good, [seed + number]), good))
    return pairs
