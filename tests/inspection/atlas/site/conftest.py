"""A made-up atlas with all that a real one may hold: a skip, classes with awkward names, units that are not rendered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.inspection.atlas.content import (
    ActivationAtlas,
    AtlasContent,
    Cell,
    LayerContent,
    Link,
    Patch,
    UnitContent,
)

NAMES = ("tench", "<b>\"'&</b>", "Žluťoučký kůň 🐎", "</script><script>alert(1)</script>", "", "x" * 80)
LAYERS = (("conv1", 6, 2, 3), ("block.0/a", 8, 4, 11), ("block.1", 8, 4, 27), ("head", len(NAMES), 0, None))

Make = Callable[..., AtlasContent]


def make(
    folder: Path, compared: str = "", layers: tuple[tuple[str, int, int, int | None], ...] = LAYERS
) -> AtlasContent:
    """The content of an atlas, its pictures in the folder."""
    made = [_layer(folder, layers, index, compared) for index in range(len(layers))]
    cells = tuple(
        Cell(
            row,
            column,
            int(1 + 90 * np.exp(-((row - 3) ** 2 + (column - 4) ** 2) / 8)),
            _picture(folder / f"atlas/{row}-{column}.png", row / 8, column / 8) if (row, column) != (3, 3) else "",
            NAMES[:3] if row % 2 else (),
            ("a b&'\"<i>.jpg", "žába.webp"),
        )
        for row in range(8)
        for column in range(8)
        if (row - 3.5) ** 2 + (column - 3.5) ** 2 < 15
    )
    return AtlasContent(
        network="toy <net> & sons",
        about="A made-up network with a skip, to see that an atlas of it is right.",
        sha256="0123456789abcdef" * 4,
        licence="CC0-1.0",
        layers=tuple(made),
        activation_atlases=(ActivationAtlas(made[1].tap, 8, cells), ActivationAtlas(made[2].tap, 8, cells[:9])),
        compared=compared,
        folder="photos",
        pictures=1234,
        facts={"Size": "24 px", "Steps": "128", "Seed": "0"},
    )


@pytest.fixture(scope="session")
def maker() -> Make:
    return make


def _layer(
    folder: Path, layers: tuple[tuple[str, int, int, int | None], ...], index: int, compared: str
) -> LayerContent:
    tap, channels, stride, field = layers[index]
    taps = [layer[0] for layer in layers]
    # The third layer also reads the first: a skip.
    inputs = () if index == 0 else (taps[index - 1],) if index % 4 != 2 else (taps[index - 2], taps[index - 1])
    last = index == len(layers) - 1
    return LayerContent(
        tap=tap,
        kind="fully connected" if last else "3×3 convolution",
        channels=channels,
        stride=stride,
        receptive_field=field,
        inputs=inputs,
        folded=() if last else (f"relu {tap}",),
        units=tuple(_unit(folder, layers, index, channel, compared) for channel in range(channels)),
    )


def _unit(
    folder: Path, layers: tuple[tuple[str, int, int, int | None], ...], index: int, channel: int, compared: str
) -> UnitContent:
    tap, channels, _, _ = layers[index]
    last = index == len(layers) - 1
    here = folder / f"pictures {index}"
    missing = channel == 2  # not rendered yet
    dead = 1.0 if channel == 3 else channel / channels

    def links(layer: int, sign: float) -> tuple[Link, ...]:
        if not 0 <= layer < len(layers):
            return ()
        name, count, _, _ = layers[layer]
        return tuple(Link(name, (channel + 3 * rank) % count, sign * 0.8**rank) for rank in range(min(5, count)))

    def picture(name: str, across: int = 1, turn: float = 0.0) -> str:
        if missing:
            return ""
        return _picture(here / f"{name}.png", channel / channels, index / len(layers) + turn, across)

    edges = np.linspace(-1.5 if index == 0 else 0, 6, 33)
    counts = (40000 * np.exp(-2 * np.abs(edges[:-1]))).astype(int)
    return UnitContent(
        layer=tap,
        channel=channel,
        name=NAMES[channel % len(NAMES)] if last else "",
        picture=picture(str(channel)),
        diversity=picture(f"{channel}-diversity", 4),
        patches_picture=picture(f"{channel}-patches", 3),
        patches=()
        if missing
        else tuple(Patch(name, 9.5 / (1 + n)) for n, name in enumerate(("a.jpg", "b&'\"<i>.png", "žába.webp"))),
        edges=() if channel == 4 else tuple(map(float, edges)),
        counts=() if channel == 4 else tuple(map(int, counts)),
        dead=dead,
        excited_by=links(index - 1, 1),
        inhibited_by=links(index - 1, -1),
        neighbours=tuple(link for link in links(index, 0.9) if link.channel != channel),
        excites=(*links(index + 1, 1), Link("nowhere", 0, 0.5)),
        compared=picture(f"{channel}-compared", 1, 0.3) if compared else "",
        compared_patches=picture(f"{channel}-compared-patches", 3, 0.3) if compared else "",
        change=(channel * 7 % channels) / channels if compared else None,
    )


def _picture(path: Path, one: float, two: float, across: int = 1, side: int = 24) -> str:
    """Stripes in two colours that turn with the first number and change with the second; its path from the site."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    tiles = []
    for tile in range(across):
        angle = np.pi * (one + 0.2 * tile)
        wave = np.sin((5 + 8 * two) * (np.cos(angle) * x + np.sin(angle) * y + two * (x * x - y * y)))
        hue = 2 * np.pi * (two + np.array([0, 1 / 3, 2 / 3]))
        tiles.append(0.5 + 0.45 * wave[..., None] * np.cos(hue))
    Image.fromarray((255 * np.concatenate(tiles, 1)).astype(np.uint8)).save(path)
    return "/".join(path.parts[-2:])
