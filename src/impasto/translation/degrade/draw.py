"""Draw: what becomes of one picture, decided by its seed alone before anything is computed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from impasto.translation.degrade.operations import OPERATIONS, Chance, Number, Range, Value
from impasto.translation.degrade.recipe import Group, Step


@dataclass(frozen=True)
class Drawn:
    """A step that a picture will go through.

    Attributes:
        place: Where in the recipe it stands: the number of the step, of the group's member, of the step in it, …
        operation: Its name.
        values: Its parameters: numbers, words, and yes or no.
        varied: Those of them that another seed may draw otherwise.
        random: For what else is left to chance, as the noise itself.
    """

    place: tuple[int, ...]
    operation: str
    values: dict[str, Any]
    varied: frozenset[str]
    random: torch.Generator

    def __str__(self) -> str:
        """The operation with its first parameter, and the others that were drawn.

        >>> from impasto.translation.degrade import parse
        >>> [str(step) for step in plan(parse("down:4,kernel=area jpeg:60,chroma=420/444 enlarge").steps, seed=1)]
        ['down 4', 'jpeg 60 420', 'enlarge bicubic']
        """
        words = [self.operation]
        parameters = OPERATIONS[self.operation].parameters
        for key, value in self.values.items():
            if isinstance(value, bool):
                words += [key] * (value and parameters[key].default == "0")
            elif key == OPERATIONS[self.operation].first:
                words.append(value if isinstance(value, str) else f"{value:.3g}")
            elif key in self.varied:
                words.append(value if isinstance(value, str) else f"{key} {value:.3g}")
        return " ".join(words)


def plan(steps: Iterable[Step | Group], seed: int, place: tuple[int, ...] = ()) -> list[Drawn]:
    """The steps that the picture with this seed goes through, in order.

    Each has random numbers of its own, made of the seed and of its place, so that none depends on what others use up.
    """
    planned: list[Drawn] = []
    for number, item in enumerate(steps):
        here = (*place, number)
        random = _generator(seed, here)
        if uniform(random) >= item.probability:
            continue
        if isinstance(item, Group):
            for chosen in _order(item, random):
                planned += plan(item.members[chosen].steps, seed, (*here, chosen))
        else:
            parameters = OPERATIONS[item.operation].parameters
            values = {key: _draw(parameters[key], value, random) for key, value in item.parameters.items()}
            varied = frozenset(key for key, value in item.parameters.items() if _varies(parameters[key], value))
            planned.append(Drawn(here, item.operation, values, varied, random))
    return planned


def uniform(random: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    """A number from low to high, high itself never."""
    return low + (high - low) * float(torch.rand((), generator=random, dtype=torch.float64))


def whole(random: torch.Generator, low: int, high: int) -> int:
    """A whole number from low to high, both possible."""
    return int(torch.randint(low, high + 1, (), generator=random))


def _generator(seed: int, place: tuple[int, ...]) -> torch.Generator:
    mixed = hashlib.blake2b(repr((int(seed), place)).encode(), digest_size=4).digest()  # torch heeds 32 bits
    return torch.Generator().manual_seed(int.from_bytes(mixed, "little"))


def _order(group: Group, random: torch.Generator) -> list[int]:
    if group.group == "shuffle":
        return torch.randperm(len(group.members), generator=random).tolist()
    weights = torch.tensor([one.weight for one in group.members], dtype=torch.float64)
    return [int(torch.multinomial(weights, 1, generator=random))]


def _draw(parameter: Any, value: Value, random: torch.Generator) -> float | str | bool:
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else value[whole(random, 0, len(value) - 1)]
    if isinstance(parameter, Chance):
        assert isinstance(value, float)
        return uniform(random) < value
    assert isinstance(parameter, Number)
    if isinstance(value, float):
        return int(value) if parameter.whole else value
    return _between(value, parameter, random)


def _between(span: Range, parameter: Number, random: torch.Generator) -> float:
    low, high = span.low, span.high
    if parameter.halves and low <= 1 <= high:
        # Real-ESRGAN's exponents (basicsr/data/degradations.py): as often flatter as steeper than a Gaussian.
        low, high = (low, 1.0) if uniform(random) < 0.5 else (1.0, high)
    if not span.log:
        return whole(random, int(low), int(high)) if parameter.whole else uniform(random, low, high)
    half = 0.5 if parameter.whole else 0.0  # so that the first and the last have their whole share
    number = math.exp(uniform(random, math.log(low - half), math.log(high + half)))
    return min(max(round(number), int(low)), int(high)) if parameter.whole else min(max(number, low), high)


def _varies(parameter: Any, value: Value) -> bool:
    if isinstance(value, tuple):
        return len(value) > 1
    return isinstance(value, Range) or (isinstance(parameter, Chance) and 0 < value < 1)
