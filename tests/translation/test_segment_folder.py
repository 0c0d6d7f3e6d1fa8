"""Masks of whole folders: named after their pictures, gone on with, and made anew where they would be others."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.translation.architectures import build
from impasto.translation.masks import masked, read_labels
from impasto.translation.model import TranslationModel, load, save
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


def test_a_mask_that_was_mended_or_is_somebody_else_s_is_kept(
    streets: Path, tmp_path: Path, new_model: Callable[[int], Path]
) -> None:
    mine, mended = tmp_path / "masks/a.png", tmp_path / "masks/in/b.png"
    mine.parent.mkdir()
    write(mine, Picture(torch.zeros(1, 3, 3, 3)))
    assert statuses(streets, new_model(0), tmp_path / "masks") == ["skipped", "segmented"]
    with Image.open(mended) as image:
        facts, better = PngInfo(), image.point(lambda label: 1 - label)
        for name, text in image.info.items():  # an editor that keeps what it does not know
            if isinstance(text, str):
                facts.add_text(name, text)
        better.save(mended, pnginfo=facts)
    before = mine.read_bytes(), mended.read_bytes()
    assert statuses(streets, new_model(1), tmp_path / "masks") == ["skipped", "skipped"]
    assert before == (mine.read_bytes(), mended.read_bytes())
    with pytest.raises(UsageError, match="is where the pictures are"):
        statuses(streets, new_model(0), streets)


def test_a_model_is_known_by_its_weights_alone(streets: Path, tmp_path: Path, new_model: Callable[[int], Path]) -> None:
    model, out = new_model(0), tmp_path / "masks"
    statuses(streets, model, out)
    renamed = tmp_path / "other-name.safetensors"
    shutil.copy(model, renamed)
    assert statuses(streets, renamed, out) == ["skipped", "skipped"]
    unknown = replace(load(model), sha256="")  # of a model in memory nobody knows whether it is the same
    assert statuses(streets, unknown, out) == ["segmented", "segmented"]
    assert statuses(streets, unknown, out) == ["segmented", "segmented"]


def test_a_model_of_another_task_is_refused_before_any_work(streets: Path, tmp_path: Path) -> None:
    other = TranslationModel("res", torch.nn.Identity(), "restore")
    with pytest.raises(UsageError, match="res is a model of restore: use `impasto enhance`"):
        statuses(streets, other, tmp_path / "masks")
    assert not (tmp_path / "masks").exists()
