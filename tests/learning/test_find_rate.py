"""The learning-rate range test on a stage."""

from pathlib import Path

import pytest
from PIL import Image

from impasto.errors import UsageError
from impasto.learning.classify import classify
from impasto.learning.find_rate import find_rate
from impasto.training.finder import plot

QUICK = {"network": "pocket", "size": 32, "stages": ("head:4", "all:1"), "batch_size": 16, "device": "cpu"}


def test_a_rate_is_found_that_learns(shapes: Path, tmp_path: Path) -> None:
    found = find_rate(shapes, **QUICK)
    assert set(found.suggestions) == {"valley", "steep", "minimum", "slide"}
    assert all(1e-7 < rate < 10 for rate in found.suggestions.values())
    plot(found, tmp_path / "rates.png")
    assert Image.open(tmp_path / "rates.png").size[0] > 300
    rate = found.suggestions["minimum"]
    result = classify(shapes, run=tmp_path / "run", learning_rate=rate, **(QUICK | {"stages": ("head:10",)}))
    assert result.scores.accuracy.value > 0.6


def test_the_same_rate_is_found_again(shapes: Path) -> None:
    assert find_rate(shapes, **QUICK) == find_rate(shapes, **QUICK)


def test_there_are_no_more_stages_than_asked_for(shapes: Path) -> None:
    with pytest.raises(UsageError, match="there is no stage 2: there are 2, counted from 0"):
        find_rate(shapes, stage=2, **QUICK)
