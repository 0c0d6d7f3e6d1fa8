"""Differences between two trainings: of weights, of scores, and why."""

from typing import Any

import pytest
import torch

from impasto.runs.difference import Outcome, difference

MADE = {"made_with": {"torch": "1", "device": "cpu"}, "networks": {"pocket": "a"}}


def outcome(weight: float, scores: dict[str, Any], manifest: dict[str, Any] = MADE) -> Outcome:
    weights = {"weight": torch.tensor([1.0, weight]), "steps": torch.tensor(3)}
    return Outcome(manifest, weights, scores)


def test_the_same_weights_are_identical_whatever_the_circumstances() -> None:
    found = difference(outcome(2.0, {"psnr": 30.0}), outcome(2.0, {"psnr": 30.0}, {}))
    assert found.identical and found.weights == 0
    assert str(found) == "identical: the same weights, bit for bit"


def test_the_largest_difference_is_told_with_the_scores_and_the_reasons() -> None:
    now = {"made_with": {"torch": "2", "device": "cpu"}, "networks": {"pocket": "b"}}
    found = difference(outcome(2.0, {"psnr": 30.0, "ssim": 0.9}), outcome(1.75, {"psnr": 29.5, "ssim": 0.9}, now))
    assert found.weights == 0.25 and found.scores == {"psnr": (30.0, 29.5), "ssim": (0.9, 0.9)}
    assert found.reasons == ("torch was 1, is 2", "pocket was a, is b")
    assert str(found) == (
        "weights differ by up to 0.25; psnr 30.0000 → 29.5000 (torch was 1, is 2; pocket was a, is b)"
    )


@pytest.mark.parametrize("was", [{}, {"psnr": 30.0}, {"per_class": {"cat": 1}, "psnr": 30.0}, {"loss": None}])
def test_scores_that_only_one_has_or_that_are_no_number_are_left_out(was: dict[str, Any]) -> None:
    found = difference(outcome(2.0, was), outcome(3.0, {"psnr": 30.0, "per_class": {"cat": 2}, "loss": 1.0}))
    assert found.scores.keys() <= {"psnr"}
    assert str(found) == "weights differ by up to 1; the same scores"
