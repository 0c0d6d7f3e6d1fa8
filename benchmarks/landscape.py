"""The loss landscape of a deep network with and without shortcuts, on mnist: figure 1 of Li et al. (2018).

    uv run python benchmarks/landscape.py --runs /var/tmp/landscape
    uv run python benchmarks/landscape.py --runs /var/tmp/landscape --draw docs/images

Two networks 56 layers deep and 8 channels wide, which differ in the shortcuts alone and begin with the same weights, are
trained alike by `impasto train classify`, and mapped at the same filter-normalised directions and along their own ways.
What is there already in the folder is not done again, so a killed run is called again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

from impasto.inspection.landscape.surface import Grid
from impasto.learning.classify import classify, resume
from impasto.learning.landscape import landscape
from impasto.learning.sample import sample
from impasto.learning.scan import scan
from impasto.runs.directory import RunDirectory

SHARED = Path(os.environ.get("IMPASTO_DATA") or Path(__file__).parents[1].parent / "shared")
KINDS = ("plain", "residual")


def train(folder: Path, epochs: int, count: int) -> None:
    """Both networks, or what is left of them to train."""
    data = folder / "mnist.parquet"
    if not data.exists():
        sample(scan(SHARED / "data" / "mnist-t10k"), count=count).save(data)
    for kind in KINDS:
        run = folder / kind
        if not (run / "manifest.json").exists():
            classify(
                data, run=run, network=f"scratch:{kind}-56x8", size=28, stages=(f"all:{epochs}",), augment=(),
                batch_size=64, snapshots=True, audit=False,
            )  # fmt: skip
        elif RunDirectory.open(run).status != "finished":
            resume(run)


def mapped(folder: Path, name: str, **fields: Any) -> list[dict[str, Any]]:
    """The two surfaces, mapped or read."""
    out = folder / name
    if not (out / "surface.json").exists():
        landscape(folder / KINDS[0], compare=folder / KINDS[1], out=out, **fields)
    return json.loads((out / "surface.json").read_text())["surfaces"]


def main() -> None:
    """Train, map, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--points", type=int, default=25)
    parser.add_argument("--draw", type=Path)
    arguments = parser.parse_args()
    folder = arguments.runs
    folder.mkdir(parents=True, exist_ok=True)
    train(folder, arguments.epochs, arguments.count)
    random = mapped(folder, "out-2d", points=arguments.points)
    ways = mapped(folder, "out-way", directions="trajectory", points=15, pictures=128)

    print("| network | valid accuracy % | loss at the weights | median at the border | points with accuracy ≥ 90 % of "
          "the best | local minima | log loss bends down at % | bending down, part of all % | variance in the "
          "trajectory's plane % |\n|" + "---|" * 9)  # fmt: skip
    for kind, one, way in zip(KINDS, random, ways, strict=True):
        scores = RunDirectory.open(folder / kind).manifest["scores"]
        rough, log = one["roughness"]["loss"], one["roughness"]["log loss"]
        accuracies = [value for row in one["values"]["accuracy"] for value in row]
        good = sum(value >= 0.9 * max(accuracies) for value in accuracies)
        print(
            f"| {one['facts']['network']} | {100 * scores['accuracy']['value']:.1f} | {rough['centre']:.3g} "
            f"| {rough['border']:.3g} | {good} of {len(accuracies)} | {rough['minima']} "
            f"| {100 * log['concave']:.0f} | {100 * log['negative']:.0f} | {100 * way['way']['explained']:.1f} |"
        )
    grid = Grid.even(arguments.points, (-1.0, 1.0))
    print(f"\nsteps of the grid: {grid.x[1] - grid.x[0]:.3f} of a filter's norm")
    if arguments.draw:
        for source, target in (
            ("out-2d/relief.png", "landscape.png"),
            ("out-2d/contours.png", "landscape-contours.png"),
            ("out-way/contours.png", "landscape-trajectory.png"),
        ):
            shutil.copyfile(folder / source, arguments.draw / target)


if __name__ == "__main__":
    main()
