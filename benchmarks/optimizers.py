"""Eve, Adam, momentum, SGD, RMSprop and Adagrad on one task, in one plot.

A small convolutional network on 4,000 digits, validated on 1,000 others; a constant rate, so that nothing but the optimizer moves
it. Each chooses its learning rate among as many as the others, a half decade apart, by the mean loss along one training on
1,000 digits and with a seed that are not used again; then three seeds each. The band is their range.

nice -n 10 uv run python benchmarks/optimizers.py --shared ../shared
"""

import argparse
import gzip
import os
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from impasto.training.eve import Eve
from impasto.training.optimizers import build

# The rate in the middle of each one's grid.
MIDDLES = {"eve": 1e-2, "eve-v1": 3e-3, "adam": 3e-3, "momentum": 3e-2, "sgd": 3e-1, "rmsprop": 1e-3, "adagrad": 3e-2}
COLOURS = dict(zip(MIDDLES, ("#d62728", "#ff9896", "#1f77b4", "#2ca02c", "#98df8a", "#9467bd", "#8c564b"), strict=True))
BATCH = 50
EVERY = 20  # steps between two validations


def main() -> None:
    """Print the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--steps", type=int, default=240, help="three epochs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=int, default=5, help="learning rates that each one tries")
    parser.add_argument("--out", type=Path, default=Path("docs/images/optimizers.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = digits(options.shared / "data" / "mnist-t10k")
    train, choice, valid = (
        (images[rows], labels[rows]) for rows in (slice(4000), slice(8000, 9000), slice(9000, None))
    )
    curves = {}
    print("| optimizer | rate | at the grid's edge | loss | accuracy | mean loss | steps to 90 % | ms of CPU a step |")
    print("|---|---|---|---|---|---|---|---|")
    for name, middle in MIDDLES.items():
        grid = [middle * 10 ** ((i - options.rates // 2) / 2) for i in range(options.rates)]
        scores = [curve(name, rate, 1000, options.steps, train, choice)[0][:, 0].mean() for rate in grid]
        rate = grid[int(np.nanargmin(scores))]
        edge = "yes" if rate in (grid[0], grid[-1]) else "no"
        made = [curve(name, rate, seed, options.steps, train, valid) for seed in range(options.seeds)]
        found = np.stack([points for points, _ in made])  # seeds, points, (loss, accuracy)
        curves[name] = (rate, found)
        last = found[:, -1]
        reached = [np.flatnonzero(points[:, 1] >= 0.9) for points in found]
        steps = f"{np.mean([(at[0] + 1) * EVERY for at in reached]):.0f}" if all(len(at) for at in reached) else "–"
        milliseconds = np.median([seconds for _, seconds in made]) / options.steps * 1000
        print(
            f"| {name} | {rate:.1e} | {edge} | {last[:, 0].mean():.3f} ({last[:, 0].min():.3f}–{last[:, 0].max():.3f}) "
            f"| {last[:, 1].mean():.2%} ({last[:, 1].min():.2%}–{last[:, 1].max():.2%}) | {found[..., 0].mean():.3f} "
            f"| {steps} | {milliseconds:.1f} |",
            flush=True,
        )
    draw(curves, options.out)


def digits(folder: Path) -> tuple[Tensor, Tensor]:
    """MNIST's 10,000 test digits, shuffled: (10000, 1, 28, 28) about 0 with deviation 1, and their classes."""
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as file:
        classes = np.frombuffer(file.read(), np.uint8, offset=8)
    order = np.random.default_rng(0).permutation(len(classes))
    images = torch.from_numpy(pixels[order].astype(np.float32) / 255)
    return (images - 0.1307) / 0.3081, torch.from_numpy(classes[order].astype(np.int64))


def network() -> nn.Module:
    """Two convolutions with strides, two linear layers, 52,000 weights."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def curve(
    name: str, rate: float, seed: int, steps: int, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor]
) -> tuple[np.ndarray, float]:
    """Validation loss and accuracy every few steps, (points, 2), and the processor seconds of the steps alone."""
    torch.manual_seed(seed)
    model = network()
    optimizer = build([model], name, [rate])
    seconds, points, order = 0.0, [], torch.empty(0, dtype=torch.int64)
    for step in range(1, steps + 1):
        if len(order) == 0:
            order = torch.randperm(len(train[0]))
        rows, order = order[:BATCH], order[BATCH:]
        began = time.process_time()
        loss = cross_entropy(model(train[0][rows]), train[1][rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(loss=loss) if isinstance(optimizer, Eve) else optimizer.step()
        seconds += time.process_time() - began
        if step % EVERY == 0:
            with torch.no_grad():
                scores = model(valid[0])
            right = (scores.argmax(1) == valid[1]).float().mean()
            points.append((float(cross_entropy(scores, valid[1]).nan_to_num(1e3, 1e3).clamp(max=1e3)), float(right)))
    return np.array(points), seconds


def draw(curves: dict[str, tuple[float, np.ndarray]], path: Path) -> None:
    """Loss and accuracy over the steps, means and ranges."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name, (rate, found) in curves.items():
        steps = EVERY * np.arange(1, found.shape[1] + 1)
        for axes, values in ((left, found[..., 0]), (right, 1 - found[..., 1])):
            axes.plot(steps, values.mean(0), color=COLOURS[name], label=f"{name}, rate {rate:.1e}")
            axes.fill_between(steps, values.min(0), values.max(0), color=COLOURS[name], alpha=0.15, linewidth=0)
    left.set(yscale="log", xlabel="steps of 50 pictures", ylabel="validation loss", ylim=(None, 2.5))
    right.set(yscale="log", xlabel="steps of 50 pictures", ylabel="validation error", ylim=(None, 1))
    right.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    for axes in (left, right):
        axes.grid(alpha=0.25, which="both")
    left.legend()
    figure.suptitle(f"A small network on 4,000 digits: mean and range of {len(found)} seeds, each at its best rate")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
