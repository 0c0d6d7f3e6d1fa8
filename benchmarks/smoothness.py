"""Is total variation needed? Noise in flat parts and style reached, with and without it, with and without the pyramid.

uv run python benchmarks/smoothness.py --sheet docs/images/smoothness.jpg
"""

import argparse
import os
from pathlib import Path

import torch

from impasto import read, stylize, write
from impasto.images import Picture
from impasto.images.colour import to_oklab
from impasto.images.contact_sheet import contact_sheet
from impasto.images.resize import resize, size_of

PAIRS = (("tubingen", "starry_night_google"), ("golden_gate", "la_muse"))
WAYS = {
    "pyramid": {},
    "pyramid, smoothness 0.3": {"smoothness": 0.3},
    "pyramid, smoothness 3": {"smoothness": 3.0},
    "one scale, noise": {"scales": 1, "steps": 150, "init": "noise"},
    "one scale, noise, smoothness 3": {"scales": 1, "steps": 150, "init": "noise", "smoothness": 3.0},
    "pyramid, noise": {"init": "noise"},
}


def main() -> None:
    """Print a row per pair and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    rows = []
    print(
        "| pair | way | style term | content lost, relative | chroma noise in flat parts (1e-6) |\n|---|---|---|---|---|"
    )
    for content, painting in PAIRS:
        photo = options.shared / "data" / "contents" / f"{content}.jpg"
        row, lost = [], 0.0
        for way, fields in WAYS.items():
            result = stylize(
                photo, options.shared / "data" / "paintings" / f"{painting}.jpg", size=options.size, **fields
            )
            lost = lost or result.losses["content"]
            found = noise(result.tensor, read(photo).pixels)
            print(
                f"| {content}, {painting} | {way} | {result.losses['style']:.5f} "
                f"| {result.losses['content'] / lost:.2f} | {1e6 * found:.1f} |",
                flush=True,
            )
            row.append((way, result.tensor))
        rows += [row[:3], row[3:]]
    if options.sheet:
        write(options.sheet, Picture(contact_sheet(rows, height=300)), quality=85)


def noise(picture: torch.Tensor, photo: torch.Tensor) -> float:
    """Mean square of what a chroma pixel has that its eight neighbours have not, where the photograph is flattest."""
    lab = to_oklab(picture)[:, 1:]
    around = torch.nn.functional.avg_pool2d(lab, 3, 1, 1)
    grain = (lab - around).square().sum(1)[0, 1:-1, 1:-1]
    gray = resize(photo, size_of(picture)).mean(1, keepdim=True)
    detail = (gray - torch.nn.functional.avg_pool2d(gray, 9, 1, 4)).abs()
    detail = torch.nn.functional.avg_pool2d(detail, 9, 1, 4)[0, 0, 1:-1, 1:-1]
    return float(grain[detail <= detail.flatten().kthvalue(detail.numel() // 4).values].mean())


if __name__ == "__main__":
    main()
