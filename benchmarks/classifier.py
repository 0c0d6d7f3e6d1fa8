"""Classifiers with default options: dogs-vs-cats over seeds, and pacs-mini with one domain left out at a time.

    uv run python benchmarks/classifier.py dogs --seeds 5
    uv run python benchmarks/classifier.py pacs
    uv run python benchmarks/classifier.py boxes
    uv run python benchmarks/classifier.py scratch --seeds 3

Every line is a run of `impasto train classify`, on pictures it has not seen, beside its baselines.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from impasto.learning.classify import TrainedClassifier, classify
from impasto.learning.scan import scan
from impasto.learning.split import split

SHARED = Path(os.environ.get("IMPASTO_DATA") or Path(__file__).parents[1].parent / "shared")
DATA = SHARED / "data"
SQUEEZENET = SHARED / "weights" / "squeezenet1_0.safetensors"


def trained(source: Path, runs: Path, name: str, **fields: Any) -> tuple[TrainedClassifier, float]:
    """A run of the trainer, and the seconds it took."""
    began = time.monotonic()
    fields = {"weights": None if fields.get("network", "").startswith("scratch") else SQUEEZENET} | fields
    result = classify(source, run=runs / name, **fields)
    return result, time.monotonic() - began


def baselines(run: Path) -> dict[str, float]:
    """What the run's baselines reached, by name."""
    rows = json.loads((run / "baselines.json").read_text())
    return {row["name"]: (row.get("accuracy") or row.get("iou"))[0] for row in rows}


def stages_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The stages that were asked for, if any were."""
    return {"stages": tuple(arguments.stages)} if arguments.stages else {}


def dogs(arguments: argparse.Namespace, runs: Path) -> None:
    """dogs-vs-cats, 800 train and 400 test pictures: accuracy over seeds."""
    found = []
    print("| seed | test accuracy % | 95 % | log loss | seconds |\n|---|---|---|---|---|")
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        result, seconds = trained(DATA / "dogs-vs-cats", runs, f"dogs-{seed}", seed=seed, **stages_of(arguments))
        one = result.scores.accuracy
        found.append(100 * one.value)
        print(
            f"| {seed} | {100 * one.value:.2f} | {100 * one.low:.1f}–{100 * one.high:.1f} "
            f"| {result.scores.log_loss.value:.3f} | {seconds:.0f} |",
            flush=True,
        )
    if len(found) > 1:
        from scipy.stats import t

        half = t.ppf(0.975, len(found) - 1) * np.std(found, ddof=1) / np.sqrt(len(found))
        print(f"mean {np.mean(found):.2f} ± {half:.2f} (95 % interval of the mean over seeds), lowest {min(found):.2f}")
        print(baselines(runs / f"dogs-{arguments.first}"))


def pacs(arguments: argparse.Namespace, runs: Path) -> None:
    """pacs-mini: a classifier for each domain that has not seen it."""
    data = scan(DATA / "pacs-mini", layout="{group}/{label}")
    groups = np.array(data.column("group"))
    print("| left out | test accuracy % | 95 % | class scores % | pixels % | majority % | seconds |\n|" + "---|" * 7)
    for domain in sorted(set(groups)):
        splits = ["test" if group == domain else None for group in groups]
        held = data.having(split=splits)
        # validation within the three domains: by pictures, for two domains would be too few to learn from
        held = split(held, valid=0.2, grouped=False, seed=0)
        held.save(runs / f"{domain}.parquet")
        result, seconds = trained(runs / f"{domain}.parquet", runs, f"pacs-{domain}", **stages_of(arguments))
        known, one = baselines(result.run), result.scores.accuracy
        print(
            f"| {domain} | {100 * one.value:.1f} | {100 * one.low:.1f}–{100 * one.high:.1f} "
            f"| {100 * known['linear on class scores']:.1f} | {100 * known['linear on pixels']:.1f} "
            f"| {100 * known['majority']:.1f} | {seconds:.0f} |",
            flush=True,
        )


def boxes(arguments: argparse.Namespace, runs: Path) -> None:
    """pets-boxes: the class and the head's box from one network, with 37 breeds and with cat and dog."""
    print("| classes | accuracy % | IoU % | mean box IoU % | class scores % | seconds |\n|" + "---|" * 6)
    from impasto.learning.tables import Columns

    for label in ("breed", "species"):
        data = scan(DATA / "pets-boxes" / "bboxes.csv", columns=Columns(label=label))
        split(data, valid=0.2, seed=0).save(runs / f"{label}.parquet")
        stages = arguments.stages or ["head:20*3e-3", "all:4*3e-4"]
        result, seconds = trained(
            runs / f"{label}.parquet",
            runs,
            f"boxes-{label}",
            boxes=True,
            stages=tuple(stages),
            augment=("flip", "zoom:0.1"),
        )
        known, scores = baselines(result.run), result.scores
        assert scores.iou
        print(
            f"| {label} | {scores.accuracy.percent()} | {scores.iou.percent()} | {100 * known['mean box']:.1f} "
            f"| {100 * known['linear on class scores']:.1f} | {seconds:.0f} |",
            flush=True,
        )


def scratch(arguments: argparse.Namespace, runs: Path) -> None:
    """mnist-t10k, 8,000 to learn from and 2,000 to judge: two networks from scratch, with and without batch norm."""
    data = split(scan(DATA / "mnist-t10k"), valid=0.2, seed=0)
    data.save(runs / "mnist.parquet")
    rates = {"one-cycle": (5e-3,), "constant": (4e-3,)}
    print("| network | batch norm | schedule | rate | seed | accuracy % | epochs to 97 % | s/epoch |\n|" + "---|" * 8)
    for network in ("scratch:plain", "scratch:residual"):
        for batch_norm in (True, False):
            for schedule in arguments.schedules:
                for rate in rates[schedule]:
                    for seed in range(arguments.first, arguments.first + arguments.seeds):
                        name = f"{network[8:]}-{batch_norm}-{schedule}-{rate}-{seed}"
                        result, _ = trained(
                            runs / "mnist.parquet", runs, name, network=network, batch_norm=batch_norm, size=28,
                            stages=tuple(arguments.stages or ("all:8",)), schedule=schedule, learning_rate=rate, seed=seed,
                            augment=("rotate:10", "shift:0.07"), batch_size=64, audit=False,
                        )  # fmt: skip
                        lines = map(json.loads, (result.run / "metrics.jsonl").read_text().splitlines())
                        epochs = [line for line in lines if line["kind"] == "epoch"]
                        first = next((one["epoch"] for one in epochs if one["valid_accuracy"] >= 0.97), None)
                        print(
                            f"| {network[8:]} | {'with' if batch_norm else 'without'} | {schedule} | {rate:g} | {seed} "
                            f"| {100 * result.scores.accuracy.value:.2f} | {first or 'never'} "
                            f"| {np.mean([one['seconds'] for one in epochs]):.1f} |",
                            flush=True,
                        )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("dogs", "pacs", "boxes", "scratch"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--stages", nargs="+", default=[])
    parser.add_argument("--schedules", nargs="+", default=["one-cycle", "constant"])
    parser.add_argument("--keep", type=Path, help="keep the runs in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = arguments.keep or Path(folder)
        runs.mkdir(parents=True, exist_ok=True)
        globals()[arguments.what](arguments, runs)


if __name__ == "__main__":
    main()
