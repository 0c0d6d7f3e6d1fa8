"""Segment: every pixel of a picture gets its label, which is written as a mask that can be learnt from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read_recipe, write
from impasto.runs.recipe import Recipe, parse
from impasto.translation.masks import read_labels
from impasto.translation.model import TranslationModel
from impasto.translation.segment import Segmented, segment
from impasto.translation.segmentation import palette

MADE = Recipe(verb="segment")


class Brightness(nn.Module):
    """Scores that are highest for the class of a pixel's brightness: class k from k/classes on."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, image: Tensor) -> Tensor:
        level = (image[:, 0] * self.classes).long().clamp(0, self.classes - 1)
        return nn.functional.one_hot(level, self.classes).permute(0, 3, 1, 2).float()


def model_of(classes: int) -> TranslationModel:
    names = tuple(f"class {number}" for number in range(classes))
    return TranslationModel("levels", Brightness(classes).eval(), "segment", classes=names)


def stripes(classes: int, width: int = 13) -> Picture:
    """A column of each class's brightness, and the rest dark."""
    pixels = torch.zeros(1, 3, 5, width)
    for number in range(classes):
        pixels[..., number] = (number + 0.5) / classes
    return Picture(pixels)


@pytest.mark.parametrize("classes", [1, 2, 3, 11])
def test_every_pixel_gets_its_likeliest_class(classes: int) -> None:
    found = segment(stripes(classes), model_of(classes))
    assert found.labels.shape == (5, 13) and found.labels.dtype == torch.uint8
    wanted = [*range(classes), *[0] * (13 - classes)]
    assert found.labels.tolist() == [wanted] * 5 and found.classes == model_of(classes).classes


def test_where_nothing_is_seen_there_is_white_paper() -> None:
    picture = Picture(torch.zeros(1, 3, 5, 13), alpha=torch.zeros(1, 1, 5, 13))
    found = segment(picture, model_of(3))
    assert bool((found.labels == 2).all())
    assert torch.allclose(found.overlay(), segment(Picture(torch.ones(1, 3, 5, 13)), model_of(3)).overlay())


def test_shares_are_of_what_is_there_the_largest_first() -> None:
    found = Segmented(stripes(1), torch.tensor([[0, 2, 2, 2], [2, 2, 4, 4]], dtype=torch.uint8), tuple("abcde"), MADE)
    assert list(found.shares.items()) == [("c", 5 / 8), ("e", 2 / 8), ("a", 1 / 8)]


def test_labels_are_written_as_a_mask_and_read_as_they_were(tmp_path: Path) -> None:
    labels = torch.arange(12, dtype=torch.uint8).view(3, 4)
    found = Segmented(Picture(torch.rand(1, 3, 3, 4)), labels, tuple(map(str, range(12))), MADE)
    found.save(tmp_path / "labels.png")
    assert torch.equal(read_labels(tmp_path / "labels.png"), labels)
    with Image.open(tmp_path / "labels.png") as image:
        assert image.mode == "P"
        shown = np.asarray(image.convert("RGB")).reshape(12, 3) / 255
    assert np.abs(shown - palette(12).numpy()).max() < 0.003, "each in its colour"
    with pytest.raises(UsageError, match=r"labels\.jpg: labels are written as PNG"):
        found.save(tmp_path / "labels.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["labels.png"]


def test_the_overlay_keeps_the_size_and_tints() -> None:
    found = segment(stripes(3), model_of(3))
    shown = found.overlay()
    assert shown.shape == (1, 3, 5, 13) and shown.min() >= 0 and shown.max() <= 1
    assert not torch.allclose(shown[..., 0], shown[..., 1], atol=0.05)


def test_the_sheet_names_the_classes_that_are_seen_below_the_overlay() -> None:
    found = segment(stripes(3, width=400), model_of(5))  # the levels of three classes are classes 0, 2 and 4 of five
    sheet, overlay = found.sheet(), found.overlay()
    assert torch.equal(sheet[:, :, :5], overlay)
    squares = [
        bool((sheet[0, :, 5:] - palette(5)[number].view(3, 1, 1)).abs().amax(0).lt(0.003).any()) for number in range(5)
    ]
    assert squares == [True, False, True, False, True]
    assert found.share_words()[0] == "class 0 99.5 %"


def test_tiles_that_are_chosen_give_the_same_labels_and_progress() -> None:
    picture, told = Picture(torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))), []
    whole = segment(picture, model_of(4))
    tiled = segment(picture, model_of(4), tile=16, memory=1, progress=lambda done, words: told.append(done))
    assert torch.equal(tiled.labels, whole.labels) and len(told) > 4 and told[-1] == pytest.approx(1)


def test_scores_that_memory_cannot_hold_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.translation.apply.free_memory", lambda device: 5 * 13 * 12 * 4 - 1)
    with pytest.raises(ImpastoError, match="GiB"):
        segment(stripes(12), model_of(12))
    segment(stripes(11), model_of(11))


def test_labels_carry_how_they_were_made(tmp_path: Path) -> None:
    write(tmp_path / "a.png", stripes(3))
    segment(tmp_path / "a.png", model_of(3), tile=16, memory=2).save(tmp_path / "labels.png")
    recipe = parse(read_recipe(tmp_path / "labels.png"), tmp_path)
    assert (recipe.verb, recipe.options, recipe.networks) == ("segment", {"tile": 16}, {"levels": ""})
    assert [(one.role, Path(one.path).name) for one in recipe.inputs] == [("content", "a.png")]


def test_a_model_of_another_task_is_one_line() -> None:
    other = TranslationModel("superres-x2", nn.Identity(), "superres", 2)
    with pytest.raises(UsageError, match="superres-x2 is a model of superres: use `impasto enhance`"):
        segment(stripes(2), other)
