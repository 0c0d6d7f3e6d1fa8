"""What each piece of lesson 7 buys: the same budget with and without it.

    uv run python benchmarks/lesson7.py --epochs 12 --seeds 0 1 2 --out runs/lesson7

A U-Net over pocket undoes `crappify` (a quarter of the size, JPEG at 60, enlarged again) on photographs; each row
changes one thing of the first. All see the same crops for the same number of steps (a growing size: for about the same
number of pixels). Judged on the validation photographs: PSNR and SSIM of Y, and a distance of activations that
none of them was trained against (SqueezeNet's, unit-normalised, without LPIPS's learnt weights; with --lpips, LPIPS).
A seed draws the weights, the crops and which photographs are kept back: rows are compared within each, and what is told
is the mean of these differences and how they spread.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from impasto import networks
from impasto.images import Picture, write
from impasto.images.contact_sheet import contact_sheet
from impasto.translation import degrade
from impasto.translation import model as models
from impasto.translation.metrics import feature_distance, lpips, psnr, ssim
from impasto.translation.pairs import validation_pairs
from impasto.translation.pictures import Pictures, split
from impasto.translation.train_enhancement import train_enhancement

SHOWN = (0, 3, 5)


def variants(epochs: int) -> dict[str, dict[str, Any]]:
    """Each row's options, those of the first row left out."""
    half = max(1, epochs // 2)
    large = max(1, round(0.4 * epochs))  # epochs at 128 pixels; those at 64 see the rest of the pixels
    small = max(1, round((epochs - large * (128 / 96) ** 2) / (64 / 96) ** 2))
    return {
        "lesson 7 (features, gram)": {},
        "pixels alone": {"features": 0.0, "gram": 0.0},
        "pixels + features": {"gram": 0.0},
        "without ICNR": {"icnr": False},
        "without blur": {"blur": False},
        "with self-attention": {"attention": True},
        "sizes growing 64, 128": {"stages": (f"all:{small}@64", f"all:{large}@128")},
        "encoder frozen first": {"stages": (f"decoder:{half}", f"all:{epochs - half}")},
        "without cross connection": {"cross": False},
        "encoder from scratch": {"weights": "none"},
    }


def main() -> None:
    """Train and judge every variant, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("runs/lesson7"))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--only", nargs="*", help="beginnings of rows' names")
    parser.add_argument("--lpips", type=Path, help="weights of squeezenet1_1, for LPIPS itself")
    options = parser.parse_args()
    photos = options.shared / "data" / "photos"
    judge = networks.load("squeezenet1_0", weights=options.shared / "weights" / "squeezenet1_0.safetensors")
    base = {
        "task": "restore",
        "recipe": "crappify",
        "architecture": "unet",
        "width": 48,
        "size": 96,
        "crops": 4,
        "batch_size": 12,
        "stages": (f"all:{options.epochs}",),
        "learning_rate": 1e-3,
        "features": 0.1,
        "gram": 0.1,
        "precision": "bf16-mixed",
        "zooms": (1.0, 0.5),
        "valid": 0.1,
    }
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in options.seeds:
        held = Pictures(split(photos, 0.1, seed).valid, memory=2**30)
        pairs = validation_pairs(held, degrade.parse("crappify"), seed)
        sheet = [[(label, pairs[k][index]) for k in SHOWN] for index, label in ((0, "crappified"), (1, "good"))]
        crappified = "crappified, enlarged"
        rows.setdefault(crappified, []).append(judged([bad for bad, _ in pairs], pairs, judge, options.lpips))
        for name, change in variants(options.epochs).items():
            if options.only and not any(name.startswith(beginning) for beginning in options.only):
                continue
            run = (
                options.out / f"seed-{seed}" / name.replace(" ", "-").replace(",", "").replace("(", "").replace(")", "")
            )
            if not (run / models.MODEL).exists():
                began = time.monotonic()
                train_enhancement(photos, run=run, **(base | {"seed": seed} | change))
                print(f"{name}, seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
            module = models.load(run).module
            with torch.no_grad():
                made = [module(bad).clamp(0, 1) for bad, _ in pairs]
            rows.setdefault(name, []).append(judged(made, pairs, judge, options.lpips))
            sheet.append([(name, made[k]) for k in SHOWN])
            print(name, seed, rows[name][-1], flush=True)
        write(options.out / f"seed-{seed}.png", Picture(contact_sheet(sheet, height=192)))
    print(table(rows))


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Of each row the means over the seeds, and the means and standard deviations of what it gains over lesson 7."""
    usual = rows.get(next(iter(variants(1))), [])  # nothing is compared where --only leaves it out
    names = list(next(iter(rows.values()))[0])
    lines = [
        "| | " + " | ".join(f"{name} | against lesson 7" for name in names) + " |",
        "|---|" + "---|---|" * len(names),
    ]
    for row, seeds in rows.items():
        cells = []
        for name in names:
            gains = [one[name] - other[name] for one, other in zip(seeds, usual)]
            spread = f" ± {statistics.stdev(gains):.3f}" if len(gains) > 1 else ""
            gained = f"{statistics.mean(gains):+.3f}{spread}" if gains and seeds is not usual else ""
            cells += [f"{statistics.mean(one[name] for one in seeds):.4g}", gained]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def judged(made: list[Any], pairs: list[Any], judge: Any, weights: Path | None) -> dict[str, float]:
    """Means over the validation pictures."""
    found: dict[str, list[float]] = {}
    for output, (_, good) in zip(made, pairs, strict=True):
        row = {"PSNR": psnr(output, good), "SSIM": ssim(output, good)}
        row["features"] = feature_distance(output, good, judge)
        if weights:
            row["LPIPS"] = lpips(output, good, weights=weights)
        for key, value in row.items():
            found.setdefault(key, []).append(float(value[0]))
    return {key: sum(values) / len(values) for key, values in found.items()}


if __name__ == "__main__":
    main()
