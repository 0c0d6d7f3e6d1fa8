"""Segment: every pixel of a picture gets its label, which is written as a mask that can be learnt from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from impasto.cli.app import run
from impasto.errors import UsageError
from impasto.images import Picture
from impasto.translation.architectures import build
from impasto.translation.masks import read_labels
from impasto.translation.model import TranslationModel, save
from impasto.translation.segment import Segmented, segment
from impasto.translation.segmentation import palette

Output = pytest.CaptureFixture[str]


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
    found = Segmented(stripes(1), torch.tensor([[0, 2, 2, 2], [2, 2, 4, 4]], dtype=torch.uint8), tuple("abcde"))
    assert list(found.shares.items()) == [("c", 5 / 8), ("e", 2 / 8), ("a", 1 / 8)]


def test_labels_are_written_as_a_mask_and_read_as_they_were(tmp_path: Path) -> None:
    labels = torch.arange(12, dtype=torch.uint8).view(3, 4)
    found = Segmented(Picture(torch.rand(1, 3, 3, 4)), labels, tuple(map(str, range(12))))
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


def test_a_model_of_another_task_is_one_line() -> None:
    other = TranslationModel("superres-x2", nn.Identity(), "superres", 2)
    with pytest.raises(UsageError, match="superres-x2 is a model of superres: use `impasto enhance`"):
        segment(stripes(2), other)


# From the command line


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture, and a model of segmentation and one of restoration."""
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(0).integers(0, 256, (19, 26, 3)).astype("u1")
    Image.fromarray(levels).save("street.png")
    architecture: dict[str, Any] = {"kind": "unet", "layers": 6, "width": 8, "out": 4, "residual": False}
    torch.manual_seed(0)
    module = build(architecture).eval()
    save(
        TranslationModel("seg", module, "segment", architecture=architecture, classes=tuple("abcd")), "seg.safetensors"
    )
    architecture = {"kind": "light", "scale": 1, "width": 4, "blocks": 1}
    save(TranslationModel("res", build(architecture), "restore", architecture=architecture), "res.safetensors")
    return tmp_path


def test_the_command_writes_labels_and_overlay_and_says_shares(files: Path, capsys: Output) -> None:
    command = ["segment", "street.png", "--model", "seg.safetensors", "--device", "cpu"]
    assert run([*command, "--overlay", "seen.jpg", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["out"] == "street-labels.png" and facts["overlay"] == "seen.jpg"
    labels = read_labels(Path("street-labels.png"))
    assert torch.equal(labels, segment("street.png", "seg.safetensors").labels)
    assert facts["shares"] == pytest.approx(
        {
            name: float((labels == number).float().mean())
            for number, name in enumerate("abcd")
            if (labels == number).any()
        }
    )
    with Image.open("seen.jpg") as seen:
        assert seen.size == (26, 19)
    assert run([*command, "--out", "mine.png"]) == 0
    said = capsys.readouterr().out
    assert (
        said.startswith("mine.png  ")
        and " %" in said
        and Path("mine.png").read_bytes() == Path("street-labels.png").read_bytes()
    )
    assert run(command) == 0 and Path("street-labels-2.png").exists(), "nothing is overwritten unasked"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "res.safetensors"], "res is a model of restore: use `impasto enhance`"),
        (["--model", "nowhere"], "no model 'nowhere'"),
        (["--model", "seg.safetensors", "--out", "labels.jpg"], "labels.jpg: labels are written as PNG"),
        (["--model", "seg.safetensors", "--out", "street.png"], "street.png is one of the pictures that go in"),
        (["--model", "seg.safetensors", "--overlay", "street.png"], "street.png is one of the pictures that go in"),
        (["--model", "seg.safetensors", "--overlay", "seen.xyz"], "seen.xyz"),
        (
            ["--model", "seg.safetensors", "--out", "two.png", "--overlay", "./two.png"],
            "two.png would be written twice",
        ),
        (["--model", "seg.safetensors", "--out", "deep/labels.png"], "deep"),
        ([], "--model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_asked_wrongly_is_one_line_and_nothing_is_written(
    arguments: list[str], words: str, files: Path, capsys: Output
) -> None:
    before = {path: path.read_bytes() for path in files.iterdir()}
    assert run(["segment", "street.png", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and words in err and "unexpected" not in err, err
    assert {path: path.read_bytes() for path in files.iterdir()} == before


def test_a_picture_that_is_not_there_is_one_line(files: Path, capsys: Output) -> None:
    assert run(["segment", "nowhere.png", "--model", "seg.safetensors"]) == 2
    assert capsys.readouterr().err == "impasto: nowhere.png does not exist: check the name\n"
