"""Preparation: what every craft does before it works: reading its pictures, loading its networks, choosing taps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from impasto import networks
from impasto.errors import UsageError
from impasto.images import Picture, read
from impasto.images.resize import resize
from impasto.networks import Network
from impasto.networks.weights import Download
from impasto.runs.recipe import Input, input_file
from impasto.synthesis.options import StyleOptions
from impasto.synthesis.schedule import Stage

SMALLEST_SIDE = 16

Source = Path | str | Picture


def read_input(role: str, source: Source, inputs: list[Input]) -> Picture:
    """Read a picture, and add it to the recipe's inputs.

    Raises:
        UsageError: It is no picture, or too small.
    """
    if isinstance(source, Picture):
        picture, name = source, f"the {role} picture"
        inputs.append(Input(role=role, path="", sha256="", size=0))  # in memory: it cannot be found again
    elif not isinstance(source, Path | str):
        raise UsageError(f"the {role} is a {type(source).__name__}: give the path of a file, or a Picture")
    else:
        picture, name = read(source), str(source)
        inputs.append(input_file(role, Path(source)))
    if min(picture.height, picture.width) < SMALLEST_SIDE:
        raise UsageError(
            f"{name} is {picture.width}×{picture.height} pixels: a {role} needs {SMALLEST_SIDE} or more on each side"
        )
    return picture


def load_networks(
    stages: Sequence[Stage],
    options: StyleOptions,
    device: torch.device,
    *,
    named: bool,
    download: Download | None = None,
) -> dict[str, Network]:
    """The networks of all stages by name.

    Args:
        stages: What they are for.
        options: The network that the user asked for, and what is exchanged in it.
        device: Where they go.
        named: Whether the user named taps, which are that network's.
        download: Called with (bytes done, bytes in all).

    Raises:
        UsageError: An unknown network, one that suggests no taps, or taps of one that is not used.
    """
    networks.require(options.network)
    names = list(dict.fromkeys(stage.network for stage in stages))
    if named and options.network not in names:
        raise UsageError(
            f"the taps are {options.network}'s, which --quality {options.quality} does not use: leave them out"
        )
    loaded = {}
    for name in names:
        own_file = options.weights if name == options.network else None
        pooling = options.pooling if name == options.network else "max"
        network = networks.load(name, weights=own_file, pooling=pooling, padding=options.padding, progress=download)
        if not style_taps(network, options):
            raise UsageError(f"{name} suggests no taps: choose with --taps and --content-taps")
        loaded[name] = network.to(device)
    return loaded


def style_taps(network: Network, options: StyleOptions) -> tuple[str, ...]:
    """Where style is compared: the user's names are those of the network asked for; pocket, doing the early work, keeps
    its own."""
    return options.taps if options.taps and network.name == options.network else network.style_taps


def sized(pixels: Tensor, size: tuple[int, int], device: torch.device) -> Tensor:
    """A picture at (height, width) on the device; what resampling overshoots is clipped."""
    pixels = pixels.to(device)
    found = resize(pixels, size)
    return found if found is pixels else found.clamp_(0, 1)


def style_size(style: tuple[int, int], size: tuple[int, int], stroke: float) -> tuple[int, int]:
    """(height, width) at which a style is measured: the area of the result at ``stroke`` 1, so that the strokes keep
    their size relative to the picture, whatever its resolution."""
    scale = stroke * (size[0] * size[1] / (style[0] * style[1])) ** 0.5
    return max(SMALLEST_SIDE, round(style[0] * scale)), max(SMALLEST_SIDE, round(style[1] * scale))
