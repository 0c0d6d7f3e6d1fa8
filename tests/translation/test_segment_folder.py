"""Masks of whole folders: named after their pictures, gone on with, and made anew where they would be others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.translation.architectures import build
from impasto.translation.masks import masked, read_labels
from impasto.translation.model import TranslationModel, save
from impasto.translation.segment import segment
from impasto.translation.segment_folder import segment_folder


@pytest.fixture
def new_model(tmp_path: Path) -> Callable[[int], Path]:
    def written(seed: int) -> Path:
        architecture: dict[str, Any] = {"kind": "unet", "layers": 6, "width": 8, "out": 4, "residual": False}
        torch.manual_seed(seed)
        model = TranslationModel(
            "seg", build(architecture), "segment", architecture=architecture, classes=tuple("abcd")
        )
        save(model, tmp_path / "seg.safetensors")
        return tmp_path / "seg.safetensors"

    return written


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.jpg", "in/b.png")):
        path = tmp_path / "data/images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, Picture(torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(number))))
    return tmp_path / "data/images"


def statuses(*arguments: Any, **how: Any) -> list[str]:
    return [item.status for item in segment_folder(*arguments, **how)]


def test_masks_can_be_learnt_from(streets: Path, new_model: Callable[[int], Path]) -> None:
    model, out = new_model(0), streets.parent / "masks"
    assert statuses(streets, model, out) == ["segmented", "segmented"]
    pairs = masked(streets.parent)
    assert [path.name for path in pairs.masks] == ["a.png", "b.png"]
    for picture, mask in zip(pairs.pictures, pairs.masks, strict=True):
        assert torch.equal(read_labels(mask), segment(picture, model).labels)


def test_what_is_done_is_skipped_until_it_would_be_another(
    streets: Path, tmp_path: Path, new_model: Callable[[int], Path]
) -> None:
    model, out = new_model(0), tmp_path / "masks"
    statuses(streets, model, out)
    assert statuses(streets, model, out, memory=3, device="cpu") == ["skipped", "skipped"]
    write(streets / "a.jpg", Picture(torch.rand(1, 3, 12, 16)))
    assert statuses(streets, model, out) == ["segmented", "skipped"]
    assert statuses(streets, model, out, tile=16) == ["segmented", "segmented"]
    assert statuses(streets, new_model(1), out, tile=16) == ["segmented", "segmented"]


def test_a_mask_that_impasto_has_not_made_is_kept(
    streets: Path, tmp_path: Path, new_model: Callable[[int], Path]
) -> None:
    model, mine = new_model(0), tmp_path / "masks/a.png"
    mine.parent.mkdir()
    write(mine, Picture(torch.zeros(1, 3, 3, 3)))
    before = mine.read_bytes()
    (first, second) = segment_folder(streets, model, tmp_path / "masks")
    assert (first.status, second.status) == ("failed", "segmented") and "was not made by impasto" in first.error
    assert mine.read_bytes() == before
    with pytest.raises(UsageError, match="is where the pictures are"):
        statuses(streets, model, streets)


def test_a_model_of_another_task_is_refused_before_any_work(streets: Path, tmp_path: Path) -> None:
    other = TranslationModel("res", torch.nn.Identity(), "restore")
    with pytest.raises(UsageError, match="res is a model of restore: use `impasto enhance`"):
        statuses(streets, other, tmp_path / "masks")
    assert not (tmp_path / "masks").exists()
