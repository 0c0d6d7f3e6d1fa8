"""Painting: through the stages of a craft, stopped anywhere and taken up again to the same bits."""

from pathlib import Path

import pytest
import torch

from impasto.errors import ImpastoError
from impasto.images import Picture, write
from impasto.runs import checkpoint
from impasto.synthesis import invert, memory, stylize, texture
from impasto.synthesis.objective import Objective
from impasto.synthesis.options import InversionOptions, StyleTransferOptions, TextureOptions
from impasto.synthesis.painting import layout_of, paint


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
        "tiles": {"size": 64, "tile": 32, "steps": 4, "loss": ("wasserstein", "histogram")},
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
    chosen = sorted({len(told) // 3, 2 * len(told) // 3, len(told) - 1})
    for at in chosen:
        again = list(paint(crafts(folder, name), checkpoint.load(tmp_path / f"{at}.safetensors")))
        rest = told[at + 1 :] or told[-1:]
        assert len(again) == len(rest)
        for event, (stage, step, losses, image, _) in zip(again, rest, strict=True):
            assert (event.stage, event.step, event.losses) == (stage, step, losses)
            assert torch.equal(event.image, image)
        assert again[-1].done == 1


@pytest.mark.parametrize("name", ["averaged", "patches", "directions", "texture"])
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


# A machine whose memory changes


def test_less_free_memory_on_resuming_changes_no_pixel_of_any_later_stage(folder, tmp_path, monkeypatch):
    told = []
    for event in paint(crafts(folder, "scales")):
        if len(told) == 1:
            checkpoint.save(tmp_path / "1.safetensors", event.checkpoint())
        told.append((event.image.clone(), event.tile))
    again = crafts(folder, "scales")
    monkeypatch.setattr(memory, "SIDES", (64, 32))
    free = [2**20]
    monkeypatch.setattr(memory, "free_memory", lambda device: free[0])
    while True:  # as little as will do
        try:
            assert len(layout_of(again, 1).tiling.tiles) > 1, "begun now, it would be painted in tiles"
            break
        except ImpastoError:
            free[0] = int(1.1 * free[0])
    rest = [(event.image.clone(), event.tile) for event in paint(again, checkpoint.load(tmp_path / "1.safetensors"))]
    for (image, tile), (wanted, _) in zip(rest, told[2:], strict=True):
        assert torch.equal(image, wanted) and tile is None


@pytest.mark.parametrize("stage", [0, 1])
def test_after_tiles_were_halved_it_goes_on_from_any_step_to_the_same_pictures(folder, tmp_path, monkeypatch, stage):
    run, full = Objective._evaluate, []

    def evaluate(self, image):
        if full and not self.tiling.side:
            raise MemoryError
        return run(self, image)

    monkeypatch.setattr(Objective, "_evaluate", evaluate)
    told = []
    for event in paint(crafts(folder, "scales")):
        checkpoint.save(tmp_path / f"{len(told)}.safetensors", event.checkpoint())
        told.append((event.stage, event.step, event.losses, event.image.clone(), event.tile))
        full[:] = [True] if (event.stage, event.step) == (stage, 2) else []
    assert {tile for at, _, _, _, tile in told if at != stage} == {None}
    assert [tile for at, _, _, _, tile in told if at == stage][1:3] == [None, (48, 96)[stage]]
    monkeypatch.setattr(Objective, "_evaluate", run)
    first = next(place for place, event in enumerate(told) if event[0] == stage)
    for at in (first + 1, first + 2):
        again = paint(crafts(folder, "scales"), checkpoint.load(tmp_path / f"{at}.safetensors"))
        if at == first + 1:  # before it was halved
            full[:] = [True]
            monkeypatch.setattr(Objective, "_evaluate", evaluate)
        rest = []
        for event in again:
            rest.append((event.stage, event.step, event.losses, event.image.clone(), event.tile))
            full.clear()
        monkeypatch.setattr(Objective, "_evaluate", run)
        for one, other in zip(rest, told[at + 1 :], strict=True):
            assert one[:3] == other[:3] and one[4] == other[4] and torch.equal(one[3], other[3])


def test_an_objective_that_does_not_fit_is_begun_in_smaller_tiles(folder, tmp_path, monkeypatch, caplog):
    craft = crafts(folder, "scales")
    objective = craft.objective

    def limited(index, layout):
        if index == 1 and not layout.tiling.side:
            raise MemoryError
        return objective(index, layout)

    craft.objective = limited
    with caplog.at_level("WARNING", "impasto"):
        told = []
        for event in paint(craft):
            checkpoint.save(tmp_path / f"{len(told)}.safetensors", event.checkpoint())
            told.append((event.image.clone(), event.tile))
    assert [tile for _, tile in told] == [None] * 8 + [96] * 4
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory: going on in tiles of 96 pixels instead of 192"
    ]
    rest = []
    for event in paint(crafts(folder, "scales"), checkpoint.load(tmp_path / "9.safetensors")):
        rest.append((event.image.clone(), event.tile))  # now it would fit whole, and stays in tiles
    assert [tile for _, tile in rest] == [96, 96]
    assert all(torch.equal(image, wanted) for (image, _), (wanted, _) in zip(rest, told[10:], strict=True))
