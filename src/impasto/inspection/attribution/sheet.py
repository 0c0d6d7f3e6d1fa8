"""The sheet of an explanation: the picture, what it is taken for, and every map with its figures beneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from impasto.images.resize import fit, resize

INK, FAINT, LINE = (31, 35, 40), (107, 113, 120), (223, 226, 230)
MARGIN, LEADING = 20, 18
LONGEST = 300  # side of a picture on the sheet


@dataclass(frozen=True, eq=False)
class Card:
    """A part of the sheet.

    Attributes:
        title: What it is.
        about: The same in a few words, fainter.
        pictures: (1, 3, h, w) each, all of one size, side by side.
        lines: What stands beneath.
    """

    title: str
    about: str
    pictures: Sequence[Float[Tensor, "1 3 h w"]]
    lines: Sequence[str]


def draw(cards: Sequence[Card], columns: int = 2) -> Float[Tensor, "1 3 h w"]:
    """The cards in rows, on white."""
    bold, plain, small = _font("DejaVuSans-Bold", 15), _font("DejaVuSans", 13), _font("DejaVuSans", 12)
    drawn = [[_paper(picture) for picture in card.pictures] for card in cards]
    words = [plain.getlength(line) for card in cards for line in card.lines]
    words += [bold.getlength(card.title) for card in cards] + [small.getlength(card.about) for card in cards]
    width = round(max([sum(p.width + 6 for p in some) - 6 for some in drawn] + words))
    heights = [44 + max(p.height for p in some) + 8 + LEADING * len(card.lines) for card, some in zip(cards, drawn)]
    rows = [range(start, min(start + columns, len(cards))) for start in range(0, len(cards), columns)]
    columns = min(columns, len(cards))
    total = MARGIN + sum(max(heights[k] for k in row) + MARGIN for row in rows)
    sheet = Image.new("RGB", (MARGIN + columns * (width + MARGIN), total), "white")
    pen, top = ImageDraw.Draw(sheet), MARGIN
    for number, row in enumerate(rows):
        if number:
            pen.line((MARGIN, top - MARGIN // 2, sheet.width - MARGIN, top - MARGIN // 2), fill=LINE)
        for column, k in enumerate(row):
            left = MARGIN + column * (width + MARGIN)
            pen.text((left, top), cards[k].title, fill=INK, font=bold)
            pen.text((left, top + 21), cards[k].about, fill=FAINT, font=small)
            at = left
            for picture in drawn[k]:
                sheet.paste(picture, (at, top + 42))
                at += picture.width + 6
            under = top + 42 + max(p.height for p in drawn[k]) + 7
            for line in cards[k].lines:
                pen.text((left, under), line, fill=INK, font=plain)
                under += LEADING
        top += max(heights[k] for k in row) + MARGIN
    return torch.from_numpy(np.asarray(sheet).copy()).permute(2, 0, 1)[None].float() / 255


def _paper(picture: Float[Tensor, "1 3 h w"]) -> Image.Image:
    h, w = fit((picture.shape[-2], picture.shape[-1]), LONGEST)
    pixels = resize(picture.float().cpu(), (h, w)).clamp(0, 1)[0].permute(1, 2, 0)
    return Image.fromarray((pixels * 255).round().to(torch.uint8).numpy())


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's letters, which know more of the world's names than Pillow's."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), size)
