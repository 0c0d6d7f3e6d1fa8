"""Intersection over union: counted by hand, void pixels and absent classes left out."""

import math

import pytest
import torch

from impasto.translation.iou import always, confusion, iou, scores_of


def test_rows_are_the_truth_and_columns_what_is_said() -> None:
    said = torch.tensor([[0, 1, 1], [2, 0, 1]])
    true = torch.tensor([[0, 0, 1], [1, 0, 2]], dtype=torch.uint8)
    assert confusion(said, true, 3).tolist() == [[2, 1, 0], [0, 1, 1], [0, 1, 0]]


def test_known_values() -> None:
    counts = torch.tensor([[6, 2, 0], [1, 3, 0], [1, 0, 4]])
    assert iou(counts).tolist() == pytest.approx([6 / 10, 3 / 6, 4 / 5])
    assert scores_of(counts) == pytest.approx({"miou": (0.6 + 0.5 + 0.8) / 3, "accuracy": 13 / 17})


def test_void_pixels_count_for_nothing() -> None:
    chance = torch.Generator().manual_seed(0)
    true = torch.randint(0, 3, (20, 20), generator=chance).to(torch.uint8)
    said = torch.randint(0, 3, (20, 20), generator=chance).to(torch.uint8)
    void = torch.rand(20, 20, generator=chance) < 0.3
    masked = true.masked_fill(void, 255)
    assert torch.equal(confusion(said, masked, 3), confusion(said[~void], true[~void], 3))
    assert int(confusion(said, masked, 3).sum()) == int((~void).sum())
    assert not confusion(said, torch.full((20, 20), 3, dtype=torch.uint8), 3).any(), "the first label beyond is void"


def test_a_class_that_is_not_there_is_left_out_of_the_mean() -> None:
    absent = torch.tensor([[4, 0, 0], [2, 2, 0], [0, 0, 0]])
    assert math.isnan(iou(absent)[2])
    assert scores_of(absent)["miou"] == pytest.approx((4 / 6 + 2 / 4) / 2)
    called = torch.tensor([[4, 0, 1], [2, 2, 0], [0, 0, 0]])
    assert iou(called)[2] == 0
    assert scores_of(called)["miou"] == pytest.approx((4 / 7 + 2 / 4) / 2), "a false alarm costs the class it is of"


def test_large_pictures_are_counted_exactly() -> None:
    counts = torch.tensor([[2**40, 1], [0, 2**40]])
    assert float(iou(counts)[0]) <= 1 and scores_of(counts)["accuracy"] == pytest.approx(1)


def test_the_baseline_calls_everything_the_same() -> None:
    counts = torch.tensor([[5, 2, 1], [1, 1, 0], [0, 3, 3]])
    assert always(counts, 0).tolist() == [[8, 0, 0], [2, 0, 0], [6, 0, 0]]
    assert scores_of(always(counts, 0)) == pytest.approx({"miou": 0.5 / 3, "accuracy": 0.5})
    assert scores_of(always(counts, 2))["accuracy"] == pytest.approx(6 / 16)
