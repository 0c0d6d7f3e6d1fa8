"""Plans: what would be done, before anything is spent on it."""

from pathlib import Path

import pytest
import torch

import impasto
from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, write
from impasto.synthesis import invert, texture
from impasto.synthesis.options import InversionOptions, StyleTransferOptions, TextureOptions
from impasto.synthesis.plan import plan, plan_of


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("photo.png", "painting.png"):
        write(folder / name, Picture(torch.rand(1, 3, 48, 64)))
    return folder / "photo.png", folder / "painting.png"


def test_every_stage_is_planned_with_its_tiles_memory_and_time(files):
    made = plan(*files, size=200)
    sizes = [stage.stage.size for stage in made.stages]
    assert sizes == [(75, 100), (150, 200)]
    rows = [stage.row() for stage in made.stages]
    assert [row["size"] for row in rows] == ["100×75", "200×150"]
    assert all(row["network"] == "pocket" and row["tiles"] == "whole" and row["steps"] > 0 for row in rows)
    assert 0 < made.seconds < 600 and made.seconds == pytest.approx(sum(stage.seconds for stage in made.stages))
    assert made.bytes == max(stage.layout.bytes for stage in made.stages) > 0


def test_a_plan_is_what_is_then_done(files):
    events = []
    impasto.stylize(*files, size=200, steps=2, tile=64, progress=events.append)
    made = plan(*files, size=200, steps=2, tile=64)
    assert tuple(stage.stage for stage in made.stages) == events[0].stages
    last = made.stages[-1]
    assert last.layout.tiling.side == events[-1].tile == 64
    assert last.row()["tiles"] == f"{len(last.layout.tiling.tiles)} of 64"


def test_larger_pictures_need_more_of_everything(files):
    small, large = plan(*files, size=200), plan(*files, size=3000)
    assert large.seconds > 10 * small.seconds and large.bytes > small.bytes


def test_the_optimizer_is_shown(files):
    adam, lbfgs = (plan(*files, optimizer=name).stages[0].row()["optimizer"] for name in ("adam", "lbfgs"))
    assert adam == "adam" and lbfgs.startswith("lbfgs, ") and lbfgs.endswith(" pairs")
    huge = plan(*files, size=3400, memory=64).stages[-1]
    assert huge.row()["optimizer"].endswith("in half precision") and huge.stage.half


def test_less_memory_makes_smaller_tiles(files):
    whole, tiled = (plan(*files, size=1500, memory=memory).stages[-1].layout for memory in (64, 1.0))
    assert len(tiled.tiling.tiles) > len(whole.tiling.tiles)


def test_nothing_is_written(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan(*files, size=100)
    assert not list(tmp_path.iterdir()) and len(list(files[0].parent.iterdir())) == 2


def test_several_styles_masks_and_colours_are_planned(files, tmp_path):
    write(tmp_path / "mask.png", Picture(torch.ones(1, 3, 48, 64)))
    mask = tmp_path / "mask.png"
    made = plan(files[0], [files[1], files[0]], masks=(mask, mask), color="keep", loss=("gram", "histogram"))
    assert made.seconds > 0


def test_options_as_a_model_and_as_keywords_agree(files):
    model = plan(*files, options=StyleTransferOptions(size=100, steps=3))
    assert [s.stage for s in model.stages] == [s.stage for s in plan(*files, size=100, steps=3).stages]


def test_any_craft_has_a_plan(files):
    tile = plan_of(texture.prepare([files[1]], TextureOptions(size="96x64", tileable=True)))
    inversion = plan_of(invert.prepare(files[0], InversionOptions(scales=2)))
    assert len(inversion.stages) == 2 and tile.seconds > 0 and inversion.seconds > 0


def test_what_would_be_refused_is_refused(files, tmp_path):
    with pytest.raises(UsageError, match="none.png"):
        plan(tmp_path / "none.png", files[1])
    with pytest.raises(UsageError, match="halo"):
        plan(*files, taps="relu4_1", tile=16)
    with pytest.raises(ImpastoError, match="--size"):
        plan(*files, size=60_000)
