"""The bar where there is no terminal: lines now and then, so that a log says how far it is."""

import io
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from impasto.runs import bar


@dataclass
class Event:
    done: float
    where: str = "all epoch 1/8"
    losses: dict[str, float] = field(default_factory=lambda: {"loss": 0.5})


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(bar.time, "monotonic", lambda: clock[0])
    log = io.StringIO()
    with bar.ProgressBar(Console(file=log, width=200)) as shown:
        for second in range(100):
            clock[0] += 1
            shown(Event(second / 100))
    assert log.getvalue().splitlines() == [
        "30 %, 0:01:12 left  all epoch 1/8  loss 0.500",
        "61 %, 0:00:40 left  all epoch 1/8  loss 0.500",
        "92 %, 0:00:08 left  all epoch 1/8  loss 0.500",
    ]


def test_a_short_job_says_nothing() -> None:
    log = io.StringIO()
    with bar.ProgressBar(Console(file=log)) as shown:
        for step in range(10):
            shown(Event(step / 10))
    assert log.getvalue() == ""
