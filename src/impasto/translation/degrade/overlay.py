"""Overlays: lines of text, watermarks and printed numbers, laid over pictures."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from impasto.translation.degrade.draw import Drawn, uniform, whole

_STAMP = 10  # pixels: about the height of the font that Pillow had when fastai's lesson printed with it
_FINE = 4  # signs are drawn so many times larger, and then smoothed
_CHARACTERS = 3 * string.ascii_lowercase + string.ascii_uppercase + string.digits + ".,:;!?&@#%*+-=/()"
_SHADES = {"white": (1.0, 1.0, 1.0), "gray": (0.5, 0.5, 0.5), "black": (0.0, 0.0, 0.0)}

Canvas = Float[np.ndarray, "h w"]
Layer = tuple[Canvas, tuple[float, float, float]]


def text(images: Float[Tensor, "b 3 h w"], drawn: Sequence[Drawn]) -> Float[Tensor, "b 3 h w"]:
    """``count`` lines of random characters, alike but for their words, their places, and colours where any will do."""
    return _over(images, drawn, _lines)


def watermark(images: Float[Tensor, "b 3 h w"], drawn: Sequence[Drawn]) -> Float[Tensor, "b 3 h w"]:
    """A word or a sign, half transparent: once anywhere, or repeated over the whole picture."""
    return _over(images, drawn, _mark)


def stamp(images: Float[Tensor, "b 3 h w"], drawn: Sequence[Drawn]) -> Float[Tensor, "b 3 h w"]:
    """The number ``quality`` in white, its corner anywhere in the upper left quarter (lesson7-superres-gan.ipynb)."""
    return _over(images, drawn, _number)


def _over(images: Tensor, drawn: Sequence[Drawn], layers: Callable[[Drawn, int, int], list[Layer]]) -> Tensor:
    """The pictures under the layers of each: its opacities, and its colour."""
    high, wide = images.shape[-2:]
    light = torch.zeros(len(drawn), 3, high, wide)
    through = torch.ones(len(drawn), 1, high, wide)
    for i, one in enumerate(drawn):
        for canvas, colour in layers(one, high, wide):
            opacity = torch.from_numpy(canvas)
            light[i] += opacity * (torch.tensor(colour)[:, None, None] - light[i])
            through[i] *= 1 - opacity
    return images * through.to(images.device) + light.to(images.device)


def _number(drawn: Drawn, high: int, wide: int) -> list[Layer]:
    tile = _word(str(drawn.values["quality"]), _STAMP)
    place = whole(drawn.random, 0, wide // 2), whole(drawn.random, 0, high // 2)
    return [(_laid([(tile, place)], high, wide), _SHADES["white"])]


def _lines(drawn: Drawn, high: int, wide: int) -> list[Layer]:
    values, random = drawn.values, drawn.random
    layers = []
    for _ in range(values["count"]):
        tile = _turned(_word(_words(random, 4), round(values["size"])), values["angle"])
        canvas = _laid([(tile, _anywhere(tile, high, wide, random))], high, wide)
        layers.append((values["opacity"] * canvas, _colour(values["colour"], random)))
    return layers


def _mark(drawn: Drawn, high: int, wide: int) -> list[Layer]:
    values, random = drawn.values, drawn.random
    size = round(values["size"])
    tile = _turned(
        _word(_words(random, 2), size) if values["mark"] == "text" else _sign(2 * size, random), values["angle"]
    )
    left, top = _anywhere(tile, high, wide, random)
    places = [(left, top)]
    if values["layout"] == "tiled":
        down, across = (round(side * uniform(random, 1.1, 1.8)) for side in tile.shape)
        places = [
            (x + (row % 2) * (across // 2), y)
            for row, y in enumerate(range(top % down - 2 * down, high, down))
            for x in range(left % across - 2 * across, wide, across)
        ]
    canvas = _laid([(tile, place) for place in places], high, wide)
    return [(values["opacity"] * canvas, _colour(values["colour"], random))]


def _words(random: torch.Generator, most: int) -> str:
    """One to so many words of random characters."""
    lengths = [whole(random, 2, 9) for _ in range(whole(random, 1, most))]
    chosen = (torch.randint(len(_CHARACTERS), (length,), generator=random).tolist() for length in lengths)
    return " ".join("".join(_CHARACTERS[one] for one in word) for word in chosen)


def _colour(name: str, random: torch.Generator) -> tuple[float, float, float]:
    if name == "any":
        return uniform(random), uniform(random), uniform(random)
    return _SHADES[name]


def _anywhere(tile: Canvas, high: int, wide: int, random: torch.Generator) -> tuple[int, int]:
    """Left and top of a tile whose middle is anywhere in the picture."""
    return whole(random, 0, wide - 1) - tile.shape[1] // 2, whole(random, 0, high - 1) - tile.shape[0] // 2


@lru_cache(maxsize=256)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _word(words: str, size: int) -> Canvas:
    """Opacities of a line of text, closely framed."""
    font = _font(size)
    left, top, right, bottom = font.getbbox(words)
    tile = Image.new("L", (max(1, math.ceil(right - left)), max(1, math.ceil(bottom - top))))
    ImageDraw.Draw(tile).text((-left, -top), words, fill=255, font=font)
    return _opacities(tile)


def _sign(size: int, random: torch.Generator) -> Canvas:
    """Opacities of a sign such as firms have: a ring, a star, a frame or a polygon, filled or with a letter in it."""
    side = _FINE * size
    tile = Image.new("L", (side, side))
    pen, middle, edge = ImageDraw.Draw(tile), side / 2, side / 2 - 1
    width = max(1, round(side * uniform(random, 0.04, 0.12)))
    match whole(random, 0, 3):
        case 0:
            pen.ellipse((1, 1, side - 2, side - 2), outline=255, width=width)
        case 1:
            pen.rounded_rectangle((1, side / 6, side - 2, side * 5 / 6), side / 10, outline=255, width=width)
        case 2:
            pen.polygon(_star(middle, edge, points=whole(random, 4, 8), depth=uniform(random, 0.35, 0.7)), fill=255)
        case _:
            pen.regular_polygon((middle, middle, edge), whole(random, 3, 6), fill=255)
    letter = _CHARACTERS[whole(random, 0, len(string.ascii_letters) - 1)].upper()
    # It is cut out of what is filled.
    fill = 255 - int(tile.getpixel((side // 2, side // 2)) or 0)  # type: ignore[arg-type]
    pen.text((middle, middle), letter, fill=fill, font=_font(side // 3), anchor="mm")
    return _opacities(tile.resize((size, size), Image.Resampling.BOX))


def _star(middle: float, edge: float, points: int, depth: float) -> list[tuple[float, float]]:
    turns = (math.pi * corner / points for corner in range(2 * points))
    radii = (edge * (depth if corner % 2 else 1) for corner in range(2 * points))
    return [(middle + radius * math.sin(turn), middle - radius * math.cos(turn)) for radius, turn in zip(radii, turns)]


def _turned(tile: Canvas, degrees: float) -> Canvas:
    if not degrees:
        return tile
    image = Image.fromarray(np.rint(tile * 255).astype(np.uint8))
    return _opacities(image.rotate(degrees, Image.Resampling.BICUBIC, expand=True))


def _opacities(tile: Image.Image) -> Canvas:
    return np.asarray(tile, np.float32) / 255


def _laid(tiles: Sequence[tuple[Canvas, tuple[int, int]]], high: int, wide: int) -> Canvas:
    """Tiles at their left and top on an empty canvas; what lies beyond it is cut off."""
    canvas = np.zeros((high, wide), np.float32)
    for tile, (left, top) in tiles:
        first, last = max(0, top), min(high, top + tile.shape[0])
        start, stop = max(0, left), min(wide, left + tile.shape[1])
        if first < last and start < stop:
            seen = canvas[first:last, start:stop]
            np.maximum(seen, tile[first - top : last - top, start - left : stop - left], out=seen)
    return canvas
