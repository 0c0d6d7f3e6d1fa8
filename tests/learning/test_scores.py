"""Scores: known values, and intervals that fit how the pictures came."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from impasto.errors import UsageError
from impasto.learning.intervals import wilson
from impasto.learning.predictions import Predictions
from impasto.learning.scores import box_ious, most_confused, score


def made(n: int = 300, k: int = 2, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (n, k)).astype(np.float32)
    targets = np.where(rng.random(n) < 0.7, logits.argmax(1), rng.integers(k, size=n))
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    names = tuple(str(i) for i in range(n))
    return Predictions(tuple(f"c{i}" for i in range(k)), logs, names, targets, (None,) * n, ("test",) * n)


@pytest.mark.parametrize("k", [2, 9])
def test_scores_are_those_of_scikit_learn(k: int) -> None:
    one = made(k=k)
    found = score(one)
    assert found.accuracy == wilson(int((one.predicted == one.targets).sum()), 300)
    assert found.log_loss.value == pytest.approx(log_loss(one.targets, one.probabilities), rel=1e-5)
    assert found.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(one.targets, one.predicted))
    if k == 2:
        assert found.auc == pytest.approx(roc_auc_score(one.targets, one.probabilities[:, 1]))
        assert found.top5 is None
    else:
        order = np.argsort(-one.log_probabilities, axis=1)[:, :5]
        assert found.top5 is not None
        assert found.top5.value == pytest.approx((order == one.targets[:, None]).any(1).mean())


def test_the_confusion_matrix_has_the_true_class_in_rows() -> None:
    one = replace(made(4), targets=np.array([0, 0, 1, 1]))
    one = replace(one, log_probabilities=np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.1, 0.9]], "f4")))
    found = score(one)
    assert found.confusion == ((1, 1), (0, 2))
    assert most_confused(found) == [("c0", "c1", 1, 2)]
    assert [part.accuracy.value for part in found.per_class] == [0.5, 1.0]


def test_groups_widen_the_intervals_and_have_scores_of_their_own() -> None:
    one = made(400)
    rng = np.random.default_rng(1)
    numbers = np.arange(400) % 8
    hard = rng.random(8)[numbers] > rng.random(400)
    one = replace(one, targets=np.where(hard, one.predicted, 1 - one.predicted))
    plain, grouped = score(one), score(replace(one, groups=tuple(f"g{i}" for i in numbers)))
    assert grouped.by_group and not plain.by_group
    assert grouped.accuracy.high - grouped.accuracy.low > 1.5 * (plain.accuracy.high - plain.accuracy.low)
    assert [part.n for part in grouped.per_group] == [50] * 8
    assert sum(part.accuracy.value for part in grouped.per_group) / 8 == pytest.approx(plain.accuracy.value)


def test_a_single_group_has_the_interval_of_its_own_pictures() -> None:
    found = score(replace(made(), groups=("sketch",) * 300))
    assert found.accuracy == score(made()).accuracy
    assert [part.name for part in found.per_group] == ["sketch"] and not found.by_group


def test_unknown_labels_and_absent_classes_are_left_out() -> None:
    one = made(100, k=3)
    targets = one.targets.copy()
    targets[targets == 2] = -1
    found = score(replace(one, targets=targets))
    assert found.n == (targets >= 0).sum()
    assert [part.name for part in found.per_class] == ["c0", "c1"]
    with pytest.raises(UsageError, match="none of the pictures has a known label"):
        score(replace(one, targets=np.full(100, -1)))


def test_boxes_are_scored_where_they_are_known() -> None:
    true = np.array([[0, 0, 1, 1], [0, 0, 0.5, 1], [np.nan] * 4], "f4")
    said = np.array([[0, 0, 1, 0.5], [0, 0, 0.5, 1], [0, 0, 1, 1]], "f4")
    assert box_ious(said, true) == pytest.approx([0.5, 1.0])
    one = replace(made(3), boxes=said, true_boxes=true)
    found = score(one)
    assert found.iou is not None and found.iou.value == pytest.approx(0.75)


def test_scores_are_plain_json() -> None:
    one = replace(made(20, k=2), targets=np.zeros(20, dtype=int))
    found = json.loads(json.dumps(score(one).to_json(), allow_nan=False))
    assert found["auc"] is None and len(found["accuracy"]) == 3 and found["confusion"][0]
