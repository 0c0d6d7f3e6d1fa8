"""What an audit finds of what was planted, and what it reports of a clean split: copies of real data are spoiled.

uv run python benchmarks/audit.py --data ../shared/data
"""

import argparse
import io
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from impasto.learning.audit import Finding, audit
from impasto.learning.manifest import Manifest
from impasto.learning.scan import scan
from impasto.learning.split import split

Spoil = Callable[[Image.Image, np.random.Generator], Image.Image]


def crop(part: float) -> Spoil:
    """A window of this part of each side, anywhere."""

    def spoil(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = round(image.width * part), round(image.height * part)
        left, top = (int(rng.integers(0, room + 1)) for room in (image.width - width, image.height - height))
        return image.crop((left, top, left + width, top + height))

    return spoil


def recompress(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As a JPEG of quality 30."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


def turn(way: Image.Transpose) -> Spoil:
    """Mirrored or turned."""
    return lambda image, rng: image.transpose(way)


def brightness(factor: float) -> Spoil:
    """Darker or brighter."""
    return lambda image, rng: ImageEnhance.Brightness(image).enhance(factor)


KINDS: dict[str, Spoil] = {
    "resized to 2/3": lambda image, rng: image.resize(
        (image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.BICUBIC
    ),
    "recompressed, quality 30": recompress,
    "grey": lambda image, rng: image.convert("L").convert("RGB"),
    "brightness × 0.7": brightness(0.7),
    "brightness × 1.25": brightness(1.25),
    "mirrored": turn(Image.Transpose.FLIP_LEFT_RIGHT),
    "mirrored top to bottom": turn(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned by 90°": turn(Image.Transpose.ROTATE_90),
    "turned by 180°": turn(Image.Transpose.ROTATE_180),
    "turned by 270°": turn(Image.Transpose.ROTATE_270),
    "cropped to 95 %": crop(0.95),
    "cropped to 90 %": crop(0.90),
    "cropped to 92 %, mirrored": lambda image, rng: crop(0.92)(turn(Image.Transpose.FLIP_LEFT_RIGHT)(image, rng), rng),
}

COPIES = ("exact duplicates", "near duplicates", "derived copies")
CHECKS = (*COPIES, "label conflicts", "group overlap", "broken files")


def main() -> None:
    """Print one table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--each", type=int, default=20, help="planted of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name, layout in (("dogs-vs-cats", "auto"), ("pacs-mini", "{group}/{label}")):
        with tempfile.TemporaryDirectory() as folder:
            one_set(name, options.data / name, layout, Path(folder) / name, options.each, options.seed)


def one_set(name: str, source: Path, layout: str, copy: Path, each: int, seed: int) -> None:
    """Audit a clean copy, spoil it, audit it again, and print what came of it."""
    shutil.copytree(source, copy)
    clean = split(scan(copy, layout=layout), valid=0.2, test=0.2, seed=seed, grouped=False)
    drivers = [f"{side}-{number % 10}" for number, side in enumerate(clean.column("split"))]
    clean = clean.having(group=drivers)  # ten on each side, rather than the domains
    began = time.monotonic()
    alarms = Counter(dict.fromkeys(CHECKS, 0))
    alarms.update({one.check: len(one.clusters or one.rows) for one in audit(clean) if one.check in CHECKS})
    seconds = time.monotonic() - began
    spoiled, planted = plant(clean, each, np.random.default_rng(seed))
    found = {
        check: {frozenset(rows) for one in audit(spoiled) if one.check == check for rows in clusters(one)}
        for check in CHECKS
    }
    pairs = set.union(*(found[check] for check in COPIES))
    print(
        f"\n{name}: {len(clean)} pictures, audited in {seconds:.1f} s, {seconds / len(clean) * 1e3:.1f} ms a picture\n"
    )
    print("| what | planted | found |\n|---|---|---|")
    for kind, wanted in planted.items():
        there = found.get(kind, pairs)
        print(f"| {kind} | {len(wanted)} | {sum(any(rows <= one for one in there) for rows in wanted)} |")
    every = [rows for wanted in planted.values() for rows in wanted]
    wrong = sum(not any(rows <= one for one in every) for rows in pairs)
    print(f"| pairs that were not planted | 0 | {wrong} |")
    print("\non the clean split: " + ", ".join(f"{check} {count}" for check, count in alarms.items()))


def clusters(finding: Finding) -> list[tuple[int, ...]]:
    """What a finding has put together; rows that stand alone are clusters of one."""
    return list(finding.clusters) or [(row,) for row in finding.rows]


def plant(clean: Manifest, each: int, rng: np.random.Generator) -> tuple[Manifest, dict[str, list[frozenset[int]]]]:
    """The manifest with faults, and by kind the rows of each fault, which belong together."""
    table = clean.table.to_pylist()
    order = [int(row) for row in rng.permutation(len(clean))]
    learned = iter([row for row in order if table[row]["split"] == "train"])
    folder = clean.root / "planted"
    folder.mkdir()
    planted: dict[str, list[frozenset[int]]] = {}

    def add(kind: str, write: Callable[[Path, Path], object], *, split: str = "test") -> None:
        row = next(learned)
        one = table[row]
        path = folder / f"{len(table)}.jpg"
        write(clean.root / one["path"], path)
        group = f"{split}-0"
        changed = {"path": f"planted/{path.name}", "split": split, "group": group}
        table.append(one | changed)
        own = kind == "broken files"
        planted.setdefault(kind, []).append(frozenset({len(table) - 1} if own else {row, len(table) - 1}))

    for _ in range(each):
        add("exact duplicates", shutil.copy)
        for kind, spoil in KINDS.items():
            add(kind, lambda source, path: spoil(Image.open(source).convert("RGB"), rng).save(path, quality=90))
        add(
            "broken files", lambda source, path: path.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
        )
    labels = clean.classes
    for _ in range(each):
        add("label conflicts", shutil.copy, split="train")
        row = min(planted["label conflicts"][-1])
        table[-1]["label"] = next(one for one in labels if one != table[row]["label"])
    for driver in ("test-1", "test-2", "test-3"):
        row = next(learned)
        table[row]["group"] = driver
        rows = [number for number, one in enumerate(table) if one["group"] == driver]
        planted.setdefault("group overlap", []).append(frozenset({row, rows[0]}))
    return Manifest.from_rows(table, clean.root), planted


if __name__ == "__main__":
    main()
