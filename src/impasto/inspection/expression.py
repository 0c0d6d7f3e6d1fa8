"""Expressions: objectives as they are written on a command line, ``features.7:42 - 0.5*features.3:1``."""

from __future__ import annotations

import re

from impasto.errors import UsageError
from impasto.inspection import objectives
from impasto.inspection.objectives import Objective
from impasto.inspection.units import Unit, name_of, parse_units
from impasto.networks import Network, Taps
from impasto.networks.taps import OUTPUT

# signs stand between spaces: names of taps and classes hold hyphens
_TERMS = re.compile(r"\s+([+−-])\s+")
_CLASS = re.compile(r"^class\((.+)\)$")  # as a label has it
_FACTOR = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*[*·]\s*(.*)")


def parse_objectives(text: str, network: Network, *, neuron: bool = False) -> list[Objective]:
    """The objectives that some words mean: one for each unit, or one sum.

    A unit, or several of a tap, is written as :func:`~impasto.inspection.units.parse_units` has it; ``layer(TAP)`` is
    all of a layer. Terms with ``+`` and ``-`` between spaces, and factors before ``*``, make one objective.

    Raises:
        UsageError: No such unit, or words that mean nothing.

    >>> from impasto import networks
    >>> [str(one) for one in parse_objectives("relu2_1:3 - 0.5*relu1_1:0", networks.load("pocket"))]
    ['relu2_1:3 − 0.5·relu1_1:0']
    """
    first, *rest = _TERMS.split(text.strip())
    if not rest and _FACTOR.fullmatch(first) is None and not first.startswith("layer("):
        units = parse_units(_CLASS.sub(r"class:\1", first), network)
        return [objective_of(unit, network, neuron=neuron) for unit in units]
    whole = _term(first, network, neuron)
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        one = _term(term, network, neuron)
        whole = whole + one if sign == "+" else whole - one
    return [whole]


def objective_of(unit: Unit, network: Network, *, neuron: bool = False) -> Objective:
    """What excites a unit: everywhere, or at the middle of the picture."""
    if unit.tap == OUTPUT:
        return objectives.class_score(unit.channel, name_of(network, unit))
    if neuron:
        return objectives.neuron(unit.tap, unit.channel)
    return objectives.channel(unit.tap, unit.channel)


def _term(text: str, network: Network, neuron: bool) -> Objective:
    factor = 1.0
    if found := _FACTOR.fullmatch(text):
        factor, text = float(found[1]), found[2]
    if whole := re.fullmatch(r"layer\((.+)\)", text):
        Taps(network, [whole[1]])  # says so where there is none
        one = objectives.layer(whole[1])
    else:
        units = parse_units(_CLASS.sub(r"class:\1", text), network)
        if len(units) != 1:
            raise UsageError(f"{text!r} is {len(units)} units: name one in a sum, {units[0]} for example")
        one = objective_of(units[0], network, neuron=neuron)
    return one if factor == 1 else factor * one
