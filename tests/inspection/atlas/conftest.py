"""What the tests of the atlas share: a few pictures, and an atlas of pocket that takes a second."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SMALL: dict[str, Any] = {
    "taps": ("relu1_1", "relu2_1"),
    "size": 32,
    "steps": 2,
    "diversity": 2,
    "diversity_size": 32,
    "scan_size": 48,
    "patch_size": 16,
    "layout": "pca",
    "samples": 64,
    "workers": 1,
}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Six pictures of noise, of several sizes, in a folder and one below it."""
    chance = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for number in range(6):
        size = (40 + 4 * number, 60, 3)
        place = folder / ("more" if number % 2 else "") / f"{number}.png"
        Image.fromarray(chance.integers(0, 256, size, dtype=np.uint8)).save(place)
    return folder


@pytest.fixture
def small() -> dict[str, Any]:
    """Options of an atlas that takes a second."""
    return dict(SMALL)
