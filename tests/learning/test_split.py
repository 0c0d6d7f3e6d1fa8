"""Split: parts of every class, groups and copies together, and what cannot be done."""

import logging
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import UsageError
from impasto.learning.manifest import Manifest
from impasto.learning.scan import scan
from impasto.learning.split import folds, split


def manifest(count: int = 200, *, classes: int = 4, **columns: list) -> Manifest:  # type: ignore[type-arg]
    rows = [{"path": f"{n}.jpg", "label": str(n % classes)} for n in range(count)]
    return Manifest.from_rows(rows, "/pictures").having(**columns)


def together(made: Manifest, keys: list[object]) -> bool:
    """Whether no key is in two splits."""
    found = defaultdict(set)
    for key, side in zip(keys, made.column("split"), strict=True):
        found[key].add(side)
    return all(len(sides) == 1 for sides in found.values())


def test_every_split_has_its_part_of_every_class() -> None:
    made = split(manifest(), valid=0.2, test=0.1)
    counts = Counter(zip(made.column("split"), made.column("label"), strict=True))
    assert {counts["train", str(n)] for n in range(4)} == {35}
    assert {counts["valid", str(n)] for n in range(4)} == {10}
    assert {counts["test", str(n)] for n in range(4)} == {5}


def test_the_same_seed_deals_the_same_and_another_does_not() -> None:
    one, again, other = (split(manifest(), seed=seed).column("split") for seed in (3, 3, 4))
    assert one == again != other


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), groups=st.integers(8, 40), valid=st.sampled_from([0.1, 0.25, 0.4]))
def test_no_group_is_on_two_sides(seed: int, groups: int, valid: float) -> None:
    rng = np.random.default_rng(seed)
    keys = [str(one) for one in rng.integers(0, groups, 400)]
    made = split(manifest(400, classes=2, group=keys), valid=valid, test=0.2, seed=seed)
    assert together(made, keys)
    assert abs(made.counts("split")["valid"] - 400 * valid) <= 400 / groups + 10


def test_groups_may_be_parted_when_asked() -> None:
    keys = [str(n % 10) for n in range(200)]
    assert not together(split(manifest(group=keys), grouped=False), keys)


def test_copies_stay_together() -> None:
    hashes = [f"{n // 2:016x}" for n in range(200)]
    assert together(split(manifest(sha256=hashes)), hashes)
    rng = np.random.default_rng(0)
    alike = [int(one) for one in rng.integers(1, 2**62, 100) for _ in range(2)]
    alike = [value ^ (n % 2) << 7 for n, value in enumerate(alike)]  # one sign of 63 differs
    sides = {"width": [80] * 200, "height": [80] * 200}
    made = split(manifest(phash=[f"{value:016x}" for value in alike], **sides))
    assert together(made, [n // 2 for n in range(200)])
    tiny = split(manifest(phash=[f"{value:016x}" for value in alike], width=[28] * 200, height=[28] * 200))
    assert not together(tiny, [n // 2 for n in range(200)]), "digits are all alike, and no copies"


def test_rows_keep_the_split_they_have_and_valid_comes_from_train() -> None:
    before = ["test" if n % 5 == 0 else "train" for n in range(200)]
    after = split(manifest(split=before), valid=0.25, test=0.5).column("split")
    assert [s for s, was in zip(after, before, strict=True) if was == "test"] == ["test"] * 40
    assert Counter(after) == {"test": 40, "valid": 40, "train": 120}
    assert split(manifest(split=after)).column("split") == after


def test_new_rows_go_where_their_copies_are() -> None:
    before = ["test" if n < 50 else "valid" if n < 100 else "train" if n < 150 else None for n in range(200)]
    hashes = [str(n % 150) for n in range(200)]
    after = split(manifest(split=before, sha256=hashes)).column("split")
    assert after[:150] == before[:150]
    assert after[150:] == ["test"] * 50


def test_pictures_without_a_label_are_unlabelled_beside_labelled_ones() -> None:
    labels = [None if n < 20 else "ab"[n % 2] for n in range(200)]
    assert split(manifest(label=labels)).counts("split") == {"unlabelled": 20, "train": 144, "valid": 36}


def test_a_small_class_is_on_every_side() -> None:
    labels = ["rare" if n < 3 else "common" for n in range(200)]
    made = split(manifest(label=labels), valid=0.1, test=0.1)
    assert made.where(label="rare").counts("split") == {"train": 1, "valid": 1, "test": 1}


@pytest.mark.parametrize(
    "columns, how, words",
    [
        ({"label": ["rare"] * 2 + ["common"] * 198}, {"test": 0.2}, "class rare has 2 pictures, too few .* 3 sides"),
        ({"group": ["one", "two"] * 100}, {"test": 0.2}, "2 groups cannot be on 3 sides"),
        ({"label": ["a", "b"] * 100, "group": ["x"] * 2 + ["y", "z"] * 99}, {"test": 0.2}, "class a has 2 groups"),
        ({"sha256": ["same"] * 200}, {}, "1 distinct picture cannot be on 2 sides"),
        ({}, {"valid": 0.7, "test": 0.3}, "leave nothing to train on"),
        ({}, {"valid": -0.1}, "from 0"),
        ({}, {"grouped": True}, "no groups"),
    ],
)
def test_what_cannot_be_split_is_one_line(columns: dict, how: dict, words: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UsageError, match=words):
        split(manifest(**columns), **how)


def test_a_class_that_whole_groups_cannot_bring_to_a_side_is_told(caplog: pytest.LogCaptureFixture) -> None:
    groups = ["1", "1", "2", "2", "3", "3"]
    labels = ["a", "b", "b", "c", "c", "a"]  # two sides for three groups, of which every two share a class
    with caplog.at_level(logging.WARNING, "impasto"):
        made = split(Manifest.from_rows([{"path": str(n)} for n in range(6)], ".").having(label=labels, group=groups))
    assert together(made, groups)
    assert "valid has none of" in caplog.text or "train has none of" in caplog.text


def test_folds_are_balanced_and_keep_groups_together() -> None:
    keys = [str(n % 20) for n in range(200)]
    dealt = folds(manifest(classes=2, group=keys), 5)
    assert np.bincount(dealt).tolist() == [40] * 5
    assert len({(key, fold) for key, fold in zip(keys, dealt.tolist(), strict=True)}) == 20


@pytest.mark.parametrize(
    "count, k, words", [(3, 5, "3 pictures are fewer than 5 folds"), (9, 1, "at least 2"), (9, 3, "class 1 has 2")]
)
def test_folds_that_cannot_be_are_one_line(count: int, k: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        folds(manifest(count), k)


@pytest.mark.realdata
@pytest.mark.parametrize("seed", range(3))
def test_no_driver_of_state_farm_is_on_two_sides(shared: Path, seed: int) -> None:
    made = scan(shared / "data" / "state-farm" / "driver_imgs_list.csv", pictures=False)
    assert len(set(made.column("group"))) == 26
    made = split(made, valid=0.2, test=0.2, seed=seed)
    assert together(made, made.column("group"))
    sizes, classes = made.counts("split"), made.counts("label")
    assert sizes["valid"] == pytest.approx(0.2 * len(made), rel=0.06)
    assert sizes["test"] == pytest.approx(0.2 * len(made), rel=0.06)
    counts = Counter(zip(made.column("split"), made.column("label"), strict=True))
    for (side, label), count in counts.items():
        assert count / classes[label] == pytest.approx(sizes[side] / len(made), abs=0.03)
