"""The order of an epoch: every row once, the shares that were asked for, and nothing that is left to chance."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from impasto.learning.order import Order, row_seeds

CLASSES = st.lists(st.integers(0, 4), min_size=4, max_size=200).map(np.array)
SIZES = st.integers(2, 40)
SEEDS = st.integers(0, 2**63 - 1)
EPOCHS = st.integers(0, 9)


@given(CLASSES, SIZES, st.integers(0, 90), SEEDS, EPOCHS)
def test_every_row_with_a_label_is_seen_once_an_epoch(
    classes: np.ndarray, size: int, pseudo: int, seed: int, epoch: int
) -> None:
    order = Order(classes, pseudo, size, seed=seed)
    batches = order.batches(epoch)
    seen = np.concatenate(batches)
    assert sorted(seen[seen < len(classes)]) == list(range(len(classes)))
    assert seen.max() < len(classes) + pseudo
    assert len(batches) == order.steps


@given(CLASSES, SIZES, SEEDS)
def test_batches_differ_by_one_row_at_most_and_none_is_alone(classes: np.ndarray, size: int, seed: int) -> None:
    order = Order(classes, batch_size=size, seed=seed)
    sizes = [len(batch) for batch in order.batches(0)]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2, "batch norm has nothing to say of one row"
    assert max(sizes) <= max(size, 3)
    assert len(sizes) <= -(-len(classes) // size), "no more steps than it takes"


@given(CLASSES, st.integers(4, 40), st.integers(1, 90), st.floats(1 / 4, 1 / 3), EPOCHS)
def test_a_quarter_to_a_third_of_every_batch_has_pseudo_labels(
    classes: np.ndarray, size: int, pseudo: int, share: float, epoch: int
) -> None:
    for batch in Order(classes, pseudo, size, share).batches(epoch):
        assert 1 / 4 <= (batch >= len(classes)).mean() <= 1 / 3
        assert len(batch) <= size


@given(CLASSES, st.integers(6, 40), st.floats(0.01, 0.5))
def test_any_other_share_is_met_to_the_nearest_row(classes: np.ndarray, size: int, share: float) -> None:
    for batch in Order(classes, 50, size, share).batches(0):
        assert abs((batch >= len(classes)).sum() - share * len(batch)) <= 1
        assert len(batch) <= size


@given(CLASSES, st.integers(4, 20), st.integers(1, 60))
def test_pseudo_labelled_rows_take_turns(classes: np.ndarray, size: int, pseudo: int) -> None:
    seen = np.concatenate(Order(classes, pseudo, size).batches(0))
    counts = np.bincount(seen[seen >= len(classes)] - len(classes), minlength=pseudo)
    assert counts.max() - counts.min() <= 1


@given(CLASSES, SIZES, SEEDS)
def test_balanced_sampling_shows_every_class_as_often(classes: np.ndarray, size: int, seed: int) -> None:
    order = Order(classes, batch_size=size, sampling="balanced", seed=seed)
    rows = np.concatenate(order.batches(0))
    counts = np.unique(classes[rows], return_counts=True)[1]
    assert len(rows) == len(classes) and len(counts) == min(len(np.unique(classes)), len(rows))
    assert counts.max() - counts.min() <= 1
    for number in np.unique(classes):
        times = np.bincount(rows, minlength=len(classes))[classes == number]
        assert times.max() - times.min() <= 1, "a class is walked through before a row comes again"


@given(CLASSES, SIZES, SEEDS, EPOCHS, st.sampled_from(["plain", "balanced"]))
def test_the_same_epoch_has_the_same_order(
    classes: np.ndarray, size: int, seed: int, epoch: int, sampling: str
) -> None:
    one = Order(classes, 7, size, sampling=sampling, seed=seed).batches(epoch)  # type: ignore[arg-type]
    np.random.default_rng().random()
    other = Order(classes, 7, size, sampling=sampling, seed=seed).batches(epoch)  # type: ignore[arg-type]
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_other_epochs_and_other_seeds_have_other_orders() -> None:
    order = Order(np.zeros(100), seed=3)
    first = np.concatenate(order.batches(0))
    assert not np.array_equal(first, np.concatenate(order.batches(1)))
    assert not np.array_equal(first, np.concatenate(Order(np.zeros(100), seed=4).batches(0)))


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20, unique=True), st.integers(0, 99), st.randoms())
def test_a_rows_seed_is_not_its_batchs(rows: list[int], number: int, chance: object) -> None:
    seeds = dict(zip(rows, row_seeds(np.array(rows), 5, number), strict=True))
    shuffled = sorted(rows, key=lambda _: chance.random())  # type: ignore[attr-defined]
    assert row_seeds(np.array(shuffled), 5, number) == [seeds[row] for row in shuffled]
    assert row_seeds(np.array(rows[:1]), 5, number) == [seeds[rows[0]]]
    assert len(set(seeds.values())) == len(rows)
    assert row_seeds(np.array(rows), 5, number + 1) != list(seeds.values())
    assert all(0 <= seed < 2**63 for seed in seeds.values())
