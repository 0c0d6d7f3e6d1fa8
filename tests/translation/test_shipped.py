"""The shipped models: all there, with honest cards; the same in tiles and as ONNX; and worth their bytes."""

import json
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from impasto.images.resample import imresize
from impasto.translation import degrade
from impasto.translation.apply import apply
from impasto.translation.benchmark import benchmark
from impasto.translation.field import field_of
from impasto.translation.metrics import psnr
from impasto.translation.model import load, shipped
from impasto.translation.pairs import validation_pairs
from impasto.translation.pictures import Pictures, split

NAMES = ["colorize", "remove-text", "restore-jpeg", "restore-photo", "superres-x2", "superres-x4", "superres-x4-real"]


def test_the_shipped_models_are_these() -> None:
    assert sorted(shipped()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_it_is_and_whence(name: str) -> None:
    model = load(name)
    for said in ("about", "trained_on", "training", "recipe", "options", "figures"):
        assert model.card[said], said
    assert model.card["licence"] == "CC BY-SA 4.0"
    assert not re.search(r'"/', json.dumps(model.card)), "a path of the machine that trained it"
    assert name.startswith("superres") <= (model.parameters <= 700_000)
    assert shipped()[name].stat().st_size < 4e6


@pytest.mark.parametrize("name", NAMES)
def test_tiles_give_what_the_whole_picture_gives(name: str) -> None:
    model = load(name)
    field = field_of(model.module, model.scale)
    assert not field.everywhere
    side = max(24, 2 * field.step)
    chance = torch.Generator().manual_seed(0)
    coarse = F.interpolate(torch.rand(1, 3, 9, 21, generator=chance), size=(side + 5, 2 * field.halo + 3 * side + 7))
    pixels = (coarse + torch.rand(coarse.shape, generator=chance) / 10).clamp(0, 1)
    whole = apply(model, pixels, tile=10**6)
    assert (apply(model, pixels, tile=side) - whole).abs().max() <= 1e-5
    assert (whole - F.interpolate(pixels, scale_factor=model.scale)).abs().max() > 0.05


@pytest.mark.parametrize("name", NAMES)
def test_onnx_gives_what_torch_gives(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    from impasto.translation.export import export

    assert export(load(name), tmp_path / "model.onnx").difference <= 1e-4


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "recipe", "gain"),
    [
        ("restore-photo", "noise:20 jpeg:50", 1.5),
        ("restore-jpeg", "jpeg:15", 0.5),
        ("remove-text", "text", 3.0),
    ],
)
def test_photographs_it_has_never_seen_are_restored(shared: Path, name: str, recipe: str, gain: float) -> None:
    held = Pictures(split(shared / "data" / "photos", 0.05, 0).valid, memory=2**28)
    model = load(name)
    before, after = [], []
    for bad, good in validation_pairs(held, degrade.parse(recipe), 0, most=4):
        before.append(float(psnr(bad, good)))
        after.append(float(psnr(apply(model, bad), good)))
    assert sum(after) / 4 > sum(before) / 4 + gain


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "bar"), [("superres-x2", 36.7), ("superres-x4", 30.5)])
def test_set5_at_the_level_of_srcnn(shared: Path, name: str, bar: float) -> None:
    model = load(name)
    found = benchmark(model, shared / "data" / "super-resolution" / "Set5", scale=model.scale)
    assert found.mean.scores["psnr"] >= bar


@pytest.mark.realdata
def test_classic5_at_the_level_of_arcnn(shared: Path) -> None:
    found = benchmark(load("restore-jpeg"), shared / "data" / "jpeg" / "classic5", quality=10, gray=True)
    assert found.mean.scores["psnr"] >= 29.0


@pytest.mark.realdata
def test_colours_are_nearer_than_gray(shared: Path) -> None:
    """The chroma of photographs, by its distance; gray is what a colorizer that dares nothing gives."""
    held = Pictures(split(shared / "data" / "photos", 0.05, 0).valid, memory=2**28)
    model = load("colorize")
    gained = []
    for bad, good in validation_pairs(held, degrade.parse("colorize"), 0):
        small = [imresize(one, size=(256, 256)).clamp(0, 1) for one in (bad, good)]
        made = apply(model, small[0])
        gained.append(float(psnr(made, small[1], colour="chroma") - psnr(small[0], small[1], colour="chroma")))
    assert sum(gained) / len(gained) > 0
