"""The order of an epoch: which pictures make each batch, from the seed and the epoch's number alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Sampling = Literal["plain", "balanced"]


@dataclass(frozen=True)
class Order:
    """Batches of rows: the first rows have labels, those behind them pseudo-labels.

    Attributes:
        classes: (n,) class of each row with a label.
        pseudo: How many rows with pseudo-labels stand behind those.
        batch_size: Rows in a batch, at most.
        share: Part of every batch that is taken from the pseudo-labelled rows.
        sampling: ``plain`` shows each row once an epoch; ``balanced`` shows every class equally often, drawing rows of
            small classes again.
        seed: Of the order.
    """

    classes: np.ndarray
    pseudo: int = 0
    batch_size: int = 32
    share: float = 0.25
    sampling: Sampling = "plain"
    seed: int = 0

    @property
    def steps(self) -> int:
        """Batches in an epoch: enough to see every row with a label once, with two of them at least in each."""
        full = next((rows for rows in range(self.batch_size, 1, -1) if rows + self._beside(rows) <= self.batch_size), 2)
        n = len(self.classes)
        return max(1, min(-(-n // full), n // 2))

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The rows of each batch of an epoch; their rows with labels differ in number by one at most.

        None has a single row, for which there is no batch norm: rather than that, a batch of two grows to three.
        """
        chance = np.random.default_rng([self.seed, epoch])
        n = len(self.classes)
        rows = chance.permutation(n) if self.sampling == "plain" else self._balanced(chance)
        batches = np.array_split(rows, self.steps)
        if not self.pseudo:
            return batches
        # as many as the batch's labelled rows call for, from a walk through all of them in an order of their own
        wanted = [self._beside(len(batch)) for batch in batches]
        walks = -(-sum(wanted) // self.pseudo)
        walk = n + np.concatenate([chance.permutation(self.pseudo) for _ in range(max(walks, 1))])
        ends = np.cumsum(wanted)
        return [np.concatenate([b, walk[end - k : end]]) for b, end, k in zip(batches, ends, wanted, strict=True)]

    def _beside(self, labelled: int) -> int:
        """Rows with pseudo-labels beside so many with labels: their share, and where it is of 1/4 to 1/3, in these."""
        if not self.pseudo:
            return 0
        wanted = round(labelled * self.share / (1 - self.share))
        return min(max(wanted, -(-labelled // 3)), labelled // 2) if 1 / 4 <= self.share <= 1 / 3 else wanted

    def _balanced(self, chance: np.random.Generator) -> np.ndarray:
        """As many rows as there are, the classes in turn, each class walked through in a new order again and again."""
        n, present = len(self.classes), np.unique(self.classes)
        each = -(-n // len(present))
        drawn = []
        for number in present:
            rows = np.flatnonzero(self.classes == number)
            rounds = -(-each // len(rows))
            drawn.append(np.concatenate([chance.permutation(rows) for _ in range(rounds)])[:each])
        return chance.permutation(np.stack(drawn).T.reshape(-1)[:n])


def row_seeds(rows: np.ndarray, *numbers: int) -> list[int]:
    """A seed for each row's augmentation, which depends on the row and on the numbers only, not on its batch."""
    return [int(np.random.SeedSequence([*numbers, int(row)]).generate_state(1, np.uint64)[0] >> 1) for row in rows]
