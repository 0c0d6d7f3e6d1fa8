"""A sheet for every shipped model: what it is given, what it makes of it, and the truth; the last row is where it fails.

    uv run python benchmarks/shipped_models.py --out docs/images

Crops of photographs that no shipped model has learnt from, degraded by a recipe and given to `impasto.enhance`. What is
given is drawn enlarged bicubically where the model enlarges. PSNR (dB) is of the Y of the crop, of a colorization of
Cb and Cr.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import impasto
from impasto.images import Picture, read, write
from impasto.images.contact_sheet import contact_sheet
from impasto.images.resample import imresize
from impasto.translation import degrade
from impasto.translation.metrics import Colour, psnr
from impasto.translation.model import load, shipped
from impasto.translation.pictures import split

MAN, WHEEL, TEMPLE, DOOR = "pexels-photo-1933873", "pexels-photo-2802032", "3794859", "162511"
BOY, MOON, CHART, WINDOW, BEER, BATH = (
    "pexels-photo-796526",
    "861443",
    "Temperament-pie-chart-according-to-Eysenck",
    "pexels-photo-7078290",
    "1089930",
    "1454804",
)


class Row(NamedTuple):
    """A crop of a photograph: its upper left corner and side in pixels, and how it is degraded."""

    photo: str
    top: int
    left: int
    side: int
    recipe: str
    fails: str = ""


ROWS: dict[str, list[Row]] = {
    "superres-x2": [
        Row(MAN, 110, 170, 160, "bicubic:2"),
        Row(WHEEL, 150, 180, 160, "bicubic:2"),
        Row(TEMPLE, 180, 330, 160, "bicubic:2"),
        Row(MAN, 110, 170, 160, "down:2 jpeg:40", "was a JPEG: blocks enlarged too"),
    ],
    "superres-x4": [
        Row(MAN, 90, 140, 256, "bicubic:4"),
        Row(WHEEL, 130, 140, 256, "bicubic:4"),
        Row(BOY, 130, 140, 256, "bicubic:4"),
        Row(CHART, 200, 0, 256, "bicubic:4", "small print, fine patterns: guessed"),
    ],
    "superres-x4-real": [
        Row(MAN, 90, 140, 192, "bicubic:4"),
        Row(DOOR, 200, 40, 192, "bicubic:4"),
        Row(WHEEL, 150, 180, 192, "bicubic:4", "ripples beside strong edges"),
    ],
    "restore-jpeg": [
        Row(MAN, 110, 170, 192, "jpeg:10"),
        Row(CHART, 60, 230, 192, "jpeg:20"),
        Row(WHEEL, 150, 180, 192, "jpeg:30"),
        Row(DOOR, 200, 40, 192, "jpeg:5", "quality 5, which it never saw"),
    ],
    "restore-photo": [
        Row(MAN, 110, 170, 192, "noise:15 jpeg:60"),
        Row(WHEEL, 150, 180, 192, "noise:25"),
        Row(MOON, 30, 150, 192, "noise:20 jpeg:40"),
        Row(WINDOW, 60, 260, 192, "noise:40", "strong noise takes the bricks' grain too"),
    ],
    "colorize": [
        Row(WHEEL, 0, 0, 512, "colorize"),
        Row(MOON, 0, 0, 512, "colorize"),
        Row(BOY, 0, 0, 512, "colorize"),
        Row(MAN, 0, 0, 512, "colorize"),
        Row(DOOR, 0, 0, 512, "colorize", "colours that the grays do not tell"),
    ],
    "remove-text": [
        Row(WHEEL, 0, 0, 512, "text"),
        Row(BOY, 0, 0, 512, "text"),
        Row(TEMPLE, 0, 0, 512, "text"),
        Row(CHART, 0, 0, 512, "text", "lettering that belongs to the picture"),
    ],
}


def main() -> None:
    """Write the sheets, and print a table of what was measured on them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(shipped()), help="default: every shipped model")
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--height", type=int, default=224, help="of a picture on the sheet")
    options = parser.parse_args()
    held_out = {path.stem: path for path in split(options.shared / "data" / "photos", 0.05, 0).valid}
    for name in options.names:
        model = load(name)
        sheet = []
        for number, row in enumerate(ROWS[name]):
            good = (
                read(held_out[row.photo])
                .pixels[..., row.top : row.top + row.side, row.left : row.left + row.side]
                .contiguous()
            )
            bad = degrade.parse(row.recipe)(good, [number])
            made = enhanced(bad, name)
            colour: Colour = "chroma" if model.task == "colorize" else "y"
            given = imresize(bad, scale=model.scale).clamp(0, 1) if model.scale != 1 else bad
            sheet.append(
                [
                    (f"{row.recipe} {decibels(given, good, colour):.2f}", given),
                    (f"{name} {decibels(made, good, colour):.2f}" + (" (fails)" if row.fails else ""), made),
                    ("the truth", good),
                ]
            )
            print(
                f"| {name} | {row.photo} | {row.recipe} | {decibels(given, good, colour):.2f} | {decibels(made, good, colour):.2f} |"
            )
        write(options.out / f"model-{name}.jpg", Picture(contact_sheet(sheet, height=options.height)), quality=85)


def enhanced(bad: Tensor, name: str) -> Tensor:
    """What a user gets of the picture as a PNG file."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "bad.png"), Picture(bad))
        return impasto.enhance(Path(folder, "bad.png"), model=name).picture.pixels


def decibels(made: Tensor, good: Tensor, colour: Colour) -> float:
    """PSNR of these planes."""
    with torch.no_grad():
        return float(psnr(made, good, colour=colour)[0])


if __name__ == "__main__":
    main()
