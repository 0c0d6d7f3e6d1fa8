"""Surfaces: exact where the loss is known, every weight put back, and the same after a kill."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from impasto.inspection.landscape.directions import random_direction
from impasto.inspection.landscape.statistics import recompute_batch_norm
from impasto.inspection.landscape.surface import Grid, moved, roughness, surface
from impasto.runs import checkpoint as checkpoints


def quadratic(seed: int = 0) -> tuple[nn.Linear, torch.Tensor]:
    """A module and a curvature: the loss is ½ wᵀ A w."""
    generator = torch.Generator().manual_seed(seed)
    module = nn.Linear(4, 3).double()
    with torch.no_grad():
        module.weight.copy_(torch.randn(3, 4, generator=generator))
        module.bias.fill_(-0.0)
    root = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    return module, root @ root.T


def bits(module: nn.Module) -> dict[str, bytes]:
    return {name: one.detach().numpy().tobytes() for name, one in module.state_dict().items()}


def test_a_quadratic_loss_gives_its_quadratic_surface() -> None:
    module, curvature = quadratic()
    weights = {name: one.detach() for name, one in module.named_parameters()}
    directions = [random_direction(weights, seed=1, number=number) for number in range(2)]

    def loss() -> dict[str, float]:
        w = module.weight.flatten()
        return {"loss": float(w @ curvature @ w / 2)}

    grid = Grid.even(7, (-1.0, 2.0), (-0.5, 0.5))
    found = surface(module, loss, directions, grid)["loss"]
    w, d, e = weights["weight"].flatten(), *(one["weight"].flatten() for one in directions)
    for row, y in enumerate(grid.y):
        for column, x in enumerate(grid.x):
            there = w + x * d + y * e
            assert found[row, column] == pytest.approx(float(there @ curvature @ there / 2), rel=1e-12)
    assert found.shape == (7, 7) and found.dtype == np.float64


def test_a_line_is_a_surface_of_one_row() -> None:
    module, _ = quadratic()
    found = surface(
        module,
        lambda: {"loss": float(module.weight.sum())},
        [{"weight": torch.ones(3, 4).double()}],
        Grid.even(3, (-1.0, 1.0)),
    )
    assert found["loss"].shape == (1, 3)
    assert np.diff(found["loss"][0]) == pytest.approx([12, 12])


def test_everything_is_put_back_bit_for_bit() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 36, 2))
    module[1].train()  # a mixed state
    module[0].requires_grad_(False)
    with torch.no_grad():
        module[4].bias[0], module[0].weight[0, 0, 0, 0] = float("nan"), -0.0
    before, modes = bits(module), [layer.training for layer in module.modules()]
    memory = {name: one.data_ptr() for name, one in module.named_parameters()}
    weights = {name: one.detach() for name, one in module.named_parameters()}

    def loss() -> dict[str, float]:
        module.train()
        return {"loss": float(module(torch.rand(2, 3, 8, 8)).sum())}  # moves the running statistics too

    surface(module, loss, [random_direction(weights)], Grid.even(3, (-1.0, 1.0)))
    assert bits(module) == before
    assert [layer.training for layer in module.modules()] == modes
    assert {name: one.data_ptr() for name, one in module.named_parameters()} == memory
    assert not module[0].weight.requires_grad and module[4].weight.requires_grad


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_everything_is_put_back_when_the_loss_fails(error: type[BaseException]) -> None:
    module, _ = quadratic()
    before, calls = bits(module), 0

    def loss() -> dict[str, float]:
        nonlocal calls
        calls += 1
        assert bits(module) != before
        if calls == 2:
            raise error
        return {"loss": 0.0}

    with pytest.raises(error):
        surface(module, loss, [{"weight": torch.ones(3, 4)}], Grid(np.array([1.0, 2.0, 3.0]), np.zeros(1)))
    assert bits(module) == before


def test_each_point_begins_with_the_same_buffers() -> None:
    module = nn.BatchNorm1d(1)
    seen = []

    def loss() -> dict[str, float]:
        seen.append(float(module.running_mean))  # type: ignore[arg-type]
        module.train()(torch.ones(2, 1))
        return {"loss": 0.0}

    surface(module, loss, [{"weight": torch.ones(1)}], Grid.even(3, (-1.0, 1.0)))
    assert seen == [0, 0, 0]


def test_a_loss_that_is_no_number_is_kept_as_it_is() -> None:
    module, _ = quadratic()
    values = iter([1.0, float("inf"), float("nan")])
    found = surface(module, lambda: {"loss": next(values)}, [{}], Grid.even(3, (-1.0, 1.0)))["loss"][0]
    assert found[0] == 1 and np.isinf(found[1]) and np.isnan(found[2])


def test_a_direction_of_another_network_is_refused() -> None:
    module, _ = quadratic()
    with pytest.raises(ValueError, match="direction's weights is none"), moved(module, [{"weights": torch.ones(3, 4)}]):
        pass
    with pytest.raises(ValueError, match="two directions"):
        surface(module, dict, [{}], Grid.even(3, (-1.0, 1.0), (-1.0, 1.0)))


WORK = """
import sys, time
from pathlib import Path
import numpy as np, torch
from torch import nn
from impasto.inspection.landscape.directions import random_direction
from impasto.inspection.landscape.surface import Grid, surface

torch.manual_seed(0)
module = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
inputs = torch.rand(16, 8)
weights = {name: one.detach() for name, one in module.named_parameters()}
directions = [random_direction(weights, number=number) for number in range(2)]
calls = 0

def loss():
    global calls
    calls += 1
    time.sleep(float(sys.argv[2]))
    return {"loss": float(module(inputs).logsumexp(1).mean()), "other": float(calls > 0)}

found = surface(module, loss, directions, Grid.even(6, (-1, 1), (-1, 1)), kept=Path(sys.argv[1]), key=sys.argv[3], every=0)
print(calls)
np.save(sys.argv[4], found["loss"])
"""


def test_killed_and_called_again_it_gives_the_same_surface(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    def command(kept: str, seconds: float, out: str, key: str = "a") -> list[str]:
        return [sys.executable, "-c", WORK, str(tmp_path / kept), str(seconds), key, str(tmp_path / out)]

    straight = subprocess.run(command("one", 0, "one.npy"), capture_output=True, text=True, check=True)
    assert straight.stdout.split() == ["36"]
    kept = tmp_path / "two"
    with subprocess.Popen(command("two", 0.05, "two.npy"), stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: kept.exists() and int(checkpoints.load(kept).tensors["done"].sum()) > 7)
        os.kill(process.pid, signal.SIGKILL)
    done = int(checkpoints.load(kept).tensors["done"].sum())
    assert 7 < done < 36
    again = subprocess.run(command("two", 0, "two.npy"), capture_output=True, text=True, check=True)
    assert int(again.stdout) == 36 - done
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
    assert checkpoints.load(kept).tensors["done"].all(), "the caller removes it"


def test_points_of_another_computation_or_a_damaged_file_are_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module, kept, grid = quadratic()[0], tmp_path / "points", Grid.even(3, (-1.0, 1.0))

    def stopping() -> dict[str, float]:
        if (module.weight > 0.5).all():
            raise KeyboardInterrupt
        return {"loss": -7.0}

    with torch.no_grad():
        module.weight.zero_()
    ones = [{"weight": torch.ones(3, 4)}]
    with pytest.raises(KeyboardInterrupt):
        surface(module, stopping, ones, grid, kept=kept, key="a", every=0)
    saved = kept.read_bytes()
    assert surface(module, lambda: {"loss": 1.0}, ones, grid, kept=kept, key="b")["loss"].tolist() == [[1, 1, 1]]
    kept.write_bytes(saved)
    assert surface(module, lambda: {"loss": 1.0}, ones, grid, kept=kept, key="a")["loss"].tolist() == [[-7, -7, 1]]
    kept.write_bytes(saved[:-3])
    assert surface(module, lambda: {"loss": 1.0}, ones, grid, kept=kept, key="a")["loss"].tolist() == [[1, 1, 1]]
    assert "computed anew" in caplog.text


def test_roughness_of_known_surfaces() -> None:
    grid = Grid.even(21, (-1.0, 1.0), (-1.0, 1.0))
    x, y = grid.x, grid.y[:, None]
    bowl = roughness(x**2 + y**2, grid)
    assert (bowl.concave, bowl.negative, bowl.minima, bowl.finite) == (0, 0, 1, 1)
    saddle = roughness(x**2 - y**2, grid)
    assert saddle.concave == 1 and saddle.negative == pytest.approx(0.5) and saddle.minima == 0
    waves = roughness(np.cos(3 * np.pi * x) * np.cos(3 * np.pi * y), grid)
    assert waves.minima > 4 and waves.concave > 0.5
    plane = roughness(x + 2 * y, grid)
    assert plane.minima == 0 and plane.negative == pytest.approx(0.5, abs=0.5)
    torn = x**2 + y**2
    torn[0, 0] = np.nan
    assert roughness(torn, grid).finite == pytest.approx(440 / 441)
    line = Grid.even(11, (-1.0, 1.0))
    assert roughness(line.x[None] ** 2, line).concave == 0
    assert roughness(-(line.x[None] ** 2), line).concave == 1


def test_recomputed_statistics_are_those_of_the_pictures() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).eval()
    batches = [2 + 3 * torch.rand(8, 3, 6, 6) for _ in range(3)]
    momentum = module[1].momentum
    recompute_batch_norm(module, lambda: [module(batch) for batch in batches])
    seen = torch.stack([module[0](batch).mean((0, 2, 3)) for batch in batches]).mean(0)
    assert torch.allclose(module[1].running_mean, seen, atol=1e-5)
    assert not module[1].training and not module[2].training and module[1].momentum == momentum
