"""Calibration: probabilities that mean what they say."""

import math
from dataclasses import replace

import numpy as np
import pytest

from impasto.errors import UsageError
from impasto.learning.calibration import (
    Calibration,
    calibration_error,
    fit,
    fit_floor,
    fit_temperature,
    log_losses,
    make_folds,
    naive_clip,
    reliability,
)
from impasto.learning.predictions import Predictions


def predictions(n: int = 600, k: int = 4, sharper: float = 1.0, groups: int = 0, seed: int = 0) -> Predictions:
    """Labels drawn from the probabilities themselves, which are then made too sure."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, k))
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    targets = (np.exp(logs).cumsum(1) < rng.random((n, 1))).sum(1).clip(0, k - 1)
    logits = logits * sharper
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return Predictions(
        tuple(f"c{i}" for i in range(k)),
        logs.astype(np.float32),
        tuple(f"/p/{i}.jpg" for i in range(n)),
        targets,
        tuple(f"g{i % groups}" if groups else None for i in range(n)),
        ("valid",) * n,
    )


def test_too_few_to_calibrate_names_the_flag_that_does_without() -> None:
    for few in (predictions(12), predictions(60, groups=1)):
        with pytest.raises(UsageError, match=r"do without \(--no-calibrate\)"):
            fit(few)


@pytest.mark.parametrize("sharper", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_a_classifier_too_sure(sharper: float) -> None:
    made = predictions(4000, sharper=sharper)
    assert fit_temperature(made.log_probabilities, made.targets) == pytest.approx(sharper, rel=0.08)


def test_too_sure_a_classifier_gains_on_pictures_it_was_not_fitted_on() -> None:
    fitted = fit(predictions(sharper=4.0))
    assert fitted.gain.low > 0
    assert fitted.trial("temperature and clip").log_loss.value < fitted.trial("as it is").log_loss.value - 0.2
    assert {"naive, dogs 0.95", "naive, state-farm 0.93", "naive, fish 0.82"} < {t.name for t in fitted.trials}


def test_what_is_scored_was_not_fitted_on() -> None:
    made = predictions(400, sharper=3.0)
    folds = np.arange(400) % 2
    spoilt = replace(made, targets=np.where(folds == 1, (made.targets + 1) % 4, made.targets))
    right, wrong = fit(made, folds), fit(spoilt, folds)
    # the spoilt fold's labels change what is fitted for the other; its own fit comes from good labels
    for one, other in ((made, right), (spoilt, wrong)):
        expected = np.empty(400)
        for fold in (0, 1):
            kept, scored = folds != fold, folds == fold
            temperature = fit_temperature(one.log_probabilities[kept], one.targets[kept])
            p = Calibration(temperature).apply(one.log_probabilities[scored])
            expected[scored] = log_losses(p, one.targets[scored])
        assert other.trial("temperature").log_loss.value == pytest.approx(expected.mean())


def test_rows_add_up_to_one_and_the_order_of_the_classes_stays() -> None:
    made = predictions(200)
    p = Calibration(2.5, 0.02).apply(made.log_probabilities)
    assert np.allclose(p.sum(1), 1)
    assert p.min() >= 0.018
    assert (p.argmax(1) == made.predicted).all()


def test_a_classifier_without_a_mistake_is_not_trusted_without_limit() -> None:
    p = np.full((50, 2), 1e-12)
    p[:, 0] = 1
    assert fit_floor(p, np.zeros(50, dtype=int)) == pytest.approx(1 / 52)


def test_naive_clips_are_the_courses() -> None:
    sure = np.zeros((1, 10))
    sure[0, 3] = 1
    assert naive_clip(sure, 0.93)[0, 0] == pytest.approx((1 - 0.93) / 9)
    assert naive_clip(sure[:, :8], 0.82)[0, 0] == pytest.approx(0.18 / 7)
    assert naive_clip(sure, 0.93).sum() == pytest.approx(1)


def test_groups_stay_whole_and_fill_the_folds_evenly() -> None:
    made = predictions(300, groups=7)
    parts = make_folds(made, 2)
    for group in set(made.groups):
        assert len({parts[i] for i in range(300) if made.groups[i] == group}) == 1
    assert abs((parts == 0).sum() - 150) <= 43
    assert fit(made).by_group


def test_classes_are_shared_out_evenly_without_groups() -> None:
    made = predictions(400)
    parts = make_folds(made, 2)
    for number in range(4):
        counts = np.bincount(parts[made.targets == number], minlength=2)
        assert abs(counts[0] - counts[1]) <= 1


def test_a_group_on_both_sides_is_refused() -> None:
    with pytest.raises(UsageError, match="the group g0 is in two folds"):
        fit(predictions(100, groups=5), np.arange(100) % 2)


def test_too_few_pictures_and_groups_are_refused() -> None:
    with pytest.raises(UsageError, match="too few"):
        fit(predictions(19))
    with pytest.raises(UsageError, match="1 group, and 2 folds"):
        fit(predictions(100, groups=1))
    unknown = predictions(100)
    with pytest.raises(UsageError, match="0 labelled"):
        fit(replace(unknown, targets=np.full(100, -1)))


def test_reliability_of_known_values() -> None:
    p = np.array([[0.95, 0.05], [0.95, 0.05], [0.62, 0.38], [0.62, 0.38]])
    bins = reliability(p, np.array([0, 0, 0, 1]), bins=10)
    assert [one.n for one in bins] == [0] * 6 + [2, 0, 0, 2]
    assert bins[9][2:] == pytest.approx((2, 0.95, 1.0))
    assert calibration_error(bins) == pytest.approx(0.5 * 0.05 + 0.5 * 0.12)
    assert math.isnan(calibration_error(reliability(p[:0], np.zeros(0, dtype=int))))


def test_calibrated_probabilities_have_a_small_error() -> None:
    made = predictions(5000)
    assert calibration_error(reliability(made.probabilities, made.targets)) < 0.03
    sharp = predictions(5000, sharper=4.0)
    assert calibration_error(reliability(sharp.probabilities, sharp.targets)) > 0.15
