"""Units: which channels of which taps are meant, and what they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.networks import Network, Taps
from impasto.networks.hooks import at_rest
from impasto.networks.names import nearest
from impasto.networks.taps import OUTPUT

_NUMBERS = re.compile(r"\d+(-\d+)?(,\s*\d+(-\d+)?)*")
PROBES = (64, 224, 448)  # sides of pictures on which channels are counted: some networks take no small ones


@dataclass(frozen=True, order=True)
class Unit:
    """A channel of a tap; of the tap ``output``, a class.

    >>> str(Unit("features.7", 42))
    'features.7:42'
    """

    tap: str
    channel: int

    def __str__(self) -> str:
        return f"{self.tap}:{self.channel}"


def parse_units(text: str, network: Network) -> list[Unit]:
    """The units that some words mean.

    ``features.7:42`` is one channel; ``features.7:0-15`` and ``features.7:1,5,9`` are several; ``features.7`` is all of
    them; ``output:goldfish``, ``output:1`` and ``class:goldfish`` are scores of a classifier.

    Raises:
        UsageError: No such tap, channel or class; the message lists the nearest there are.

    >>> from impasto import networks
    >>> [str(unit) for unit in parse_units("relu2_1:3,30-31", networks.load("pocket"))]
    ['relu2_1:3', 'relu2_1:30', 'relu2_1:31']
    """
    tap, _, which = text.partition(":")
    tap = OUTPUT if tap == "class" else tap
    if tap == OUTPUT and which:
        Taps(network, [OUTPUT])  # says so where there are no classes
        if not _NUMBERS.fullmatch(which) or which.isdecimal():
            return [Unit(OUTPUT, find_class(network, which))]
    count = channels(network, tap)
    if not which:
        return [Unit(tap, channel) for channel in range(count)]
    found: list[Unit] = []
    for part in which.split(","):
        bounds = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if bounds is None:
            raise UsageError(f"{text!r} names no unit: write {tap}:42, {tap}:0-15 or {tap}:1,5,9")
        first, last = int(bounds[1]), int(bounds[2] or bounds[1])
        if first > last:
            raise UsageError(f"{part.strip()} in {text!r} runs backwards: write {last}-{first}")
        if last >= count:
            raise UsageError(f"{tap} of {network.name} has no unit {part.strip()}: they are 0 to {count - 1}")
        found += [Unit(tap, channel) for channel in range(first, last + 1)]
    return found


def channels(network: Network, tap: str) -> int:
    """How many units a tap has, counted on a small picture.

    Raises:
        UsageError: No such tap, or its values are no channels.
    """
    if tap == OUTPUT and network.classes:
        return len(network.classes)
    found = _probe(network, tap)
    if found.ndim not in (2, 4):
        raise UsageError(f"{tap} of {network.name} has no channels: choose a layer that gives maps or scores")
    return found.shape[1]


def has_positions(network: Network, tap: str) -> bool:
    """Whether a tap gives maps, and not one number a channel.

    Raises:
        UsageError: No such tap.
    """
    return tap != OUTPUT and _probe(network, tap).ndim == 4


def _probe(network: Network, tap: str) -> Tensor:
    """A tap's activations of a small picture."""
    taps = Taps(network, [tap])
    parameter = next(network.module.parameters())
    for side in PROBES:
        probe = torch.zeros(1, 3, side, side, device=parameter.device, dtype=parameter.dtype)
        try:
            with at_rest(network.module), torch.no_grad():
                return taps(probe)[tap]
        except UsageError as error:
            refused = error
    raise refused


def find_class(network: Network, name: str | int) -> int:
    """The number of a class, from its name, a part of it that only it has, or its number.

    Raises:
        UsageError: There is none, or several; the message lists the nearest.
    """
    classes = network.classes
    if not classes:
        raise UsageError(f"{network.name} is no classifier: choose one, squeezenet1_0 or another")
    text = str(name).strip()
    if classes.count(text) == 1:
        return classes.index(text)
    if text.isdecimal():
        if int(text) < len(classes):
            return int(text)
        raise UsageError(f"{network.name} has no class {text}: they are 0 to {len(classes) - 1}")
    lower = text.lower()
    exact = [k for k, one in enumerate(classes) if lower in (part.strip().lower() for part in one.split(","))]
    matches = exact or [k for k, one in enumerate(classes) if lower in one.lower()]
    if len(matches) == 1:
        return matches[0]
    if matches and lower:
        several = ", ".join(f"{k} {classes[k]}" for k in matches[:12])
        raise UsageError(f"{text!r} may be several classes of {network.name}: {several}; give a number")
    raise UsageError(f"{network.name} has no class {text!r}: the nearest are {nearest(lower, classes)}")


def name_of(network: Network, unit: Unit) -> str:
    """The class that a unit stands for, where it is a classifier's score or a map of them; else nothing."""
    if unit.tap == OUTPUT:
        return network.classes[unit.channel]
    path = network.aliases.get(unit.tap, unit.tap)
    # what follows the last layer with weights only selects and averages: its channels are the classes
    last = [name for name, module in network.module.named_modules() if hasattr(module, "weight")]
    is_score = bool(last) and f"{last[-1]}.".startswith(f"{path}.")
    return network.classes[unit.channel] if is_score and unit.channel < len(network.classes) else ""
