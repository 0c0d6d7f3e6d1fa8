"""Boxes as a network sees them."""

from pathlib import Path

import torch

from impasto.learning.box_truth import boxes_of
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Preprocessing


def rows(*boxes: list[float] | None) -> Manifest:
    return Manifest.from_rows(
        [{"path": f"{i}.png", "width": 200, "height": 100, "box": box} for i, box in enumerate(boxes)], Path("/x")
    )


def test_a_box_is_a_part_of_what_the_network_sees() -> None:
    wide = rows([50, 0, 150, 100])
    assert boxes_of(wide, Preprocessing(64, "squish")).tolist() == [[0.25, 0, 0.75, 1]]
    assert torch.allclose(boxes_of(wide, Preprocessing(64, "crop")), torch.tensor([[0.0, 0, 1, 1]]))
    assert torch.allclose(boxes_of(wide, Preprocessing(64, "pad")), torch.tensor([[0.25, 0.25, 0.75, 0.75]]))


def test_a_row_without_a_box_is_not_a_number() -> None:
    found = boxes_of(rows(None, [0, 0, 200, 100]), Preprocessing(64))
    assert found.dtype == torch.float32 and found.isnan().all(1).tolist() == [True, False]


def test_no_rows_have_no_boxes() -> None:
    assert boxes_of(rows(), Preprocessing(64)).shape == (0, 4)
