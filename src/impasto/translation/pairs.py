"""Pairs: crops of good pictures and what the degradation makes of them, as the training loop wants them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.translation.degrade import Recipe
from impasto.translation.degrade.gray import luma
from impasto.translation.metrics import psnr, ssim
from impasto.translation.pictures import Pictures, middle, mirrored_to

Batch = tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 3 H W"]]

VALID_SIDE = 256  # pixels of the middle of a validation picture by which a model is judged
VALID_LEAST = 64  # smaller ones are mirrored: SSIM looks through a window of 11, within a border of the scale
VALID_MOST = 32  # validation pictures that are looked at after every epoch
AHEAD = 2  # batches that are made while one is learnt


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

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return max(1, len(self.pictures) * self.crops // self.batch_size)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch from the ``start``-th on, made ahead of their use."""
        order = self._order(epoch)
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(1) as threads:
            for number in range(start, self.steps):
                waiting.append(threads.submit(self._make, order, epoch, number))
                if len(waiting) > AHEAD:
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
        """``loss``, and PSNR (dB) and SSIM of the luma (published protocol), over the validation pairs."""
        if not self.valid:
            return {}
        border = self.recipe.scale if self.recipe.scale > 1 else 0
        rows = []
        for bad, good in self.valid:
            good = good.to(self.device)
            output = model(bad.to(self.device)).float()
            loss = float(self.criterion(output, good))
            rows.append((loss, *(float(measure(output, good, border=border)[0]) for measure in (psnr, ssim))))
        means = np.mean(rows, axis=0)
        return {"loss": float(means[0]), "psnr": float(means[1]), "ssim": float(means[2])}

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
        return self.recipe(good, seeds), good


@torch.no_grad()
def validation_pairs(pictures: Pictures, recipe: Recipe, seed: int, most: int = VALID_MOST) -> list[Batch]:
    """The middles of the validation pictures and what the recipe makes of them, always the same."""
    pairs = []
    for number in range(min(len(pictures), most)):
        good = middle(mirrored_to(pictures.get(number), VALID_LEAST), VALID_SIDE, recipe.multiple)
        pairs.append((recipe(good, [seed + number]), good))
    return pairs
