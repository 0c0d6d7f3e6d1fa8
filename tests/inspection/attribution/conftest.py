"""Small classifiers of random weights, and one of them written in three ways."""

from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.networks import Network

CLASSES = tuple(f"kind {k}" for k in range(7))


class Small(nn.Module):
    """Two convolutions, an addition and a head, whose ReLUs are modules, functions, or write in place."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.Conv2d(8, 8, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, len(CLASSES))
        self.relu = nn.ReLU(inplace=way == "in place")
        self.last = nn.ReLU(inplace=way == "in place")
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        first, last = (F.relu, F.relu) if self.way == "functional" else (self.relu, self.last)
        x = first(self.one(x))
        x = last(self.norm(self.two(x)) + x)
        return self.head(x.mean((2, 3)))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return make().eval().requires_grad_(False)


def small(way: str) -> Network:
    return Network(f"small, {way}", seeded(lambda: Small(way)), classes=CLASSES)


def from_timm(name: str, **how: object) -> Network:
    return Network(name, seeded(lambda: timm.create_model(name, num_classes=7, **how)), classes=CLASSES)


@pytest.fixture(scope="session")
def ways() -> dict[str, Network]:
    """The same weights with ReLUs as modules, as functions, and in place."""
    return {way: small(way) for way in ("module", "functional", "in place")}


@pytest.fixture(scope="session")
def residual() -> Network:
    return from_timm("resnet10t")


@pytest.fixture(scope="session")
def vit() -> Network:
    how = {"depth": 2, "embed_dim": 48, "num_heads": 3, "dynamic_img_size": True}
    network = from_timm("vit_tiny_patch16_224", **how)
    with torch.no_grad():  # timm's class token and head begin so small that float32 rounds much of the gradient away
        network.module.cls_token.normal_(generator=torch.Generator().manual_seed(1))
        network.module.head.weight.normal_(generator=torch.Generator().manual_seed(2))
    return network


@pytest.fixture(scope="session")
def picture() -> Tensor:
    """(1, 3, 48, 64): smooth shapes and some noise."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 48), torch.linspace(0, 8, 64), indexing="ij")
    smooth = torch.stack([0.5 + 0.4 * torch.sin(x + k) * torch.cos(y - k) for k in range(3)])[None]
    return (smooth + 0.05 * torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
