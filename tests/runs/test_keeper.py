"""The keeper: a checkpoint now and then, never so often that the work suffers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from impasto.errors import ImpastoError
from impasto.runs import checkpoint as checkpoints
from impasto.runs import keeper as room
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.keeper import Keeper


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(room, "time", clock)
    return clock


def at(step: int, clock: Clock | None = None, seconds: float = 0) -> Callable[[], Checkpoint]:
    """The state at a step, which takes so long to gather."""

    def state() -> Checkpoint:
        if clock:
            clock.now += seconds
        return Checkpoint({"weights": torch.full((3,), float(step))}, {"step": step})

    return state


def kept(path: Path) -> int | None:
    return int(checkpoints.load(path).facts["step"]) if path.exists() else None


def test_it_writes_when_the_time_has_come_and_no_earlier(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "c.safetensors"
    keeper = Keeper(path, every=20)
    written = []
    for step in range(60):
        keeper.keep(at(step))
        written.append(kept(path))
        clock.now += 1
    assert written == [None] * 20 + [20] * 20 + [40] * 20


def test_what_is_not_written_is_not_gathered(tmp_path: Path, clock: Clock) -> None:
    def state() -> Checkpoint:
        raise AssertionError("copying the weights takes time too")

    Keeper(tmp_path / "c.safetensors", every=20).keep(state)


def test_a_slow_checkpoint_is_written_less_often(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "c.safetensors"
    keeper = Keeper(path, every=20)
    clock.now += 20
    keeper.keep(at(1, clock, seconds=6))
    clock.now += 59
    keeper.keep(at(2, clock))
    assert kept(path) == 1
    clock.now += 2
    keeper.keep(at(3, clock))
    assert kept(path) == 3


def test_with_zero_it_writes_whenever_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    keeper = Keeper(path, every=0)
    for step in range(3):
        keeper.keep(at(step))
        assert kept(path) == step


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    keeper = Keeper(path, every=0)
    keeper.keep(at(1))

    def state() -> Checkpoint:
        raise ImpastoError("no space left on device")

    with pytest.raises(ImpastoError):
        keeper.keep(state)
    assert kept(path) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["c.safetensors"]
