"""Sample size: found where the answer is known, with whole groups, and on pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto import networks
from impasto.errors import UsageError
from impasto.learning.pictures import Preprocessing
from impasto.learning.sample_size import METHODS, AtSize, Method, SampleSize, plot, sample_size, sample_size_of
from impasto.learning.scan import read_data

Methods = dict[str, tuple[Method, np.ndarray, np.ndarray]]


def noisy(skill: Callable[[int], float]) -> Method:
    """A method that is right as often as its number of rows lets it: its "pictures" are the answers."""

    def say(train: np.ndarray, targets: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        right = skill(len(train))
        return np.where(test[:, 1] < right, test[:, 0], 1 - test[:, 0]).astype(int)

    return say


def test_rows(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets, and pictures that tell the target and how hard they are."""
    chance = np.random.default_rng(seed)
    targets = chance.integers(0, 2, count)
    return targets, np.stack([targets, chance.permutation(count) / count], 1)


test_rows.__test__ = False  # type: ignore[attr-defined]


def learners(m: int, **skills: Callable[[int], float]) -> tuple[Methods, np.ndarray]:
    targets, test = test_rows(m)
    return {name: (noisy(skill), np.zeros((400, 1)), test) for name, skill in skills.items()}, targets


TARGETS = np.arange(400) % 2


def test_the_smallest_sample_is_where_curves_are_flat_and_in_their_order() -> None:
    methods, judged = learners(
        2000, good=lambda n: 0.9 if n >= 100 else 0.5, fair=lambda n: 0.8 if n >= 100 else 0.7, poor=lambda n: 0.6
    )
    found = sample_size(methods, TARGETS, judged, sizes=(20, 50, 100, 200), repeats=3)
    assert found.smallest == 100
    assert [at.n for at in found.sizes] == [20, 50, 100, 200, 400]
    assert [at.stable for at in found.sizes] == [False, False, True, True, True]
    assert set(found.differing) == {("good", "fair"), ("good", "poor"), ("fair", "poor")}
    assert found.sizes[0].agreement == pytest.approx(1 / 3), "good is below fair and poor there"
    assert found.sizes[-1].agreement == 1
    assert found.sizes[0].accuracy["good"].value == pytest.approx(0.5, abs=0.01)


def test_an_accuracy_that_drifts_is_stable_only_within_the_tolerance() -> None:
    methods, judged = learners(4000, one=lambda n: 0.9 - 4 / n)
    sizes = (40, 100, 200)
    assert sample_size(methods, TARGETS, judged, sizes=sizes, repeats=2, tolerance=0.02).smallest == 200
    assert sample_size(methods, TARGETS, judged, sizes=sizes, repeats=2, tolerance=0.05).smallest == 100
    assert sample_size(methods, TARGETS, judged, sizes=sizes, repeats=2, tolerance=0.001).smallest is None


def test_a_sample_by_luck_is_none_if_a_larger_one_is_not_stable() -> None:
    methods, judged = learners(4000, one=lambda n: 0.7 if n == 100 else 0.9)
    assert sample_size(methods, TARGETS, judged, sizes=(50, 100, 200), repeats=2).smallest == 200


def test_luck_of_the_draw_widens_the_interval() -> None:
    targets, test = test_rows(2000)

    def lucky(train: np.ndarray, _: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        right = 0.9 if len(train) == 400 or train[:, 0].mean() > 0.5 else 0.8
        return np.where(test[:, 1] < right, test[:, 0], 1 - test[:, 0]).astype(int)

    kind = (np.random.default_rng(1).random(400) > 0.5).astype(float)[:, None]
    at, _ = sample_size({"lucky": (lucky, kind, test)}, TARGETS, targets, sizes=(51,), repeats=10).sizes
    low, high = at.accuracy["lucky"].low, at.accuracy["lucky"].high
    assert high - low > 0.09 and not at.stable


def test_methods_that_do_not_differ_have_no_order() -> None:
    methods, judged = learners(500, one=lambda n: 0.8, same=lambda n: 0.8)
    found = sample_size(methods, TARGETS, judged, sizes=(50,), repeats=2)
    assert found.differing == () and np.isnan(found.sizes[0].agreement) and found.smallest == 50


def test_groups_that_judge_widen_intervals_and_groups_that_teach_come_whole() -> None:
    drawn: list[np.ndarray] = []
    numbers = np.repeat(np.arange(40), 10)

    def watch(train: np.ndarray, targets: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        drawn.append(train[:, 0])
        return (test[:, 1] < 0.8).astype(int)

    targets, test = np.ones(200, int), np.stack([np.ones(200), np.repeat(np.arange(20) / 20, 10)], 1)
    methods: Methods = {"watch": (watch, numbers[:, None].astype(float), test)}
    groups = [f"g{number}" for number in numbers]
    how = {"sizes": (100,), "repeats": 3}
    grouped = sample_size(
        methods, TARGETS, targets, groups=groups, test_groups=list(np.repeat(np.arange(20), 10)), **how
    )
    alone = sample_size(methods, TARGETS, targets, **how)
    counts = [np.bincount(rows.astype(int), minlength=40) for rows in drawn[1:4]]
    assert all(sorted(set(count)) == [0, 10] and count.sum() == 100 for count in counts)
    assert any((np.bincount(rows.astype(int), minlength=40) % 10).any() for rows in drawn[5:])
    (wide, _), (narrow, _) = ([one.accuracy["watch"] for one in found.sizes] for found in (grouped, alone))
    assert wide.value == narrow.value == pytest.approx(0.8)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_every_sample_has_two_of_each_class_however_rare() -> None:
    rare = np.r_[np.zeros(390, int), np.ones(10, int)]

    def check(train: np.ndarray, targets: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        assert np.bincount(targets, minlength=2).min() >= 2
        return np.zeros(len(test))

    test = np.zeros((10, 1))
    for groups in (None, [str(i // 8) for i in range(400)]):
        sample_size({"m": (check, np.zeros((400, 1)), test)}, rare, np.zeros(10), groups=groups, sizes=(8, 20))


def test_the_same_seed_finds_the_same() -> None:
    chance = np.random.default_rng(0)
    targets, judged = chance.integers(0, 2, 200), chance.integers(0, 2, 100)
    train, test = (side[:, None] + chance.normal(size=(len(side), 4)) for side in (targets, judged))
    methods = {name: (method, train, test) for name, method in METHODS.items()}
    one, same, other = (sample_size(methods, targets, judged, repeats=2, seed=seed) for seed in (1, 1, 2))
    assert repr(one) == repr(same) != repr(other)
    assert {at.n for at in one.sizes} >= {16, 26, 41, 200}
    assert one.sizes[-1].accuracy["linear"].value > 0.75


@pytest.mark.parametrize(
    ("count", "classes", "sizes", "words"),
    [
        (100, 1, None, "two classes or more: the training rows have one"),
        (10, 2, None, "10 training pictures of 2 classes are too few to compare samples: 32 are wanted"),
        (100, 2, (3, 50), "samples of 4 at least"),
        (100, 2, (100, 300), "too few to compare samples"),
    ],
)
def test_too_little_is_told_in_a_line(count: int, classes: int, sizes: tuple[int, ...] | None, words: str) -> None:
    method = noisy(lambda n: 1.0)
    with pytest.raises(UsageError, match=words):
        sample_size(
            {"m": (method, np.zeros((count, 1)), test_rows(10)[1])},
            np.arange(count) % classes,
            test_rows(10)[0],
            sizes=sizes,
        )


def test_pictures_are_tried_by_four_methods_and_the_test_split_is_left_alone(shapes: Path, tmp_path: Path) -> None:
    told: list[float] = []
    rows = read_data(shapes)
    found = sample_size_of(
        rows, networks.load("pocket"), "relu3_1", preprocessing=Preprocessing(32), repeats=2, sizes=(12, 24),
        cache=tmp_path, progress=lambda part, _: told.append(part),
    )  # fmt: skip
    assert [at.n for at in found.sizes] == [12, 24, 33]
    assert set(found.sizes[0].accuracy) == {"linear", "neighbours", "class means", "linear on pixels"}
    assert found.sizes[-1].accuracy["linear"].value > 0.9
    assert found.sizes[-1].accuracy["linear"].value > found.sizes[-1].accuracy["linear on pixels"].value
    assert told and 0 <= min(told) <= max(told) <= 1


def test_a_part_of_pictures_without_splits_judges(make_shapes: Callable[..., Path], tmp_path: Path) -> None:
    rows = read_data(make_shapes(tmp_path / "data", per_class=10))
    found = sample_size_of(
        rows, networks.load("pocket"), "relu2_1", preprocessing=Preprocessing(32), judged=0.2, repeats=1, sizes=(9,)
    )
    assert found.sizes[-1].n == 24


@pytest.mark.parametrize("smallest", [16, None])
def test_the_plot_is_a_picture(smallest: int | None, tmp_path: Path) -> None:
    methods, judged = learners(100, one=lambda n: 0.8, other=lambda n: 0.6)
    found = sample_size(methods, TARGETS, judged, repeats=2)
    nothing = AtSize(found.sizes[0].n, found.sizes[0].accuracy, float("nan"), False)
    plot(SampleSize(smallest, (nothing, *found.sizes[1:]), 0.03, ()), tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        picture.load()
        assert picture.format == "PNG" and min(picture.size) > 300
