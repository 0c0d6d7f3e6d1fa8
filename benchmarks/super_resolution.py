"""Shipped models on Set5, Set14 and Classic5, beside bicubic (or JPEG) and the published tables.

uv run python benchmarks/super_resolution.py --shared ../shared
uv run python benchmarks/super_resolution.py --x2 runs/mine-x2 --x4 runs/mine-x4 --jpeg runs/mine-jpeg
uv run python benchmarks/super_resolution.py --x2 --x4 --jpeg        # the baselines alone

PSNR (dB) and SSIM by the protocol of `impasto benchmark`: Y rounded to 8 bits, as the tables' bicubic rows; the last
column leaves it unrounded, as EDSR's and SwinIR's code does of networks (of JPEG: PSNR-B). Published rows are quoted
second-hand, as collected in research/enhancement.md beside the project: check them before they are printed elsewhere.
"""

import argparse
import os
from pathlib import Path

from impasto.translation.benchmark import benchmark
from impasto.translation.model import TranslationModel, load

# (name, thousands of parameters where they are known, PSNR, SSIM, PSNR-B)
Published = tuple[str, int | None, float, float, float | None]
PUBLISHED: dict[tuple[str, int], list[Published]] = {
    ("Set5", 2): [
        ("bicubic", 0, 33.66, 0.9299, None),
        ("SRCNN (2014)", 57, 36.66, 0.9542, None),
        ("VDSR (2016)", 665, 37.53, 0.9587, None),
        ("IMDN (2019)", 694, 38.00, 0.9605, None),
        ("EDSR-baseline (2017)", 1370, 37.99, 0.9604, None),
        ("SwinIR-light (2021)", 878, 38.14, 0.9611, None),
    ],
    ("Set5", 3): [("bicubic", 0, 30.39, 0.8682, None)],
    ("Set5", 4): [
        ("bicubic", 0, 28.42, 0.8104, None),
        ("SRCNN (2014)", 57, 30.48, 0.8628, None),
        ("VDSR (2016)", 665, 31.35, 0.8838, None),
        ("EDSR-baseline (2017)", None, 32.09, 0.8938, None),
        ("SwinIR-light (2021)", None, 32.44, 0.8976, None),
    ],
    ("Set14", 4): [
        ("bicubic", 0, 26.00, 0.7027, None),
        ("SRCNN (2014)", 57, 27.50, 0.7513, None),
        ("VDSR (2016)", 665, 28.01, 0.7674, None),
        ("EDSR-baseline (2017)", None, 28.58, 0.7813, None),
        ("SwinIR-light (2021)", None, 28.77, 0.7858, None),
    ],
    ("Classic5", 10): [
        ("JPEG", 0, 27.82, 0.7595, 25.21),
        ("ARCNN (2015)", None, 29.03, 0.7929, 28.76),
        ("DnCNN-3 (2017)", None, 29.40, 0.8026, 29.13),
        ("SwinIR (2021)", None, 30.27, 0.8249, 29.95),
    ],
}


def main() -> None:
    """Print a table for each set and scale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--x2", nargs="*", default=["superres-x2"], help="models that enlarge twice")
    parser.add_argument("--x4", nargs="*", default=["superres-x4"], help="models that enlarge four times")
    parser.add_argument("--jpeg", nargs="*", default=["restore-jpeg"], help="models that restore JPEG")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    pictures = options.shared / "data"
    models = {2: options.x2, 3: [], 4: options.x4, 10: options.jpeg}
    loaded = {name: load(name) for names in models.values() for name in names}
    for (name, number), published in PUBLISHED.items():
        jpeg = name == "Classic5"
        title = f"{name}, JPEG quality {number}" if jpeg else f"{name}, x{number}"
        last = "PSNR-B" if jpeg else "PSNR, Y unrounded"
        print(f"\n| {title} | K parameters | PSNR | SSIM | {last} |")
        print("|---|---|---|---|---|")
        for method, parameters, psnr, ssim, blocks in published:
            known = "–" if parameters is None else parameters
            print(f"| {method}, published | {known} | {psnr:.2f} | {ssim:.4f} | {blocks or '–'} |")
        baseline: list[TranslationModel | str] = ["jpeg" if jpeg else "bicubic"]
        for model in [*baseline, *(loaded[one] for one in models[number])]:
            if jpeg:
                how = {"quality": number, "gray": True}
                found = benchmark(model, pictures / "jpeg/classic5", device=options.device, **how)
            else:
                found = benchmark(model, pictures / "super-resolution" / name, scale=number, device=options.device)
            scores = found.mean.scores
            size = round(model.parameters / 1000) if isinstance(model, TranslationModel) else 0
            figure = scores["psnr_b" if jpeg else "psnr_unrounded"]
            print(
                f"| {found.model}, measured | {size} | {scores['psnr']:.2f} | {scores['ssim']:.4f} | {figure:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
