"""Comparing runs: on the same pictures, each against itself, and no verdict where chance would do."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.errors import UsageError
from impasto.learning.compare import compare
from impasto.learning.intervals import paired
from impasto.learning.predictions import Predictions
from impasto.runs.directory import RunDirectory

Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A finished run that is right on some of its pictures."""

    def make(
        name: str,
        right: Sequence[bool],
        *,
        first: int = 0,
        groups: Sequence[str | None] | None = None,
        classes: tuple[str, ...] = ("cat", "dog"),
        verb: str = "train",
        finished: bool = True,
        reverse: bool = False,
        **options: Any,
    ) -> Path:
        run = RunDirectory.create(tmp_path / name, verb=verb, options=options, manifest={"judged_on": "test"})
        n = len(right)
        targets = np.arange(first, first + n) % 2
        p = np.where(np.array(right), 0.8, 0.3)
        probabilities = np.where(targets[:, None] == np.arange(2), p[:, None], 1 - p[:, None])
        paths = tuple(f"/pictures/{first + i}.jpg" for i in range(n))
        one = Predictions(
            classes, np.log(probabilities).astype("f4"), paths, targets, tuple(groups or (None,) * n), ("test",) * n
        )
        if reverse:
            one = one.take(np.arange(n)[::-1])
        one.save(run.path / "predictions.parquet")
        if finished:
            run.finish("predictions.parquet", judged_on="test")
        return run.path

    return make


def hits(count: int, n: int = 100) -> list[bool]:
    return [i < count for i in range(n)]


def test_a_run_that_is_better_is_called_so(made: Made) -> None:
    found = compare([made("a", hits(60)), made("b", hits(90)), made("c", hits(40)), made("d", hits(61))])
    assert found.shared == 100
    assert found.scores["accuracy"] == pytest.approx((0.6, 0.9, 0.4, 0.61))
    better, worse, same = found.gains
    assert better.accuracy.value == pytest.approx(0.3) and better.words().endswith(": better")
    assert better.words().startswith("+30.0 points of accuracy (+")
    assert worse.words().endswith(": worse") and same.words().endswith(": no difference that is more than chance")


def test_pictures_are_matched_by_their_paths_and_only_shared_ones_count(made: Made) -> None:
    found = compare([made("a", hits(50)), made("b", hits(50), reverse=True)])
    assert found.gains[0].accuracy == (0, 0, 0), "the same answers in another order"
    overlap = compare([made("c", hits(100)), made("d", hits(0), first=60)])
    assert overlap.shared == 40
    assert overlap.scores["accuracy"] == (1, 0)


def test_whole_groups_are_drawn_where_there_are_groups(made: Made) -> None:
    groups = [str(i // 20) for i in range(100)]
    right = [i // 20 in (0, 1, 2) for i in range(100)]
    alone = compare([made("a", hits(0)), made("b", right)]).gains[0].accuracy
    grouped = compare([made("c", hits(0), groups=groups), made("d", right, groups=groups)]).gains[0].accuracy
    assert grouped.value == alone.value == 0.6
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
    order = sorted(range(100), key=lambda i: f"/pictures/{i}.jpg")
    assert grouped == paired([right[i] for i in order], [False] * 100, groups=[groups[i] for i in order])


def test_only_the_options_that_differ_are_shown(made: Made) -> None:
    one = made("a", hits(9, 10), size=64, stages=["head:1"], seed=0)
    other = made("b", hits(9, 10), size=64, stages=["head:2"], seed=0, new=True)
    assert compare([one, other]).options == {"stages": (["head:1"], ["head:2"]), "new": (None, True)}


def test_all_of_it_is_json(made: Made) -> None:
    import json

    found = compare([made("a", hits(9, 10), size=64), made("b", hits(5, 10), size=32)])
    facts = json.loads(json.dumps(found.to_json()))
    assert [Path(run).name for run in facts["runs"]] == ["a", "b"]
    assert facts["gains"][0].keys() == {"value", "low", "high"} and facts["options"] == {"size": [64, 32]}


def test_what_cannot_be_compared_is_told_in_a_line(made: Made, tmp_path: Path) -> None:
    first = made("a", hits(5, 10))
    for other, words in (
        (made("apart", hits(5, 10), first=50), "were judged on different pictures: train them on one manifest"),
        (made("classes", hits(5, 10), classes=("cat", "cow")), "know different classes"),
        (made("painting", hits(5, 10), verb="stylize"), "is a run of `impasto stylize`: give one of"),
        (made("unfinished", hits(5, 10), finished=False), "is not finished: go on with it by"),
        (tmp_path, "no run in"),
    ):
        with pytest.raises(UsageError, match=words):
            compare([first, other])
