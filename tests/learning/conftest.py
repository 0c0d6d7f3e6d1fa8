"""Small data sets that a classifier can learn in seconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(label: str, number: int, side: int = 48) -> Image.Image:
    """Stripes that lie, stripes that stand, or spots, in random colours."""
    chance = np.random.default_rng([number, sum(map(ord, label))])
    phase, period = chance.uniform(0, 6), chance.uniform(5, 9)
    y, x = np.mgrid[:side, :side] * (2 * np.pi / period) + phase
    wave = {"lying": np.sin(y), "standing": np.sin(x), "spots": np.sin(x) * np.sin(y)}[label]
    low, high = chance.uniform(0, 120, 3), chance.uniform(130, 255, 3)
    pixels = low + (high - low) * (wave[..., None] + 1) / 2 + chance.normal(0, 12, (side, side, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def make_shapes() -> Callable[..., Path]:
    """Writes a folder of class folders: ``make_shapes(folder, per_class=…, labels=…, first=…)``."""

    def make(
        folder: Path, per_class: int = 16, labels: tuple[str, ...] = ("lying", "spots", "standing"), first: int = 0
    ) -> Path:
        for label in labels:
            (folder / label).mkdir(parents=True, exist_ok=True)
            for number in range(first, first + per_class):
                picture(label, number).save(folder / label / f"{label}-{number}.png")
        return folder

    return make


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory, make_shapes: Callable[..., Path]) -> Path:
    """Three classes of 16 pictures under train, 8 under test."""
    folder = tmp_path_factory.mktemp("shapes")
    make_shapes(folder / "train")
    make_shapes(folder / "test", per_class=8, first=100)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of tests are kept with the tests."""
    monkeypatch.setenv("IMPASTO_FEATURES", str(tmp_path_factory.getbasetemp() / "features"))
