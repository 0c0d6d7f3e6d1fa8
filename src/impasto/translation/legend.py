"""Legend: a picture over the names of what its colours stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

LETTERS = 1 / 60  # height of the letters, as a part of the picture's longer side
SMALLEST = 12  # pixels


def with_legend(
    picture: Float[Tensor, "1 3 h w"], names: Sequence[str], colours: Float[Tensor, "names 3"]
) -> Float[Tensor, "1 3 H W"]:
    """A picture, as it is, over squares of these colours, each with its name, in as many lines as that takes.

    Letters grow with the picture. A picture that is narrower than a name stands on white paper of that width.
    """
    letters = max(SMALLEST, round(LETTERS * max(picture.shape[-2:])))
    font = ImageFont.load_default(letters)
    gap = letters // 2
    wide = [gap + letters + gap + math.ceil(font.getlength(name)) + gap for name in names]
    width = max(picture.shape[-1], *wide)
    places, left, top = [], 0, gap
    for each in wide:
        if left + each > width:
            left, top = 0, top + letters + gap
        places.append((left + gap, top))
        left += each
    paper = Image.new("RGB", (width, top + letters + gap), "white")
    pen = ImageDraw.Draw(paper)
    for (x, y), name, colour in zip(places, names, (colours * 255).round().int().tolist(), strict=True):
        pen.rectangle((x, y, x + letters - 1, y + letters - 1), fill=tuple(colour))
        pen.text((x + letters + gap, y + letters // 2), name, fill=(40, 40, 40), font=font, anchor="lm")
    below = torch.from_numpy(np.asarray(paper).copy()).permute(2, 0, 1)[None].float() / 255
    return torch.cat([F.pad(picture, (0, width - picture.shape[-1]), value=1.0), below], dim=2)
