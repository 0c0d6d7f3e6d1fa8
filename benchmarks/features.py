"""How close the feature pipeline comes to its speed limit: decode, resize, run, pool and write, against the bare run.

SqueezeNet on dogs-vs-cats at 224 pixels, on as many threads as there are cores. Rounds of the two alternate.

uv run python benchmarks/features.py [--pictures 400] [--rounds 3]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is imported

import torch

from impasto import networks
from impasto.learning.features import _BATCH_PIXELS, features
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Pictures, Preprocessing, picture_hash, read_pixels

DATA = Path(os.environ.get("IMPASTO_DATA", "../shared"))
SIZE = Preprocessing(224)
TAP = "features.12"


def main() -> None:
    """Print pictures per second of each, their ratio, and what decoding and the rest cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    manifest = pictures_of(DATA / "data" / "dogs-vs-cats", options.pictures)
    network = networks.load("squeezenet1_0", weights=DATA / "weights" / "squeezenet1_0.safetensors")
    images = Pictures(manifest, SIZE).get(range(len(manifest))).float().div_(255)
    batch = _BATCH_PIXELS // SIZE.size**2
    taps = networks.Taps(network, [TAP])

    def bare() -> None:
        with torch.no_grad():
            for some in images.split(batch):
                taps(some)

    def pipeline() -> None:
        with tempfile.TemporaryDirectory() as cache:
            features(manifest, network, [TAP], preprocessing=SIZE, cache=Path(cache))

    def decoding() -> None:
        for row in range(len(manifest)):
            read_pixels(manifest, row, SIZE)

    bare()
    pairs = [(seconds(bare), seconds(pipeline)) for _ in range(options.rounds)]
    count = len(manifest)
    print(f"{count} pictures, {SIZE.size} pixels, {torch.get_num_threads()} threads\n")
    print("| round | bare run, pictures/s | pipeline, pictures/s | ratio |\n|---|---|---|---|")
    for number, (alone, whole) in enumerate(pairs, 1):
        print(f"| {number} | {count / alone:.1f} | {count / whole:.1f} | {alone / whole:.1%} |")
    ratio = statistics.median(alone / whole for alone, whole in pairs)
    print(f"\nmedian ratio {ratio:.1%}; decoding on one thread: {1e3 * seconds(decoding) / count:.2f} ms a picture")


def pictures_of(folder: Path, count: int) -> Manifest:
    """Pictures spread over a folder, hashed."""
    files = sorted(folder.rglob("*.jpg"))
    chosen = files[:: max(1, len(files) // count)][:count]
    manifest = Manifest.from_rows([{"path": str(file.relative_to(folder))} for file in chosen], folder)
    return manifest.having(sha256=[picture_hash(manifest, row) for row in range(len(manifest))])


def seconds(work: Callable[[], None]) -> float:
    """Wall time."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
