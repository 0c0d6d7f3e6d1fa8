"""Recipes: how a picture about a network was made, to be kept inside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from impasto.images.idx import place
from impasto.inspection.attribution.preparation import Source
from impasto.inspection.options import InspectionOptions
from impasto.networks import Network
from impasto.runs.circumstances import circumstances
from impasto.runs.recipe import Input, Recipe, input_file


def recipe_of(
    verb: str, network: Network, options: InspectionOptions, inputs: Sequence[Input] = (), **more: Any
) -> Recipe:
    """The recipe of what a verb of inspection has made.

    Args:
        verb: ``visualize``, ``dream``, ``explain`` and so on.
        network: Into which was looked.
        options: All of them; those that differ from their defaults are kept.
        inputs: The files that went in; the options' weights are added.
        more: What else was asked for, by name; goes over the options.

    >>> from impasto import networks
    >>> recipe_of("patches", networks.load("pocket"), InspectionOptions(seed=3), units=["relu2_1:5"]).options
    {'seed': 3, 'units': ['relu2_1:5'], 'network': 'pocket'}
    """
    weights = [input_file("weights", options.weights)] if options.weights and options.weights.is_file() else []
    parameter = next(network.module.parameters(), None)
    return Recipe(
        verb=verb,
        options={**options.model_dump(mode="json", exclude_defaults=True), **more, "network": network.name},
        inputs=(*weights, *inputs),
        networks={network.name: network.sha256},
        made_with={} if parameter is None else circumstances(parameter.device),
    )


def class_named(network: Network, index: int) -> str:
    """The name of a class, or its number where several have that name."""
    name = network.classes[index]
    return name if network.classes.count(name) == 1 else str(index)


def picture_input(image: Source) -> list[Input]:
    """The record of a picture's file (of ``FILE#N``, the idx file's); none of a picture in memory."""
    if not isinstance(image, Path | str):
        return []
    return [input_file("content", (place(image) or (Path(image), 0))[0])]
