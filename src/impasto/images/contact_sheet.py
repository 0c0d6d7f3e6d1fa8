"""Contact sheets: pictures side by side, each with its label, to judge by eye."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

MARGIN = 12
LABEL = 26


def contact_sheet(
    rows: Sequence[Sequence[tuple[str, Float[Tensor, "1 3 h w"]]]], height: int = 320
) -> Float[Tensor, "1 3 H W"]:
    """Rows of (label, picture) on white paper, every picture ``height`` pixels high.

    A cell is as wide as its picture or its label, whichever is wider. Rows may differ in length.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageDraw, ImageFont

    from impasto.images.resize import resize

    def small(picture: Tensor) -> Image.Image:
        width = max(1, round(picture.shape[-1] * height / picture.shape[-2]))
        pixels = resize(picture.float().cpu(), (height, width)).clamp(0, 1)[0].permute(1, 2, 0)
        return Image.fromarray((pixels * 255).round().to(torch.uint8).numpy())

    font = ImageFont.load_default(size=15)

    def cell(label: str, picture: Tensor) -> tuple[str, Image.Image, int]:
        drawn = small(picture)
        label = label.replace("−", "-")  # the font has no minus sign
        words = max((font.getlength(line) for line in label.splitlines()), default=0)
        return label, drawn, max(drawn.width, math.ceil(words))

    drawn = [[cell(label, picture) for label, picture in row] for row in rows]
    width = max(sum(wide + MARGIN for _, _, wide in row) for row in drawn) + MARGIN
    sheet = Image.new("RGB", (width, len(drawn) * (height + LABEL + MARGIN) + MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    top = MARGIN
    for row in drawn:
        left = MARGIN
        for label, picture, wide in row:
            pen.text((left, top), label, fill=(40, 40, 40), font=font)
            sheet.paste(picture, (left, top + LABEL))
            left += wide + MARGIN
        top += height + LABEL + MARGIN
    return torch.from_numpy(np.asarray(sheet).copy()).permute(2, 0, 1)[None].float() / 255
