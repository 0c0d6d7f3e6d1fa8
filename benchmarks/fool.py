"""Fooling SqueezeNet: pictures of ImageNet's classes to a random class, within 100 steps, and how large the change is.

uv run python benchmarks/fool.py --shared ../shared
"""

import argparse
import os
import statistics
from pathlib import Path

from impasto import networks
from impasto.inspection.fool import fool


def main() -> None:
    """Print a row per picture, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--pictures", type=int, default=20)
    options = parser.parse_args()
    network = networks.load("squeezenet1_0", weights=options.shared / "weights/squeezenet1_0.safetensors")
    files = sorted((options.shared / "data/imagenet-1k-samples").iterdir())
    found = []
    print("| picture | was taken for | is taken for | asked for | reached | steps | L2 | largest, grey levels | mean |")
    print("|---|---|---|---|---|---|---|---|---|")
    for number in range(options.pictures):
        one = fool(files[number * len(files) // options.pictures], network=network, seed=number)
        found.append(one)
        sizes = one.sizes()
        figures = f"{one.steps} | {sizes['l2']:.2f} | {sizes['largest']:.0f} | {sizes['mean']:.2f}"
        print(
            f"| {number + 1} | {one.before[0]} | {one.after[0]} | {one.target.name} | {one.reached} | {figures} |",
            flush=True,
        )
    middle = [statistics.median(one.sizes()[name] for one in found) for name in ("l2", "largest", "mean")]
    steps = statistics.median(one.steps for one in found)
    reached = f"{sum(one.reached for one in found)} of {len(found)}"
    print(f"| median | | | | {reached} | {steps} | {middle[0]:.2f} | {middle[1]:.0f} | {middle[2]:.2f} |")


if __name__ == "__main__":
    main()
