"""Make the contact sheets of the docs (losses, colours, strokes, regions, textures, inversions) from data beside it.

    uv run python recipes/sheets.py --only losses colours     # resumes where it was stopped

The photographs and paintings that go in are not shown, for they are not the project's to show.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch
import torch.nn.functional as F

from impasto import read, stylize, texture, write
from impasto.images import Picture
from impasto.images.contact_sheet import contact_sheet
from impasto.images.resize import resize
from impasto.synthesis.invert import inversion_sheet
from impasto.synthesis.options import StyleLossName

CONTENTS = ("tubingen", "golden_gate")
PAINTINGS = ("starry_night_google", "la_muse", "woman_with_hat_matisse")
COLOURS = ("style", "keep", "match", "histogram")

Cell = tuple[str, torch.Tensor]


def main() -> None:
    """Write the sheets asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--work", type=Path, default=Path("runs/sheets"))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    sheets = {
        "losses": losses, "colours": colours, "strokes": strokes, "regions": regions, "textures": textures,
        "inversions": inversions,
    }  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=sheets, default=list(sheets))
    parser.add_argument("--names", nargs="+", help="of the losses")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        sheets[name](options)


def losses(options: argparse.Namespace) -> None:
    """A sheet per loss: a row per photograph, a column per painting."""
    for name in options.names or get_args(StyleLossName):
        rows = pairs(options, CONTENTS[:1] if name == "mrf" else CONTENTS, loss=name)  # minutes a picture
        write_sheet(options, f"loss-{name}", rows)


def colours(options: argparse.Namespace) -> None:
    """A sheet per colour mode."""
    for name in COLOURS:
        write_sheet(options, f"color-{name}", pairs(options, CONTENTS, color=name))


def strokes(options: argparse.Namespace) -> None:
    """The same look at any size, and other strokes at one."""
    sizes = [painted(options, CONTENTS[0], PAINTINGS[0], f"{n} px", size=n) for n in (256, 512, 1024)]
    scales = [painted(options, CONTENTS[0], PAINTINGS[0], f"stroke {s}", size=512, stroke=s) for s in (0.5, 1.0, 2.0)]
    write_sheet(options, "strokes", [sizes, scales])


def regions(options: argparse.Namespace) -> None:
    """Two styles, each in its part of the picture, with a soft border between them."""
    photo = read(source(options, "contents", CONTENTS[0]))
    bright = resize(photo.pixels, (96, 128)).mean(1, keepdim=True)
    upper = torch.linspace(1, 0, 96).view(1, 1, 96, 1) > 0.45
    sky = F.avg_pool2d(((bright > 0.45) & upper).float(), 9, 1, 4, count_include_pad=False)
    sky = resize(sky, (photo.height, photo.width)).clamp(0, 1)
    paths = []
    for name, mask in (("sky", sky), ("ground", 1 - sky)):
        paths.append(options.work / f"mask-{name}.png")
        write(paths[-1], Picture(mask.expand(-1, 3, -1, -1).contiguous()))
    styles = [source(options, "paintings", name) for name in ("starry_night_google", "la_muse")]
    result = stylize(source(options, "contents", CONTENTS[0]), styles, size=512, strength=0.6, masks=paths)
    row = [("where the first style paints", sky.expand(-1, 3, -1, -1)), ("two styles by region", result.tensor)]
    write_sheet(options, "regions", [row])


def textures(options: argparse.Namespace) -> None:
    """Textures, and a tileable one, twice side by side."""
    rows = []
    for name in ("great_wave", "la_muse", "starry_night_google"):
        style = source(options, "paintings", name)
        plain = texture(style, size="256x256", stroke=0.7).tensor
        tile = texture(style, size="256x256", stroke=0.7, tileable=True, loss="wasserstein").tensor
        twice = tile.repeat(1, 1, 1, 2)
        rows.append([("gram", plain), ("tileable, wasserstein", tile), ("two tiles side by side", twice)])
    write_sheet(options, "textures", rows)


def inversions(options: argparse.Namespace) -> None:
    """The exercise of the course: every layer of pocket inverted, from noise and from median-filtered noise."""
    write_sheet(options, "inversions", inversion_sheet(source(options, "contents", CONTENTS[0])))


def pairs(options: argparse.Namespace, contents: Sequence[str], **fields: Any) -> list[list[Cell]]:
    """Every photograph in every style."""
    return [
        [painted(options, content, painting, "", size=256, **fields) for painting in PAINTINGS] for content in contents
    ]


def painted(options: argparse.Namespace, content: str, painting: str, label: str, **fields: Any) -> Cell:
    """A picture painted now, or on an earlier run of this script."""
    name = "-".join([content, painting, *(f"{key}_{value}" for key, value in fields.items())])
    path = options.work / f"{name}.png"
    if not path.exists():
        stylize(source(options, "contents", content), source(options, "paintings", painting), **fields).save(path)
        print(path, flush=True)
    return label or painting, read(path).pixels


def source(options: argparse.Namespace, kind: str, name: str) -> Path:
    """A photograph or painting of the data beside the project."""
    path: Path = options.shared / "data" / kind / f"{name}.jpg"
    return path


def write_sheet(options: argparse.Namespace, name: str, rows: list[list[Cell]]) -> None:
    """One picture under the docs."""
    path = options.out / f"{name}.jpg"
    write(path, Picture(contact_sheet(rows, height=256)), quality=85)
    print(path, flush=True)


if __name__ == "__main__":
    main()
