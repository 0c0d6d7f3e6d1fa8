"""CamVid-mini: the U-Net over a pretrained encoder against the same from scratch, and against one class for all.

    uv run python benchmarks/camvid.py --out runs/camvid

mIoU of the 11 classes on the test frames, void excluded. The original validation clip lies 75 frames and more from
frames that are learnt from: its score is printed beside the test's, to show what it hides.
"""

import argparse
from pathlib import Path

from impasto.runs.directory import RunDirectory
from impasto.translation.train_segmentation import resume, train_segmentation

CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")


def main() -> None:
    """Train the two, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("runs/camvid"))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--encoders", nargs="*", default=["pocket", "squeezenet1_0", "vgg19"])
    options = parser.parse_args()
    weights = {
        "squeezenet1_0": options.shared / "weights" / "squeezenet1_0.safetensors",
        "vgg19": options.shared / "weights" / "vgg19_to_conv3_4.safetensors",
    }
    rows = []
    for encoder in options.encoders:
        for begun in ("pretrained", "scratch"):
            run = options.out / f"{encoder}-{begun}"
            how = {
                "stages": (f"all:{options.epochs}",),
                "void": 11,
                "classes": CLASSES,
                "encoder": encoder,
                "width": 64,
                "zooms": (0.75, 1.0),
                "size": 128,
                "precision": "bf16-mixed",
            }
            if begun == "scratch":
                how |= {"weights": "none"}
            else:
                how |= {"discriminative": 0.1} | ({"weights": weights[encoder]} if encoder in weights else {})
            if not (run / "manifest.json").exists():
                train_segmentation(options.shared / "data" / "camvid-mini", run=run, **how)
            elif RunDirectory.open(run).status != "finished":
                resume(run)
            scores = RunDirectory.open(run).manifest["scores"]
            rows.append((encoder, begun, scores))
            print(encoder, begun, scores, flush=True)
    print("| encoder | begun | validation mIoU (leaks) | test mIoU | test accuracy |\n|---|---|---|---|---|")
    for encoder, begun, scores in rows:
        numbers = (scores[name] for name in ("miou", "test_miou", "test_accuracy"))
        print(f"| {encoder} | {begun} | " + " | ".join(f"{100 * value:.1f}" for value in numbers) + " |")
    baseline = next(key for key in rows[0][2] if key.startswith("test_miou_all_"))
    print(f"| {baseline} | | | {100 * rows[0][2][baseline]:.1f} | |")


if __name__ == "__main__":
    main()
