"""Preview: degraded pictures side by side with the good ones, and files of them."""

from __future__ import annotations

import hashlib
import logging
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read, write
from impasto.images.contact_sheet import contact_sheet
from impasto.translation.degrade.draw import plan
from impasto.translation.degrade.recipe import Recipe
from impasto.translation.pictures import on_white
from impasto.translation.places import gathered, places, require_elsewhere

log = logging.getLogger("impasto")

Progress = Callable[[float, str], None]

_FONT, _LINE, _LETTER, _FOOT = (
    11,
    14,
    5.7,
    5,
)  # pixels: captions' font, line to line, a letter, about, and what is below


def find(sources: Sequence[Path], out: Path | None = None) -> list[tuple[Path, str]]:
    """The pictures that are named, and those below folders but for results: their files, and their names below those.

    Raises:
        UsageError: One does not exist, or a folder holds no pictures.
    """
    if missing := [source for source in sources if not source.exists()]:
        raise UsageError(f"{missing[0]} does not exist: check the name")
    return gathered(sources, out)


def targets(found: Sequence[tuple[Path, str]], out: Path) -> list[Path]:
    """Where each of these pictures is written to, degraded.

    Raises:
        UsageError: Two would be one, or one would be written among the good ones.
    """
    made = places([name for _, name in found], out)
    require_elsewhere(made, [path for path, _ in found], out)
    return made


def sheet(
    recipe: Recipe,
    sources: Sequence[Path],
    *,
    count: int = 6,
    draws: int = 4,
    size: int = 192,
    seed: int = 0,
    out: Path | None = None,
    progress: Progress = lambda done, words: None,
) -> Float[Tensor, "1 3 H W"]:
    """A contact sheet: a row for each picture, its middle as it is and degraded several times, with what was drawn.

    Results that are smaller are shown enlarged by repeating their pixels.

    Args:
        recipe: What makes them bad.
        sources: Pictures, and folders of pictures; of all, ``count`` are taken, evenly spread.
        count: Rows, at most.
        draws: Degraded ones in a row; one, where all are the same.
        size: Side of what is shown of a picture, in its pixels.
        seed: Of all chance.
        out: A folder of results, which are left out.
        progress: Told how far it is.

    Raises:
        UsageError: There are no pictures, or none that can be read and is large enough.
    """
    found = find(sources, out)
    count = min(count, len(found))
    taken = [found[number * len(found) // count] for number in range(count)]
    rows: list[list[tuple[str, Tensor]]] = []
    for (_, name), pixels in _read_all(taken, recipe, sources, progress):
        good = _middle(pixels, size, recipe.multiple)
        seeds = [seed_of(seed, f"{name} {draw}") for draw in range(draws)]
        bad = recipe(good.expand(draws, -1, -1, -1), seeds)
        if bool((bad == bad[:1]).all()):
            bad = bad[:1]  # nothing is left to chance
        bad = bad.repeat_interleave(recipe.scale, -1).repeat_interleave(recipe.scale, -2)
        drawn = [_words(recipe, one) for one in seeds]
        rows.append([(name, good[0]), *zip(drawn, bad)])
    captions = [[textwrap.wrap(words, max(8, int(size / _LETTER))) for words, _ in row] for row in rows]
    lines = max(len(caption) for row in captions for caption in row)
    cells = [
        [("", _captioned(picture, caption, lines, size)) for (_, picture), caption in zip(row, words)]
        for row, words in zip(rows, captions)
    ]
    return contact_sheet(cells, height=size + lines * _LINE + _FOOT)


def degrade_files(
    recipe: Recipe,
    sources: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    progress: Progress = lambda done, words: None,
) -> list[Path]:
    """Write every picture degraded, as PNG, under its own name and in its own folder below ``out``.

    A picture is first cropped at the right and below to whole multiples of the recipe's scale. It has the same noise
    whatever other pictures there are. Of a folder, those that cannot be read are left out with a warning.

    Raises:
        UsageError: There are no pictures, none can be read, or one would be written among the good ones.
        ImpastoError: A full disk, or a folder that may not be written to.
    """
    found = find(sources, out)
    places_of = dict(zip(found, targets(found, out)))
    written: list[Path] = []
    for (path, name), pixels in _read_all(found, recipe, sources, progress):
        target = places_of[path, name]
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImpastoError(f"{target.parent} cannot be made: {error.strerror}") from error
        write(target, Picture(recipe(pixels, [seed_of(seed, name)])))
        written.append(target)
    return written


def seed_of(seed: int, name: str) -> int:
    """A picture's own seed, made of that of all and its name, so that it is the same whatever others there are."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest(), "little")


def _words(recipe: Recipe, seed: int) -> str:
    """What is done to the picture with this seed, but for the rounding, which is not seen."""
    return ", ".join(str(step) for step in plan(recipe.steps, seed) if step.operation != "round") or "as it was"


def _read_all(
    found: Sequence[tuple[Path, str]], recipe: Recipe, sources: Sequence[Path], progress: Progress
) -> Iterator[tuple[tuple[Path, str], Tensor]]:
    """The pictures; those of a folder that cannot be read are left out with a warning, if there are others."""
    read_any = False
    for number, (path, name) in enumerate(found):
        progress(number / len(found), name)
        try:
            pixels = _pixels(path, recipe)
        except UsageError as error:
            if path in sources or (number == len(found) - 1 and not read_any):
                raise
            log.warning("left out: %s", error)
            continue
        read_any = True
        yield (path, name), pixels


def _pixels(path: Path, recipe: Recipe) -> Float[Tensor, "1 3 h w"]:
    """A picture, on white where it is transparent, cropped to whole multiples of the scale."""
    picture = read(path)
    pixels = on_white(picture)
    high, wide = (side - side % recipe.multiple for side in pixels.shape[-2:])
    if not high or not wide:
        least = recipe.multiple
        raise UsageError(
            f"{path} is {picture.width}×{picture.height}: the recipe reduces pictures {least} times, so it needs "
            f"{least}×{least} pixels at least"
        )
    return pixels[:, :, :high, :wide]


def _middle(pixels: Tensor, size: int, multiple: int) -> Tensor:
    """The middle of a picture, ``size`` wide and high at most, in whole multiples."""
    high, wide = (max(multiple, min(side, size) // multiple * multiple) for side in pixels.shape[-2:])
    top, left = (pixels.shape[-2] - high) // 2, (pixels.shape[-1] - wide) // 2
    return pixels[:, :, top : top + high, left : left + wide]


def _captioned(picture: Float[Tensor, "3 h w"], caption: Sequence[str], lines: int, size: int) -> Tensor:
    """A picture over lines of words, on white; a small one with its pixels enlarged."""
    times = max(1, size // max(picture.shape[-2:]))
    picture = picture.repeat_interleave(times, -1).repeat_interleave(times, -2)
    canvas = Image.new("RGB", (max(size, picture.shape[-1]), size + lines * _LINE + _FOOT), "white")
    canvas.paste(Image.fromarray((picture.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(_FONT)
    for number, line in enumerate(caption):
        pen.text((0, size + number * _LINE + 2), line, fill=(40, 40, 40), font=font)
    return torch.from_numpy(np.asarray(canvas).copy()).permute(2, 0, 1)[None].float() / 255
