"""Make the gallery of the docs: four photographs in six styles, by pocket and by VGG-19.

    uv run python recipes/gallery.py --weights vgg19.safetensors --work /tmp/gallery   # resumes where it was stopped

Photographs are scikit-image's samples, paintings the project's own, so that everything shown may be shown. Without
--weights, the published VGG-19 is downloaded.
"""

import argparse
from pathlib import Path
from typing import get_args

from impasto import read, stylize, write
from impasto.cli.demo import Painting, Photograph, sample_painting, sample_photograph
from impasto.images import Picture
from impasto.images.contact_sheet import contact_sheet

STEPS = 20  # at the finest scale, for both: the same work


def main() -> None:
    """Write one contact sheet per photograph: a row per painter, a column per painting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, help="a file of VGG-19's weights")
    parser.add_argument("--work", type=Path, default=Path("runs/gallery"))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--painters", nargs="+", default=["pocket", "vgg19"])
    parser.add_argument("--photographs", nargs="+", default=get_args(Photograph))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    settings = {"pocket": {}, "vgg19": {"network": "vgg19", "weights": options.weights, "quality": "best"}}
    for photograph in options.photographs:
        content = sample_photograph(photograph)
        rows = []
        for painter in options.painters:
            row = []
            for painting in get_args(Painting):
                path = options.work / f"{photograph}-{painting}-{painter}.png"
                if not path.exists():
                    result = stylize(
                        content, sample_painting(painting), size=options.size, steps=STEPS, **settings[painter]
                    )
                    result.save(path)
                    print(path, flush=True)
                row.append((f"{painting}, {painter}", read(path).pixels))
            rows += [row[:3], row[3:]]
        write(options.out / f"gallery-{photograph}.jpg", Picture(contact_sheet(rows, height=300)), quality=85)
    paintings = [(name, read(sample_painting(name)).pixels) for name in get_args(Painting)]
    write(options.out / "paintings.jpg", Picture(contact_sheet([paintings[:3], paintings[3:]], height=300)), quality=85)


if __name__ == "__main__":
    main()
