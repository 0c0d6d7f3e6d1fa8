"""What the tests of inspection share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from impasto import networks
from impasto.networks import Network

CLASSES = ("goldfish", "great white shark", "tiger shark", "hen", "black-and-tan coonhound", "crane", "crane, machine")


class PocketClassifier(nn.Module):
    """pocket and a linear classifier with random weights."""

    def __init__(self) -> None:
        super().__init__()
        self.features = networks.load("pocket").module.features
        self.head = nn.Linear(128, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def pocket():
    return networks.load("pocket")


@pytest.fixture(scope="session")
def classifier() -> Network:
    """A small network with classes; its weights are random, but the same ones every time."""
    pocket = networks.load("pocket")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = PocketClassifier().eval().requires_grad_(False)
        nn.init.normal_(module.head.weight)
    return Network(
        "fish",
        module,
        trunk=(),
        aliases=pocket.aliases,
        style_taps=pocket.style_taps,
        content_taps=pocket.content_taps,
        classes=CLASSES,
        sha256="0" * 64,
    )


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture of 96×72 pixels with large and small things in it."""
    y, x = np.mgrid[:72, :96]
    chance = np.random.default_rng(0)
    waves = [np.sin(x / 9 + k) * np.cos(y / 7 - k) * 70 + 120 + chance.normal(0, 12, (72, 96)) for k in range(3)]
    path = tmp_path / "photo.png"
    Image.fromarray(np.stack(waves, -1).clip(0, 255).astype(np.uint8)).save(path)
    return path
