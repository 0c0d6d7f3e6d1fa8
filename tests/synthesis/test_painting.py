"""Painting: through the stages of a craft, stopped anywhere and taken up again to the same bits."""

from pathlib import Path

import pytest
import torch

from impasto.images import Picture, write
from impasto.runs import checkpoint
from impasto.synthesis import invert, stylize, texture
from impasto.synthesis.options import InversionOptions, StyleTransferOptions, TextureOptions
from impasto.synthesis.painting import paint


def scene(seed: int, height: int = 36, width: int = 48) -> torch.Tensor:
    coarse = torch.rand(1, 3, 3 + 2 * seed, 4 + 2 * seed, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write(folder / "photo.png", Picture(scene(2)))
    write(folder / "painting.png", Picture(scene(5)))
    left = (torch.arange(48) < 24).float().expand(1, 3, 36, 48).contiguous()
    write(folder / "left.png", Picture(left))
    write(folder / "right.png", Picture(1 - left))
    return folder


def crafts(folder: Path, name: str):
    photo, painting = folder / "photo.png", folder / "painting.png"
    transfer = {
        "scales": {"size": 192, "steps": 4},
        "adam": {"optimizer": "adam", "average": 0.8, "steps": 8},
        "averaged": {"average": 0.8, "steps": 8, "init": "noise"},
        "tiles": {"size": 64, "tile": 32, "steps": 6, "loss": ("wasserstein", "histogram")},
        "patches": {"steps": 4, "loss": "mrf"},
        "directions": {"steps": 4, "loss": ("sliced", "mmd-gaussian")},
        "smooth": {"steps": 5, "smoothness": 0.5, "color": "histogram"},
    }
    if name in transfer:
        return stylize.prepare(photo, [painting], StyleTransferOptions(**transfer[name]))
    if name == "regions":
        masks = (folder / "left.png", folder / "right.png")
        return stylize.prepare(photo, [painting, photo], StyleTransferOptions(masks=masks, steps=6))
    if name == "texture":
        return texture.prepare([painting], TextureOptions(size="64x48", tileable=True, steps=6))
    return invert.prepare(photo, InversionOptions(taps=("pixels", "relu2_1"), steps=6, scales=2))


NAMES = ["scales", "adam", "averaged", "tiles", "patches", "directions", "smooth", "regions", "texture", "inversion"]


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_on_from_any_step_to_the_same_pictures(folder, tmp_path, name):
    told = []
    for event in paint(crafts(folder, name)):
        state = event.checkpoint()
        path = tmp_path / f"{len(told)}.safetensors"
        checkpoint.save(path, state)
        told.append((event.stage, event.step, event.losses, event.image.clone(), event.done))
    chosen = sorted({0, len(told) // 3, 2 * len(told) // 3, len(told) - 2, len(told) - 1})
    for at in chosen:
        again = list(paint(crafts(folder, name), checkpoint.load(tmp_path / f"{at}.safetensors")))
        rest = told[at + 1 :] or told[-1:]
        assert len(again) == len(rest)
        for event, (stage, step, losses, image, _) in zip(again, rest, strict=True):
            assert (event.stage, event.step, event.losses) == (stage, step, losses)
            assert torch.equal(event.image, image)
        assert again[-1].done == 1


@pytest.mark.parametrize("name", NAMES)
def test_two_are_the_same(folder, name):
    one, other = ([(e.losses, e.image.clone()) for e in paint(crafts(folder, name))] for _ in range(2))
    assert [losses for losses, _ in one] == [losses for losses, _ in other]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(one, other, strict=True))


def test_progress_goes_through_the_stages_up_to_one(folder):
    events = list(paint(crafts(folder, "scales")))
    places = [(event.stage, event.step) for event in events]
    assert places == sorted(places) and {stage for stage, _ in places} == {0, 1}
    done = [event.done for event in events]
    assert done == sorted(done) and done[-1] == 1 and done[0] > 0
    assert events[0].where == "96×72 pocket 1/8" and events[-1].where.startswith("192×144 pocket")
    assert all(
        event.losses["total"] == pytest.approx(sum(v for k, v in event.losses.items() if k != "total"))
        for event in events
    )
    assert events[0].tile is None
