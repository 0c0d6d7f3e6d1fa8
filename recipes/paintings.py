"""Paintings made by arithmetic: the project's own style pictures, drawn from a seed.

`paint` first composes a *scene* (sky, hills, sea, trees, a vase) and then renders it in the manner of one
craft. Every region of a scene has a *stream function*: its level lines are what brushes, pens, chisels and
tiles follow, and its bands carry the colours, so that form, colour and stroke agree as they do in a picture
made by hand.

    uv run python recipes/paintings.py            # writes the shipped set to src/impasto/assets/paintings/
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.color import hsv2rgb, rgb2hsv

Size = tuple[int, int]  # height, width

SHIPPED = {  # kind: (seed, height, width)
    "brushstrokes": (35, 640, 800),
    "stained_glass": (41, 800, 640),
    "ink_hatching": (46, 544, 680),
    "pointillism": (36, 608, 760),
    "woodcut": (33, 640, 800),
    "marbling": (21, 640, 800),
}
ASSETS = Path(__file__).parents[1] / "src" / "impasto" / "assets" / "paintings"

# Each palette: sky high, sky mid, sky low | sun | far, middle, near land | dark | two accents
PALETTES = [
    "14276b 2f6fb5 a9d2d8 ffd23f 3b6ea5 3f8f5b c9a227 0f1f2e f26419 f6e7b4",
    "27357e 5d8ac9 f4e3a1 f9b41a 5b5f97 86a33a e2b23c 1b2a1f d1402f fff1c9",
    "7a1f3d e2583e ffc15e fff0a8 7b3f78 b8336a f08a24 2a1029 2a9d8f f7d6bf",
    "0d4c5c 2a9d8f e9e2a6 ffb703 2d6a8e 4c9f70 e76f51 10222b d62839 f3f0d7",
    "3a1d6e 7b4fb5 f2a7b5 ffdf6b 4059ad 2f8f83 97c24a 1a1436 ef476f fef3d0",
    "0b6e99 5fb7d4 f7f0c6 ff9f1c 2c6e8f 6aa84f e8c547 17203a c1272d ffffff",
    "0a1a4f 1f4fa3 7fb7e6 ffe14d 24407a 2e6f5e 7a9a3a 070d26 e8a020 f5f0c8",
    "e0592a f59e42 ffe29a d7263d 8f3d6e 3e7f4f f4b942 26142e 1b7a9c fff3d6",
    "1f7a6c 74c2a0 f9efb8 f2542d 2b5f75 95b83e f0a53a 12262b 8e2a6b fff7e0",
]


def paint(kind: str, seed: int, size: Size) -> np.ndarray:
    """Paint a picture.

    Args:
        kind: One of `KINDS`.
        seed: The same seed gives the same picture.
        size: Height and width in pixels.

    Returns:
        A uint8 array (height, width, 3), sRGB.
    """
    if kind not in _CRAFTS:
        raise ValueError(f"no painting of kind {kind!r}: choose from {', '.join(KINDS)}")
    picture = _CRAFTS[kind](np.random.default_rng(seed), size)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8, order="C")


# --- the scene ------------------------------------------------------------------------------------


@dataclass
class Scene:
    """What a picture is of, before any craft has touched it; all maps are (H, W).

    Attributes:
        colour: (H, W, 3) in [0, 1].
        angle: Direction of the level lines of the regions' stream functions, in radians, modulo pi.
        edge: Distance in pixels to the nearest visible contour.
        region: Number of the region a pixel belongs to.
        palette: (10, 3) the colours it was made of.
    """

    colour: np.ndarray
    angle: np.ndarray
    edge: np.ndarray
    region: np.ndarray
    palette: np.ndarray

    def add(self, inside: np.ndarray, ramp: np.ndarray, stream: np.ndarray, bands: float, light=0.0) -> None:
        """Lay a region over the scene.

        Args:
            inside: An implicit function, positive inside the region.
            ramp: (n, 3) colours from shadow to light.
            stream: The region's stream function.
            bands: How many bands of colour go by for each unit of the stream function.
            light: Added to the position on the ramp (which runs from 0 to 1).
        """
        inside, stream = (np.broadcast_to(field, self.angle.shape) for field in (inside, stream))
        steep_y, steep_x = np.gradient(inside)
        distance = inside / (np.hypot(steep_y, steep_x) + 1e-6)
        cover = np.clip(distance + 0.5, 0, 1)[..., None]
        tint = _ramp(ramp, 0.5 + 0.36 * np.sin(2 * np.pi * bands * stream) + light)
        down, right = np.gradient(stream)
        self.colour = self.colour + cover * (tint - self.colour)
        self.angle = np.where(distance > 0, np.arctan2(-right, down), self.angle)
        self.edge = np.where(distance > 0, distance, np.minimum(self.edge, -distance))
        self.region = np.where(distance > 0, self.region.max() + 1, self.region)


def _compose(rng: np.random.Generator, size: Size) -> Scene:
    """A scene of a random subject in a random palette."""
    palette = _hex(PALETTES[rng.integers(len(PALETTES))])
    scene = Scene(np.zeros((*size, 3)), np.zeros(size), np.full(size, 1e3), np.zeros(size, int), palette)
    [_landscape, _seascape, _still_life][rng.choice(3, p=[0.5, 0.25, 0.25])](scene, rng, size)
    return scene


def _landscape(scene: Scene, rng: np.random.Generator, size: Size) -> None:
    """Hills in ranges, ploughed fields, a village and cypresses under a swirling sky."""
    y, x = _grid(size)
    wide, pal = x.max(), scene.palette
    horizon = rng.uniform(0.42, 0.6)
    _sky(scene, rng, size, horizon)
    for i, base in enumerate(np.linspace(horizon, 0.9, 4)):  # ranges of hills, far to near
        ridge = base + (0.14 - 0.02 * i) * (_noise(rng, size, 3 + i)[:1] - 0.3)
        depth = y - ridge
        swell = depth + 0.10 * _noise(rng, size, 3)
        if i % 2:  # ploughed rows run towards us
            swell = (x - wide * rng.random()) / (depth.clip(0) + 0.25) * 0.3 + 0.05 * _noise(rng, size, 4)
        far, near = pal[4 + min(i, 2)], pal[[5, 6, 5, 8][i]]
        ramp = np.stack([far * 0.55, far, near, near * 0.4 + pal[9] * 0.6])
        scene.add(depth, ramp, swell, 7, 0.12 * _noise(rng, size, 6) - 0.5 * depth.clip(0))
        if i == 1:
            _houses(scene, rng, size, ridge[0])
    for _ in range(rng.integers(1, 4)):
        _cypress(scene, rng, size)


def _seascape(scene: Scene, rng: np.random.Generator, size: Size) -> None:
    """Waves in rows, an island and two sailing boats."""
    y, x = _grid(size)
    wide, pal = x.max(), scene.palette
    horizon = rng.uniform(0.4, 0.55)
    _sky(scene, rng, size, horizon)
    ridge = horizon - 0.16 * (_noise(rng, size, 4)[:1] - 0.2)
    scene.add(np.minimum(y - ridge, horizon + 0.02 - y), pal[[7, 4, 1]], y + 0.4 * ridge + 0.2 * x, 9)
    for i, base in enumerate(np.linspace(horizon, 0.95, 5)):
        swing, pitch = 0.008 + 0.022 * i, rng.uniform(2.2, 3.4) - 0.35 * i
        crest = np.abs(np.sin(np.pi * pitch * (x + 0.05 * _noise(rng, size, 3) + rng.random())))
        depth = y - base + swing * (crest - 0.5) * 2
        ramp = np.stack([pal[7] * 0.6 + pal[0] * 0.4, pal[4], pal[5], pal[2], pal[9]])
        scene.add(depth, ramp, depth + 0.03 * _noise(rng, size, 4), 9 - i, 0.08 - 1.6 * depth.clip(0))
        if i in (1, 2):
            _sail(scene, rng, size, wide * rng.uniform(0.15, 0.85), base, 0.12 + 0.09 * i)


def _still_life(scene: Scene, rng: np.random.Generator, size: Size) -> None:
    """A glazed vase of flowers and some fruit on a table."""
    y, x = _grid(size)
    wide, pal = x.max(), scene.palette
    wall = y + 0.25 * _noise(rng, size, 3) + 0.6 * x
    scene.add(np.ones(size), pal[[0, 4, 1, 2]], wall, 3, 0.15 * _noise(rng, size, 5))
    table = 0.74 + 0.03 * _noise(rng, size, 2)[:1]
    scene.add(y - table, pal[[7, 8, 6, 3]], (y - table) + 0.08 * _noise(rng, size, 4), 8)
    middle, foot, tall = wide * rng.uniform(0.4, 0.6), 0.86, rng.uniform(0.34, 0.42)
    rise = ((foot - y) / tall).clip(0, 1)
    profile = 0.07 + 0.11 * np.sin(np.pi * rise**0.8) ** 1.5 + 0.03 * rise**6
    across = (x - middle) / profile
    body = np.minimum(profile - np.abs(x - middle), np.minimum(foot - y, y - foot + tall))
    glaze = np.stack([pal[7], pal[4], pal[5], pal[2], pal[9]])
    scene.add(body, glaze, rise + 0.05 * across**2, 5, -0.35 * across)
    for _ in range(3):
        place, radius = (rng.uniform(0.82, 0.92), wide * rng.uniform(0.08, 0.92)), rng.uniform(0.05, 0.075)
        _ball(scene, size, place, radius, np.stack([pal[7], pal[8], pal[3], pal[9]]))
    for _ in range(26):  # the bunch: leaves first, then blossoms over them
        turn, far = rng.uniform(-np.pi, 0.0), rng.uniform(0.12, 0.36)
        _leaf(scene, rng, size, (foot - tall - 0.06 + far * np.sin(turn), middle + far * np.cos(turn)), turn)
    for _ in range(rng.integers(9, 14)):
        turn, far = rng.uniform(-np.pi, np.pi), 0.27 * np.sqrt(rng.random())
        centre = (foot - tall - 0.17 + 0.8 * far * np.sin(turn), middle + far * np.cos(turn))
        _flower(scene, rng, size, centre, rng.uniform(0.045, 0.085))


def _sky(scene: Scene, rng: np.random.Generator, size: Size, horizon: float) -> None:
    """A sky of swirls round a sun or moon, with a few stars or clouds."""
    y, x = _grid(size)
    wide, pal = x.max(), scene.palette
    sun = rng.uniform(0.12, 0.3), wide * rng.uniform(0.15, 0.85)
    stream = y + 0.10 * _noise(rng, size, 3) + 0.04 * _noise(rng, size, 7)
    for _ in range(rng.integers(2, 5)):
        centre, reach = (rng.uniform(0.02, horizon), wide * rng.random()), rng.uniform(0.06, 0.13)
        stream = stream + rng.choice([-1, 1]) * 2.2 * reach * np.exp(-_square(y, x, centre) / (2 * reach**2))
    glow = np.exp(-_square(y, x, sun) / 0.05)
    stream = stream * (1 - glow) + 1.3 * np.sqrt(_square(y, x, sun)) * glow
    light = 0.7 * (y / horizon - 0.5) + 0.8 * glow
    scene.add(np.ones(size), pal[[0, 0, 1, 2, 9]], stream, 9, light)
    radius = rng.uniform(0.05, 0.09)
    scene.add(radius - np.sqrt(_square(y, x, sun)), pal[[8, 3, 3, 9]], np.sqrt(_square(y, x, sun)), 14, 0.2)


def _houses(scene: Scene, rng: np.random.Generator, size: Size, ridge: np.ndarray) -> None:
    """A row of houses along a ridge."""
    y, x = _grid(size)
    pal = scene.palette
    start = x.max() * rng.uniform(0.1, 0.6)
    for i in range(rng.integers(3, 6)):
        half, tall = rng.uniform(0.025, 0.045), rng.uniform(0.035, 0.06)
        left = start + 0.085 * i
        foot = ridge[min(int(left / x.max() * size[1]), size[1] - 1)] + 0.05
        across = np.abs(x - left)
        wall = np.minimum(half - across, np.minimum(foot - y, y - foot + tall))
        scene.add(wall, pal[[2, 9, 9]], x, 12, 0.2 * np.sign(x - left))
        roof = np.minimum(y - foot + tall + 0.05 - 0.9 * across, foot - tall + 0.006 - y)
        scene.add(roof, pal[[7, 8, 8, 3]], y + 0.5 * across, 20)


def _cypress(scene: Scene, rng: np.random.Generator, size: Size) -> None:
    """A cypress like a dark flame."""
    y, x = _grid(size)
    pal = scene.palette
    foot, tall = rng.uniform(0.85, 1.02), rng.uniform(0.4, 0.75)
    middle = x.max() * rng.uniform(0.06, 0.94) + 0.02 * np.sin(9 * y + rng.uniform(0, 6))
    rise = ((foot - y) / tall).clip(0, 1)
    flame = 0.015 * _noise(rng, size, 14)
    width = 0.16 * tall * np.sin(np.pi * rise**0.7) ** 0.9 + flame * (rise < 0.95)
    inside = np.minimum(width - np.abs(x - middle), np.minimum(foot - y, y - foot + tall))
    ramp = np.stack([pal[7], pal[7] * 0.5 + pal[5] * 0.3, pal[5] * 0.75, pal[5] * 0.6 + pal[6] * 0.4])
    across = (x - middle) / (width.clip(0) + 0.05)
    scene.add(inside, ramp, across + 0.22 * np.sin(13 * y + 5 * across), 2.2, -0.25 * across)


def _sail(scene: Scene, rng: np.random.Generator, size: Size, mast: float, foot: float, tall: float) -> None:
    """A boat with two sails."""
    y, x = _grid(size)
    pal = scene.palette
    rise = (foot - y) / tall
    for side, colour in ((1, pal[9]), (-0.7, pal[8])):
        across = (x - mast) / (side * 0.5 * tall)
        sheet = np.minimum(np.minimum(across - 0.03, 1.02 - rise - across + 0.2 * across * rise), rise - 0.12)
        scene.add(sheet, np.stack([colour * 0.6, colour, pal[3]]), across + 0.3 * rise**2, 2.5)
    hull = np.minimum(rise + 0.06, 0.1 - rise) - 0.25 * ((x - mast) / (0.5 * tall)) ** 4 * 0.5
    scene.add(np.minimum(hull, 0.55 * tall - np.abs(x - mast)), pal[[7, 7, 8]], y, 20)


def _ball(scene: Scene, size: Size, centre, radius: float, ramp: np.ndarray) -> None:
    """A round fruit, lit from the upper left."""
    y, x = _grid(size)
    light = -1.4 * (x - centre[1] + y - centre[0]) / radius * 0.35
    stream = np.sqrt(_square(y, x, (centre[0] - radius, centre[1] - radius)))
    scene.add(radius - np.sqrt(_square(y, x, centre)), ramp, stream, 12, light)


def _leaf(scene: Scene, rng: np.random.Generator, size: Size, centre, turn: float) -> None:
    """A pointed leaf."""
    y, x = _grid(size)
    pal, turn = scene.palette, turn + rng.uniform(-0.7, 0.7)
    along = (x - centre[1]) * np.cos(turn) + (y - centre[0]) * np.sin(turn)
    across = (y - centre[0]) * np.cos(turn) - (x - centre[1]) * np.sin(turn)
    ramp = np.stack([pal[7], pal[5] * 0.6, pal[5], pal[6]])
    scene.add(1 - (along / 0.09) ** 2 - np.abs(across) / 0.026, ramp, across - 2 * along**2, 16, 4 * across)


def _flower(scene: Scene, rng: np.random.Generator, size: Size, centre, radius: float) -> None:
    """A flower seen from the front."""
    y, x = _grid(size)
    pal, petals = scene.palette, rng.integers(7, 13)
    far, turn = np.sqrt(_square(y, x, centre)), np.arctan2(y - centre[0], x - centre[1])
    rim = radius * (0.86 + 0.14 * np.cos(petals * turn + rng.uniform(0, 6)))
    hue = pal[rng.choice([3, 8, 9, 6], p=[0.4, 0.3, 0.2, 0.1])]
    spokes = turn / (2 * np.pi) + 0.6 * far
    ramp = np.stack([hue * 0.6, hue, hue * 0.5 + 0.5 * pal[9]])
    scene.add(rim - far, ramp, spokes, petals, 0.3 - 3 * (radius - far))
    scene.add(0.36 * radius - far, pal[[7, 8, 7]], far, 40)


# --- crafts ---------------------------------------------------------------------------------------


def _brushstrokes(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Thick oil: bristled strokes along the flow, broad ones first, lit from the upper left."""
    scene = _compose(rng, size)
    unit = _unit(size)
    canvas = _Canvas(size, scene.palette[7] * 0.6 + scene.palette[8] * 0.4)
    angle = _outlined(scene, 6 * unit)
    for length, width, gap, share in ((70, 18, 13, 1), (40, 10, 7.5, 0.6), (22, 5.5, 5.5, 0.2)):
        at = _scatter(rng, size, gap * unit)
        at = at[(_at(scene.edge, at) < 1.5 * width * unit) | (rng.random(len(at)) < share)]
        colour = _vary(rng, _at(scene.colour, at), hue=0.025, saturation=0.12, value=0.10)
        second = _vary(rng, colour, hue=0.04, saturation=0.15, value=0.16)
        canvas.strokes(rng, at, angle, colour, second, length * unit, width * unit, jitter=0.12)
    return canvas.lit(0.55)


def _pointillism(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Dabs of pure colour: the region's own, its neighbours', and now and then its complement."""
    scene = _compose(rng, size)
    unit = _unit(size)
    canvas = _Canvas(size, np.array([0.93, 0.88, 0.76]))
    for length, gap in ((17, 9.0), (11.5, 6.6), (8, 6.6)):
        at = _scatter(rng, size, gap * unit)
        hsv = rgb2hsv(_at(scene.colour, at))
        lot = rng.random(len(at))
        hsv[:, 0] += rng.normal(0, 0.022, len(at)) + 0.5 * (lot < 0.08) + 0.08 * (lot > 0.85)
        hsv[:, 1] = 0.25 + 0.85 * hsv[:, 1] + rng.normal(0, 0.08, len(at))
        hsv[:, 2] = hsv[:, 2] ** 0.85 + rng.normal(0, 0.09, len(at)) + 0.08 * (lot < 0.08)
        colour = hsv2rgb(np.concatenate([hsv[:, :1] % 1, hsv[:, 1:].clip(0.05, 1)], 1))
        length = length * unit
        canvas.strokes(rng, at, scene.angle, colour, colour * 0.93, length, 0.8 * length, jitter=0.5)
    return canvas.lit(0.3)


def _fauve(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Flat wild colour laid with a broad brush, drawn round with a dark loaded line."""
    scene = _compose(rng, size)
    unit = _unit(size)
    bold = _posterise(rng, scene)
    canvas = _Canvas(size, scene.palette[8])
    for length, width, gap in ((56, 26, 15), (34, 15, 9)):
        at = _scatter(rng, size, gap * unit)
        colour = _at(bold, at)
        second = _vary(rng, colour, hue=0.02, saturation=0.1, value=0.1)
        canvas.strokes(rng, at, scene.angle, colour, second, length * unit, width * unit, jitter=0.15)
    width = unit * (2.4 + 0.9 * _noise(rng, size, 9) + 0.4 * _noise(rng, size, 40)) * _room(scene, unit)
    canvas.glaze(_below(scene.edge, width), scene.palette[7] * 0.9, 0.9 + 0.3 * _noise(rng, size, 60))
    return canvas.lit(0.35)


def _stained_glass(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Cells of luminous glass in dark lead, thicker lead round the forms."""
    scene = _compose(rng, size)
    unit = _unit(size)
    at = _scatter(rng, size, 40 * unit)
    fine = _scatter(rng, size, 21 * unit)
    at = np.concatenate([at[_at(scene.edge, at) > 20 * unit], fine[_at(scene.edge, fine) < 20 * unit]])
    cell, seam = _voronoi(at, size)
    piece = cell * (scene.region.max() + 1) + scene.region
    _, piece = np.unique(piece, return_inverse=True)
    piece = piece.reshape(size)
    many = piece.max() + 1
    count = np.bincount(piece.ravel(), minlength=many)
    colour = np.stack([np.bincount(piece.ravel(), scene.colour[..., c].ravel(), many) / count for c in range(3)], 1)
    colour = _vary(rng, colour, hue=0.03, saturation=0.08, value=0.12, boost=1.45)
    glass = np.stack([ndimage.gaussian_filter(colour[piece][..., c], 0.8) for c in range(3)], -1)
    ripple = 0.10 * _noise(rng, size, 26) + 0.06 * _noise(rng, size, 70)
    inset, room = np.minimum(seam, scene.edge), _room(scene, unit)
    glow = 1.15 - 0.5 * room * np.exp(-inset / (6 * unit))
    glass = glass * (glow + ripple)[..., None] + 0.10 * (1 - np.exp(-inset / (14 * unit)))[..., None]
    wobble = 0.4 * unit * _noise(rng, size, 30)
    lead = np.maximum(_below(seam, 1.6 * unit * room + wobble), _below(scene.edge, 2.6 * unit * room + wobble * room))
    metal = 0.07 + 0.10 * np.exp(-((inset / (0.9 * unit)) ** 2))
    return glass * (1 - lead[..., None]) + (lead * metal)[..., None] * np.array([0.9, 0.95, 1.1])


def _mosaic(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Tesserae set in rows along the forms, in pale grout."""
    scene = _compose(rng, size)
    unit = _unit(size)
    angle = _outlined(scene, 16 * unit)
    at = _scatter(rng, size, 12 * unit)
    for _ in range(4):
        at = _settle(at, angle, size)
    cell, seam = _tiles(at, angle, size, 1)
    colour = _vary(rng, _at(scene.colour, at), hue=0.02, saturation=0.1, value=0.10, boost=1.3)
    tilt = rng.normal(0, 0.5, (len(at), 2))
    y, x = np.indices(size)
    centre = at[cell]
    slope = (tilt[cell] * (np.stack([y, x], -1) - centre)).sum(-1) / (12 * unit)
    tile = colour[cell] * (1 + 0.25 * slope + 0.05 * _noise(rng, size, 90))[..., None]
    bevel = np.exp(-seam / (1.2 * unit))
    tile = tile * (1 - 0.25 * bevel[..., None])
    grout = np.array([0.86, 0.82, 0.74]) * 0.3 + 0.05 * _noise(rng, size, 90)[..., None]
    gap = _below(seam, 0.65 * unit)[..., None]
    return tile * (1 - gap) + gap * grout


def _ink_hatching(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Pen and ink on cream paper: hatching that follows the form, crossed where it darkens."""
    scene = _compose(rng, size)
    unit = _unit(size)
    dark = 1 - _tone(scene, 1 * unit)
    plate = _Plate(size)
    for turn, threshold, gap in ((0.0, 0.22, 5.0), (0.85, 0.55, 5.4), (-0.7, 0.78, 5.6)):
        at = _scatter(rng, size, gap * unit, 24 * unit)
        at = at[_at(dark, at) > threshold + rng.normal(0, 0.06, len(at))]
        length = 26 * unit * rng.uniform(0.5, 1.4, len(at)) * (1 if turn == 0 else 0.75)
        weight = unit * (0.55 + 1.0 * (_at(dark, at) - threshold).clip(0)) * rng.uniform(0.8, 1.25, len(at))
        plate.ribbons(_trace(at, scene.angle + turn, length, 9), weight, scene.region)
    ink = plate.printed()
    ink = np.maximum(ink, _below(scene.edge, unit * (0.7 + 0.5 * _noise(rng, size, 20))))
    paper = np.array([0.965, 0.925, 0.82]) * (1 + 0.02 * _noise(rng, size, 60) + 0.02 * _noise(rng, size, 4))[..., None]
    ink = ink[..., None] * (0.93 + 0.05 * _noise(rng, size, 50))[..., None]
    return paper * (1 - ink) + ink * np.array([0.07, 0.06, 0.12])


def _woodcut(rng: np.random.Generator, size: Size) -> np.ndarray:
    """A key block carved along the flow, printed over two or three flat colours."""
    scene = _compose(rng, size)
    unit = _unit(size)
    light = _tone(scene, 2 * unit)
    plate = _Plate(size)
    at = _scatter(rng, size, 6.5 * unit, 40 * unit)
    at = at[_at(light, at) > 0.12]
    paths = _trace(at, scene.angle, 46 * unit * rng.uniform(0.6, 1.3, len(at)), 12)
    plate.ribbons(paths, unit * (0.6 + 4.2 * _at(light, at) ** 1.3) * rng.uniform(0.8, 1.2, len(at)), scene.region)
    room = _room(scene, unit)
    small = np.clip((0.85 - room) * 6, 0, 1) * np.clip((light - 0.3) * 6, 0, 1)  # cut clean between small forms
    key = 1 - np.maximum(plate.printed(), small)
    key = np.maximum(key, _below(scene.edge, 1.7 * unit * room))
    flat = _posterise(rng, scene)
    paper = np.array([0.95, 0.90, 0.78])
    flat = ndimage.gaussian_filter(flat, (0.7, 0.7, 0)) * 0.85 + paper * 0.15
    grain = 1 + 0.04 * _noise(rng, size, 40) + 0.03 * _noise(rng, size, 110)
    ink = np.minimum(scene.palette[7], scene.palette[0] * 0.5)
    return flat * grain[..., None] * (1 - key[..., None]) + key[..., None] * ink * grain[..., None]


def _watercolour(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Transparent washes on grained paper, each drying to a dark edge."""
    scene = _compose(rng, size)
    unit = _unit(size)
    y, x = np.indices(size).astype(float)
    y += unit * (5 * _noise(rng, size, 10) + 1.6 * _noise(rng, size, 40))
    x += unit * (5 * _noise(rng, size, 10) + 1.6 * _noise(rng, size, 40))
    soft = np.stack([ndimage.gaussian_filter(scene.colour[..., c], 2 * unit) for c in range(3)], -1)
    edge = ndimage.map_coordinates(np.minimum(scene.edge, 60 * unit), [y, x], order=1, mode="nearest")
    wash = np.stack([ndimage.map_coordinates(soft[..., c], [y, x], order=1, mode="nearest") for c in range(3)], -1)
    wash = _vary(rng, wash.reshape(-1, 3), boost=1.35).reshape(wash.shape)
    grain = _noise(rng, size, 120) * 0.6 + _noise(rng, size, 60) * 0.4
    tone = wash.mean(-1) + 0.10 * _noise(rng, size, 7) + 0.04 * _noise(rng, size, 20)
    density = 0.35 + 0.2 * _noise(rng, size, 5)
    for level in np.quantile(tone, [0.25, 0.5, 0.75]):  # three glazes, dark where they overlap
        slope = np.hypot(*np.gradient(tone)) + 1e-3 / unit
        inside = (level - tone) / slope
        rim = np.exp(-(inside.clip(0) / (2.2 * unit))) * (inside > 0)
        density += 0.24 * np.clip(inside + 0.5, 0, 1) + 0.34 * ndimage.gaussian_filter(rim, 0.5)
    density += 0.55 * np.exp(-(((edge - 1.8 * unit) / (1.7 * unit)) ** 2))
    density *= 1 + 0.22 * grain
    density *= 1 - 0.9 * _below(edge, unit * (0.3 + 1.2 * _noise(rng, size, 8)))  # slivers of dry paper
    paper = np.array([0.985, 0.97, 0.94]) * (1 + 0.025 * grain)[..., None]
    return paper * wash.clip(0.03, 1) ** density.clip(0)[..., None]


def _marbling(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Ink dropped on water and combed; each pixel is carried back to the drop it came from."""
    palette = _hex(PALETTES[rng.integers(len(PALETTES))])
    y, x = _grid((2 * size[0], 2 * size[1]))
    y, x = (np.broadcast_to(a, (2 * size[0], 2 * size[1])).astype(np.float32).ravel() for a in (y, x))
    wide = x.max()
    for _ in range(rng.integers(4, 8)):  # combs: wavy shears, undone
        turn, reach, pitch = rng.uniform(0, np.pi), rng.uniform(0.03, 0.10), rng.uniform(6, 16)
        across = np.float32(np.sin(turn)) * x - np.float32(np.cos(turn)) * y
        push = np.float32(reach) * np.sin(np.float32(pitch) * across + np.float32(rng.uniform(0, 6)))
        x, y = x + push * np.float32(np.cos(turn)), y + push * np.float32(np.sin(turn))
    colour = np.tile(palette[9].astype(np.float32), (x.size, 1))
    alive = np.arange(x.size)
    for i in range(216):
        if i % 6 == 0:  # rings: several drops let fall on one spot, in turn of two inks
            cy, cx, inks = rng.uniform(0, 1), rng.uniform(0, wide), rng.choice(10, 2, replace=False)
        radius = rng.uniform(0.03, 0.10)
        dy, dx = y - np.float32(cy), x - np.float32(cx)
        square = dy * dy + dx * dx
        inside = square < radius**2
        colour[alive[inside]] = palette[inks[i % 2] if rng.random() < 0.8 else rng.integers(10)]
        alive, dy, dx, square = alive[~inside], dy[~inside], dx[~inside], square[~inside]
        shrink = np.sqrt(1 - np.float32(radius**2) / square)
        y, x = np.float32(cy) + dy * shrink, np.float32(cx) + dx * shrink
        if not alive.size:
            break
    picture = colour.reshape(size[0], 2, size[1], 2, 3).mean((1, 3))
    grain = 1 + 0.03 * _noise(rng, size, 60) + 0.03 * _noise(rng, size, 130)
    return picture * grain[..., None]


_CRAFTS: dict[str, Callable[[np.random.Generator, Size], np.ndarray]] = {
    "brushstrokes": _brushstrokes,
    "stained_glass": _stained_glass,
    "ink_hatching": _ink_hatching,
    "pointillism": _pointillism,
    "watercolour": _watercolour,
    "woodcut": _woodcut,
    "mosaic": _mosaic,
    "fauve": _fauve,
    "marbling": _marbling,
}
KINDS = tuple(_CRAFTS)


# --- tools: canvas and plate ----------------------------------------------------------------------


class _Canvas:
    """Wet paint: colour and height together, (H, W, 4), with a margin for strokes that leave the picture."""

    def __init__(self, size: Size, ground: np.ndarray):
        self.margin = int(60 * _unit(size)) + 4
        shape = (size[0] + 2 * self.margin, size[1] + 2 * self.margin, 4)
        self.paint = np.broadcast_to(np.append(ground, 0.4), shape).astype(np.float32)

    def strokes(self, rng, at, angle, colour, second, length: float, width: float, jitter: float) -> None:
        """Lay strokes centred at `at` along `angle`, bristles mixing from `colour` to `second`."""
        reach = max(1.0, length / 4)
        turn = _at(angle, at)
        step = reach * np.stack([np.sin(turn), np.cos(turn)], 1)
        bend = _fold(_at(angle, at + step) - _at(angle, at - step)) / (2 * reach)
        turn = turn + rng.normal(0, jitter, len(at))
        turns = np.round(turn / (np.pi / 18)).astype(int) % 36
        bends = np.round((bend * length).clip(-1.2, 1.2) / 0.4).astype(int)
        turns, bends, scale = turns.tolist(), bends.tolist(), rng.integers(0, 4, len(at)).tolist()
        first = np.concatenate([colour, np.full((len(at), 1), 0.2)], 1).astype(np.float32)
        change = np.concatenate([second, np.full((len(at), 1), 1.0)], 1).astype(np.float32) - first
        for i, (row, column) in enumerate(np.round(at).astype(int) + self.margin):
            cover, bristle = _brush(length, width, turns[i], bends[i], scale[i])
            half = cover.shape[0] // 2
            patch = self.paint[row - half : row + half + 1, column - half : column + half + 1]
            patch += cover * (first[i] + bristle * change[i] - patch)

    def glaze(self, cover: np.ndarray, colour: np.ndarray, height: np.ndarray) -> None:
        """Lay one colour over the picture where `cover` says."""
        m = self.margin
        paint = self.paint[m:-m, m:-m]
        layer = np.concatenate([np.broadcast_to(colour, paint[..., :3].shape), height[..., None]], -1)
        paint += cover[..., None].astype(np.float32) * (layer - paint)

    def lit(self, depth: float) -> np.ndarray:
        """The picture under a lamp at the upper left."""
        m = self.margin
        paint = self.paint[m:-m, m:-m]
        down, right = np.gradient(ndimage.gaussian_filter(paint[..., 3], 0.6))
        slope = np.tanh(1.6 * (down + right))[..., None]
        return paint[..., :3] * (1 + depth * slope) + 0.12 * depth * slope.clip(0) ** 2


@lru_cache(maxsize=4096)
def _brush(length: float, width: float, turn: int, bend: int, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """One brush mark, turned by `turn` times 10 degrees and bent: its cover and its bristles, (n, n, 1)."""
    rng = np.random.default_rng(scale)
    size = (0.7, 0.85, 1.0, 1.2)[scale]
    length, width = length * size, width * size
    half = int(np.ceil(np.hypot(length, width) / 2 * 1.15)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    theta = turn * np.pi / 18
    along, across = x * np.cos(theta) + y * np.sin(theta), y * np.cos(theta) - x * np.sin(theta)
    across = across - bend * 0.4 / length * along**2 / 2
    lane = across / width + 0.5
    hairs = np.interp(lane, np.linspace(0, 1, 14), rng.random(14))
    ends = np.interp(lane, np.linspace(0, 1, 9), rng.uniform(-0.12, 0.12, 9)) * length
    rounded = np.sqrt((1 - (2 * lane - 1) ** 2).clip(0)) * width / 2
    tip = length / 2 - width / 2 + rounded - np.abs(along + ends)
    side = width / 2 - np.abs(across)
    cover = np.clip(np.minimum(tip, side) + 0.5, 0, 1)
    dry = np.clip(1.25 - 1.1 * (along / length + 0.5) * hairs, 0, 1)  # the brush runs out of paint
    rim = np.exp(-np.minimum(tip, side).clip(0) / (0.12 * width + 0.4))
    bristle = 0.75 * hairs + 0.35 * rim
    return (cover * (0.35 + 0.65 * dry))[..., None].astype(np.float32), bristle[..., None].astype(np.float32)


class _Plate:
    """A black-and-white plate drawn three times too large, so that its lines print smooth."""

    SCALE = 3

    def __init__(self, size: Size):
        self.size = size
        self.image = Image.new("L", (size[1] * self.SCALE, size[0] * self.SCALE))

    def ribbons(self, paths: np.ndarray, width: np.ndarray, region: np.ndarray) -> None:
        """Draw tapering lines along `paths` (N, steps, 2), each kept inside the region it starts in."""
        steps = paths.shape[1]
        home = _at(region, paths.reshape(-1, 2)).reshape(-1, steps)
        stays = np.minimum.accumulate(home == home[:, :1], axis=1)
        paths = np.where(stays[..., None], paths, np.nan)
        taper = np.sin(np.pi * np.linspace(0.06, 0.97, steps)) ** 0.7
        along = np.gradient(paths, axis=1)
        normal = along[..., ::-1] * [1, -1] / (np.linalg.norm(along, axis=-1, keepdims=True) + 1e-9)
        swell = normal * (width[:, None] * taper)[..., None] / 2
        outline = np.concatenate([paths + swell, (paths - swell)[:, ::-1]], 1)[..., ::-1] * self.SCALE
        draw = ImageDraw.Draw(self.image)
        for points in outline:
            points = points[~np.isnan(points[:, 0])]
            if len(points) > 3:
                draw.polygon(points.ravel().tolist(), fill=255)

    def printed(self) -> np.ndarray:
        """The plate at its true size, in [0, 1]."""
        return np.asarray(self.image.reduce(self.SCALE), float) / 255


# --- tools: fields and points ---------------------------------------------------------------------


def _grid(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the pixels as a column and a row, the picture's height being 1."""
    return np.arange(size[0])[:, None] / size[0], np.arange(size[1])[None] / size[0]


def _unit(size: Size) -> float:
    """How long, in pixels, is one pixel of a 512 x 512 picture."""
    return float(np.sqrt(size[0] * size[1]) / 512)


def _noise(rng: np.random.Generator, size: Size, waves: float) -> np.ndarray:
    """Smooth noise, about -1 to 1, with `waves` bumps along the picture's height."""
    waves = min(waves, size[0] / 2)
    many = (int(np.ceil(waves)) + 3, int(np.ceil(waves * size[1] / size[0])) + 3)
    coarse = Image.fromarray(rng.normal(0, 0.6, many).astype(np.float32))
    box = (1, 1, 1 + waves * size[1] / size[0], 1 + waves)
    return np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC, box=box), float)


def _scatter(rng: np.random.Generator, size: Size, gap: float, beyond: float = 0.0) -> np.ndarray:
    """Points (N, 2) about `gap` apart over the picture, and `beyond` its border, in a random order."""
    y, x = np.meshgrid(*(np.arange(gap / 2 - beyond, n + beyond, gap) for n in size), indexing="ij")
    at = np.stack([y.ravel(), x.ravel()], 1) + rng.uniform(-0.5, 0.5, (y.size, 2)) * gap
    return rng.permutation(at)


def _at(field: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The values of a field at points (N, 2); outside the picture, those of its border."""
    rows = np.round(at[:, 0]).astype(int).clip(0, field.shape[0] - 1)
    return field[rows, np.round(at[:, 1]).astype(int).clip(0, field.shape[1] - 1)]


def _outlined(scene: Scene, reach: float) -> np.ndarray:
    """The scene's directions, but along the contours where one is nearer than `reach`."""
    down, right = np.gradient(ndimage.gaussian_filter(scene.edge.clip(0, 3 * reach), 0.1 * reach))
    return np.where(scene.edge < reach, np.arctan2(-right, down), scene.angle)


def _room(scene: Scene, unit: float) -> np.ndarray:
    """How much room the forms leave for a line, from 0.3 among small details to 1 in the open."""
    return (ndimage.gaussian_filter(scene.edge.clip(0, 20 * unit), 6 * unit) / (6 * unit)).clip(0.3, 1)


def _trace(at: np.ndarray, angle: np.ndarray, length: np.ndarray, steps: int) -> np.ndarray:
    """Paths (N, steps, 2) of the given lengths that follow a field of directions from `at`."""
    path, heading = [at], None
    for _ in range(steps - 1):
        turn = _at(angle, path[-1])
        ahead = np.stack([np.sin(turn), np.cos(turn)], 1)
        if heading is not None:
            ahead *= np.where((ahead * heading).sum(1) < 0, -1, 1)[:, None]
        heading = ahead
        path.append(path[-1] + ahead * (length / (steps - 1))[:, None])
    return np.stack(path, 1)


def _voronoi(at: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """The cell each pixel lies in, and its distance in pixels to that cell's border."""
    pixels = np.indices(size).reshape(2, -1).T
    distance, near = cKDTree(at).query(pixels, k=4)
    apart = np.linalg.norm(at[near[:, 1:]] - at[near[:, :1]], axis=-1)
    border = ((distance[:, 1:] ** 2 - distance[:, :1] ** 2) / (2 * apart)).min(1)
    return near[:, 0].reshape(size), border.reshape(size)


def _tiles(at: np.ndarray, angle: np.ndarray, size: Size, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Voronoi cells in the metric of squares turned along `angle`: the cells, and how far their borders are.

    Only every `stride`-th pixel is looked at.
    """
    pixels = np.indices((size[0] // stride, size[1] // stride)).reshape(2, -1).T * stride
    turn = _at(angle, at)
    cosine, sine = np.cos(turn), np.sin(turn)
    _, near = cKDTree(at).query(pixels, k=5)
    dy, dx = np.moveaxis(pixels[:, None] - at[near], -1, 0)
    along, across = dx * cosine[near] + dy * sine[near], dy * cosine[near] - dx * sine[near]
    far = np.maximum(np.abs(along), np.abs(across))
    order = np.argsort(far, axis=1)[:, :2]
    best = np.take_along_axis(far, order, 1)
    cell = np.take_along_axis(near, order[:, :1], 1)[:, 0]
    shape = (size[0] // stride, size[1] // stride)
    return cell.reshape(shape), ((best[:, 1] - best[:, 0]) / 2).reshape(shape)


def _settle(at: np.ndarray, angle: np.ndarray, size: Size) -> np.ndarray:
    """One step of Lloyd's relaxation: every tile moves to the middle of its cell."""
    stride = max(1, round(2 * _unit(size)))
    cell, _ = _tiles(at, angle, size, stride)
    y, x = np.indices(cell.shape) * stride
    count = np.bincount(cell.ravel(), minlength=len(at))
    middle = np.stack([np.bincount(cell.ravel(), a.ravel(), len(at)) for a in (y, x)], 1) / count.clip(1)[:, None]
    return np.where(count[:, None] > 0, middle, at)


def _square(y: np.ndarray, x: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Squared distance to a centre."""
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2


def _fold(angle: np.ndarray) -> np.ndarray:
    """An angle between two undirected lines, brought into -pi/2 to pi/2."""
    return (angle + np.pi / 2) % np.pi - np.pi / 2


def _below(distance: np.ndarray, limit) -> np.ndarray:
    """1 where `distance` is below `limit`, 0 above it, with an edge one pixel soft."""
    return np.clip(limit - distance + 0.5, 0, 1)


# --- tools: colour --------------------------------------------------------------------------------


def _hex(palette: str) -> np.ndarray:
    """Colours (n, 3) in [0, 1] from a row of hexadecimal codes."""
    return np.array([list(bytes.fromhex(code)) for code in palette.split()]) / 255


def _ramp(colours: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The colours at positions `t` of a ramp from 0 to 1."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(t, stops, colours[:, c]) for c in range(3)], -1)


def _vary(rng, colour: np.ndarray, hue=0.0, saturation=0.0, value=0.0, boost=1.15) -> np.ndarray:
    """Colours (N, 3), each shifted a little at random, and all made `boost` times as saturated."""
    hsv = rgb2hsv(colour.clip(0, 1)) * [1, boost, 1]
    hsv += rng.normal(0, 1, hsv.shape) * [hue, saturation, value]
    return hsv2rgb(np.concatenate([hsv[:, :1] % 1, hsv[:, 1:].clip(0, 1)], 1))


def _tone(scene: Scene, blur: float) -> np.ndarray:
    """How light the scene is, from 0 to 1, with every tone about equally common."""
    tone = ndimage.gaussian_filter(scene.colour @ np.array([0.3, 0.59, 0.11]), blur)
    low, high = np.quantile(tone, [0.02, 0.96])
    even = np.interp(tone, np.quantile(tone, np.linspace(0, 1, 33)), np.linspace(0, 1, 33))
    return 0.5 * ((tone - low) / (high - low)).clip(0, 1) + 0.5 * even


def _posterise(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """The scene in its palette alone: every pixel takes the nearest of the palette's colours."""
    colours = _vary(rng, scene.palette, boost=1.3)
    return colours[cKDTree(scene.palette).query(scene.colour)[1]]


def main() -> None:
    """Write the shipped set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder to write to")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="instead of each one's own")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for kind, (seed, height, width) in SHIPPED.items():
        path = options.out / f"{kind}.jpg"
        picture = Image.fromarray(paint(kind, seed, tuple(options.size or (height, width))))
        picture.save(path, quality=88, optimize=True)
        print(f"{path}  {picture.width} x {picture.height}  {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
