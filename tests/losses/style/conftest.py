"""Two maps and the distance between them, taken as the synthesis takes it: a sketch, sums, and what is made of them."""

import pytest
import torch

from impasto.losses.statistics import second_moment_sums
from impasto.losses.style import STYLE_LOSSES, Sketch


def _features(seed: int, channels: int = 4, height: int = 5, width: int = 6, offset: float = 1.0) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=chance, dtype=torch.float64)
    flat = mixing @ torch.randn(channels, height * width, generator=chance, dtype=torch.float64) + offset
    return flat.view(1, channels, height, width)


def _sketch_of(y: torch.Tensor) -> Sketch:
    def patches(most: int) -> torch.Tensor:
        every = y[0].unfold(1, 3, 1).unfold(2, 3, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
        return every[torch.linspace(0, len(every) - 1, min(most, len(every))).round().long()]

    return Sketch(lambda: second_moment_sums(y), patches)


def _distance(name: str, x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    loss = STYLE_LOSSES[name]
    statistic = loss.statistic(_sketch_of(y))
    return loss.distance(statistic.sums(x, mask), loss.target(statistic.sums(y, None)))


def _gradient(name: str, x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    x = x.detach().clone().requires_grad_(True)
    return torch.autograd.grad(_distance(name, x, y, mask), x)[0]


def _relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


def _finite_differences(function, x: torch.Tensor, step: float) -> torch.Tensor:
    """The gradient by central differences of the eighth order, so that float64's rounding alone is left."""
    found = torch.zeros_like(x)
    flat, out = x.clone().view(-1), found.view(-1)
    for i in range(flat.numel()):
        at = float(flat[i])
        for k, weight in enumerate((4 / 5, -1 / 5, 4 / 105, -1 / 280), 1):
            for sign in (1, -1):
                flat[i] = at + sign * k * step
                out[i] += sign * weight / step * function(flat.view_as(x))
        flat[i] = at
    return found


@pytest.fixture(scope="session")
def features():
    """features(seed, channels, height, width, offset): a correlated float64 map with a mean."""
    return _features


@pytest.fixture(scope="session")
def sketch_of():
    """sketch_of(painting's map)."""
    return _sketch_of


@pytest.fixture(scope="session")
def distance():
    """distance(loss's name, picture's map, painting's map, mask)."""
    return _distance


@pytest.fixture(scope="session")
def gradient():
    """The gradient of ``distance`` in the picture's map."""
    return _gradient


@pytest.fixture(scope="session")
def relative_error():
    """relative_error(found, wanted): the largest error as part of the largest number."""
    return _relative_error


@pytest.fixture(scope="session")
def finite_differences():
    """finite_differences(function, at, step)."""
    return _finite_differences
