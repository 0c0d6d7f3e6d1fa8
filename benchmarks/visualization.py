"""Feature visualization: units a minute against lucent's way, and whether networks see in pictures of classes what was asked.

lucent itself is the peer: `uv run --with torch-lucent python benchmarks/visualization.py` (its own dependencies are old: with
`--lucent FOLDER` it is taken from a folder into which it was installed with `--no-deps`). One unit at a time, the whole network run, the
picture resized to 224, is what it does; it is timed over fewer steps, and its time for all steps follows.

The held-out judge is pocket, which has no classifier: one is fitted to its pooled activations by ridge regression, to the scores that
SqueezeNet gives to the crops of real pictures. How well it agrees with SqueezeNet on pictures that it was not fitted to stands beside.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import torch

from impasto import networks
from impasto.images import read
from impasto.images.resize import resize
from impasto.inspection.objectives import channel
from impasto.inspection.render import Rendering, render
from impasto.inspection.subject import subject
from impasto.inspection.visualize import visualize
from impasto.networks import Taps

DATA = Path(os.environ.get("IMPASTO_DATA", "../shared"))
WEIGHTS = DATA / "weights" / "squeezenet1_0.safetensors"
CLASSES = (1, 9, 130, 145, 207, 292, 323, 340, 404, 510, 605, 724, 817, 852, 949, 980)
POCKET_TAPS = ("relu3_2", "relu4_1")


def speed(steps: int, lucents: int) -> None:
    """Units a minute at 128 pixels, of features.12, ours and lucent's, in one run."""
    from lucent.optvis import objectives, param
    from lucent.optvis.render import render_vis

    network = subject("squeezenet1_0", WEIGHTS)
    units = range(16)
    print(f"| way | units a minute at 128 px, {steps} steps | ratio |\n|---|---|---|")
    render_vis(
        network.module, "features_12:0", lambda: param.image(128), thresholds=(1,), show_image=False, progress=False
    )
    began = time.perf_counter()
    for unit in range(2):
        render_vis(
            network.module,
            objectives.channel("features_12", unit),
            lambda: param.image(128),
            thresholds=(lucents,),
            show_image=False,
            progress=False,
        )
    theirs = 60 / ((time.perf_counter() - began) / 2 / lucents * steps)
    print(f"| lucent, one at a time, resized to 224 | {theirs:.2f} | 1 |")
    for precision in ("32-true", "bf16-mixed"):
        how = Rendering((128, 128), steps=steps, precision=precision)
        render(network, [channel("features.12", k) for k in units], Rendering((128, 128), steps=1, precision=precision))
        began = time.perf_counter()
        render(network, [channel("features.12", k) for k in units], how)
        ours = 60 * len(units) / (time.perf_counter() - began)
        print(f"| impasto, {len(units)} at a time, {precision} | {ours:.2f} | {ours / theirs:.2f} |", flush=True)


def recognised(size: int, steps: int, sheet: Path | None) -> None:
    """Whether the network itself, and another one, see the asked class in the pictures of 16 classes."""
    network = subject("squeezenet1_0", WEIGHTS)
    names = [f"classifier.1:{k}" for k in CLASSES]
    made = visualize(*names, network=network, size=size, steps=steps)
    if sheet:
        made.save(sheet)
    judge, agreement = held_out(network)
    print("\n| class | squeezenet1_0 says | rank of the class for pocket's classifier, of 1000 |\n|---|---|---|")
    hits, ranks = 0, []
    for k, one in zip(CLASSES, made.units, strict=True):
        scores = judge(one.pictures)[0]
        rank = int((scores > scores[k]).sum()) + 1
        hits += one.predicted[0] == network.classes[k]
        ranks.append(rank)
        print(f"| {network.classes[k]} | {one.predicted[0]} | {rank} |")
    print(f"\n{hits} of {len(CLASSES)} are what was asked for their own network.")
    median = sorted(ranks)[len(ranks) // 2]
    print(
        f"pocket's classifier: median rank {median} of 1000 (chance 500), {sum(r <= 50 for r in ranks)} in the first 50."
    )
    print(agreement)


def held_out(teacher: networks.Network):  # type: ignore[no-untyped-def]
    """pocket with a linear classifier, fitted to the teacher's scores on crops of pictures; and how well they agree."""
    pocket = subject("pocket")
    taps = Taps(pocket, POCKET_TAPS)

    def activations(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            found = taps(images)
        return torch.cat(
            [part for maps in found.values() for part in (maps.mean((2, 3)), maps.amax((2, 3)), maps.std((2, 3)))], 1
        )

    folders = ("imagenet-1k-samples", "photos", "dogs-vs-cats/train", "pacs-mini", "pets-boxes")
    files = [
        p
        for f in folders
        for p in sorted((DATA / "data" / f).rglob("*"))
        if p.suffix in (".jpg", ".png", ".webp", ".jpeg")
    ]
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(files), generator=generator).tolist()
    inputs, wanted = [], []
    for number in order:
        pixels = read(files[number]).pixels
        h, w = pixels.shape[-2:]
        side = min(h, w)
        crops = []
        for _ in range(3):
            part = int(side * (0.6 + 0.4 * float(torch.rand((), generator=generator))))
            top = int(torch.randint(h - part + 1, (), generator=generator))
            left = int(torch.randint(w - part + 1, (), generator=generator))
            crops.append(resize(pixels[..., top : top + part, left : left + part], (128, 128)).clamp(0, 1))
        batch = torch.cat(crops)
        with torch.inference_mode():
            wanted.append(Taps(teacher, ["output"])(batch)["output"])
        inputs.append(activations(batch))
    x, y = torch.cat(inputs).double(), torch.cat(wanted).double()
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    x = torch.cat([(x - mean) / deviation, torch.ones(len(x), 1)], 1)
    learnt = len(x) * 9 // 10 // 3 * 3
    gram = x[:learnt].T @ x[:learnt] + 30 * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, x[:learnt].T @ y[:learnt])
    said, truth = (x[learnt:] @ weights), y[learnt:]
    best = truth.argmax(1)
    ranks = (said > said.gather(1, best[:, None])).sum(1) + 1
    agreement = (
        f"On {len(best)} crops of pictures that it was not fitted to, SqueezeNet's first class has for it the median rank "
        f"{int(ranks.median())}, and is its own first in {100 * float((ranks == 1).float().mean()):.1f} %."
    )

    def judge(pictures: torch.Tensor) -> torch.Tensor:
        values = (activations(pictures).double() - mean) / deviation
        return torch.cat([values, torch.ones(len(values), 1)], 1) @ weights

    return judge, agreement


def main() -> None:
    """Read the command line, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lucent", type=Path, help="a folder into which torch-lucent was installed")
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--lucent-steps", type=int, default=32, help="steps over which lucent is timed")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--only", choices=("speed", "classes"))
    args = parser.parse_args()
    if args.lucent:
        sys.path.append(str(args.lucent))
    if args.only != "classes":
        speed(args.steps, args.lucent_steps)
    if args.only != "speed":
        recognised(args.size, args.steps, args.sheet)


if __name__ == "__main__":
    main()
