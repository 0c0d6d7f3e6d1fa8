"""Epochs on precomputed features against epochs on pixels: how much faster, and that they learn the same.

A linear head on the pooled activations of a frozen network, dogs-vs-cats at 144 pixels: 800 pictures to learn from,
400 to measure on, the same batches in both, no augmentation. The pictures of the full epochs are held in memory, so
that it is the network that is saved, not the decoding. An epoch is one pass of training and one of measuring.

uv run python benchmarks/precompute.py [--epochs 3]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is imported

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto import networks
from impasto.learning.features import features, pooled
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Pictures, Preprocessing

DATA = Path(os.environ.get("IMPASTO_DATA", "../shared"))
SIZE = Preprocessing(144)
NETWORKS = {"squeezenet1_0": ("squeezenet1_0", "features.12"), "vgg19": ("vgg19_to_conv3_4", "relu3_4")}
BATCH = 32


def main() -> None:
    """Print for each network the epochs of both ways, their ratio, and their metrics."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=800, help="to learn from; half as many to measure on")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    train = labelled("train", options.pictures)
    test = labelled("test", options.pictures // 2)
    print(f"{len(train)} and {len(test)} pictures, {SIZE.size} pixels, {torch.get_num_threads()} threads\n")
    print("| network | epoch on pixels (s) | on features (s) | ratio | precomputing (s) | loss | accuracy | apart by |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.networks:
        compare(name, train, test, options.epochs)


def compare(name: str, train: Manifest, test: Manifest, epochs: int) -> None:
    """Print one network's row."""
    weights, tap = NETWORKS[name]
    network = networks.load(name, weights=DATA / "weights" / f"{weights}.safetensors")
    taps = networks.Taps(network, [tap])

    def from_pixels(pictures: Pictures) -> Callable[[np.ndarray], Tensor]:
        def inputs(rows: np.ndarray) -> Tensor:
            with torch.no_grad():
                return pooled(taps(pictures.get(rows).float().div_(255))[tap], "avgmax")

        return inputs

    held = [Pictures(rows, SIZE) for rows in (train, test)]
    for pictures in held:
        pictures.get(range(len(pictures)))
    targets = [torch.from_numpy(rows.targets(train.classes)) for rows in (train, test)]
    pixel_seconds, pixel_metrics = learn([from_pixels(pictures) for pictures in held], targets, epochs)
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        kept = [features(rows, network, [tap], preprocessing=SIZE, cache=Path(cache))[tap] for rows in (train, test)]
        precomputing = time.perf_counter() - began
        feature_seconds, feature_metrics = learn([each.read for each in kept], targets, epochs)
    apart = max(abs(one - other) for one, other in zip(pixel_metrics, feature_metrics, strict=True))
    print(
        f"| {name} to {tap} | {pixel_seconds:.2f} | {feature_seconds:.4f} | {pixel_seconds / feature_seconds:.0f} × "
        f"| {precomputing:.1f} | {feature_metrics[0]:.4f} | {feature_metrics[1]:.2%} | {apart:.1e} |",
        flush=True,
    )


def learn(
    inputs: list[Callable[[np.ndarray], Tensor]], targets: list[Tensor], epochs: int
) -> tuple[float, tuple[float, float]]:
    """Train a linear head: the median seconds of an epoch, and the loss and accuracy of the test rows at the end."""
    rng = np.random.default_rng(0)
    channels = inputs[0](np.arange(2)).shape[1]
    head = nn.Sequential(nn.BatchNorm1d(channels), nn.Linear(channels, int(targets[0].max()) + 1))
    nn.init.zeros_(head[1].weight)
    nn.init.zeros_(head[1].bias)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    seconds, metrics = [], (0.0, 0.0)
    for _ in range(epochs):
        began = time.perf_counter()
        head.train()
        for rows in np.array_split(rng.permutation(len(targets[0])), -(-len(targets[0]) // BATCH)):
            optimizer.zero_grad()
            F.cross_entropy(head(inputs[0](rows)), targets[0][rows]).backward()
            optimizer.step()
        head.eval()
        with torch.no_grad():
            every = np.arange(len(targets[1]))
            logits = torch.cat([head(inputs[1](rows)) for rows in np.array_split(every, -(-len(every) // BATCH))])
            right = (logits.argmax(1) == targets[1]).double().mean()
            metrics = float(F.cross_entropy(logits, targets[1])), float(right)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)), metrics


def labelled(split: str, count: int) -> Manifest:
    """Pictures of a split, as many of each class, with their labels."""
    folder = DATA / "data" / "dogs-vs-cats" / split
    kinds = [sorted(one.glob("*.jpg")) for one in sorted(folder.iterdir()) if one.is_dir()]
    chosen = [file for files in kinds for file in files[: count // len(kinds)]]
    return Manifest.from_rows([{"path": str(f.relative_to(folder)), "label": f.parent.name} for f in chosen], folder)


if __name__ == "__main__":
    main()
