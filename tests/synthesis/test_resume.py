"""Resume, from Python: the picture that the run would have made. (Kills are in tests/cli/test_runs.py.)"""

import json
from pathlib import Path

import pytest
import torch

import impasto
from impasto.errors import UsageError
from impasto.images import Picture, read, read_recipe, write
from impasto.runs.directory import RunDirectory
from impasto.synthesis.resume import resume
from impasto.synthesis.stylize import stylize


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("photo.png", "painting.png", "start.png")):
        coarse = torch.rand(1, 3, 5 + 4 * seed, 7, generator=torch.Generator().manual_seed(seed))
        write(name, Picture(torch.nn.functional.interpolate(coarse, (32, 48), mode="bilinear")))
    left = (torch.arange(48) < 24).float().expand(1, 3, 32, 48).contiguous()
    write("left.png", Picture(left))
    write("right.png", Picture(1 - left))
    return tmp_path


def begun(at: int = 3, **options) -> None:
    """A run that was interrupted before its first checkpoint, which is written after twenty seconds."""
    told = []

    def interrupt(event) -> None:
        told.append(event)
        if len(told) == at:
            raise KeyboardInterrupt

    stylize("photo.png", ["painting.png", "start.png"], run="run", progress=interrupt, **({"steps": 6} | options))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"init": "start.png", "style_weights": (2, 1), "loss": ("gram", "histogram"), "loss_weights": (1, 3)},
        {"masks": ("left.png", "right.png"), "style_masks": ("right.png", "left.png")},
        {"size": 192, "steps": 3, "color": "match", "taps": "relu2_1"},
    ],
    ids=str,
)
def test_the_picture_is_the_one_that_it_would_have_been(folder, options):
    begun(**options)
    before = read_recipe("run/picture.png")
    assert json.loads(before)["finished"] is False
    result, out = resume("run")
    whole = stylize("photo.png", ["painting.png", "start.png"], **({"steps": 6} | options))
    assert out == folder / "run" / "picture.png"
    assert torch.equal(result.tensor, whole.tensor) and result.history == whole.history
    assert RunDirectory.open("run").read_log() == list(whole.history)
    assert torch.equal(read(out).pixels, read(whole.save("whole.png")).pixels)
    assert impasto.rerun("run")[1].identical


def test_progress_and_preview_are_told(folder):
    begun()
    events = []
    resume("run", progress=events.append, preview="now.png")
    assert events[-1].done == 1 and read("now.png").width == 48


def test_a_resumed_run_can_be_interrupted_again(folder):
    begun()

    def interrupt(event) -> None:
        if event.step == 2:
            raise KeyboardInterrupt

    result, out = resume("run", progress=interrupt)
    assert not result.recipe.finished and RunDirectory.open("run").status == "interrupted"
    assert json.loads(read_recipe(out))["finished"] is False
    assert resume("run")[0].recipe.finished


def test_a_finished_run_is_refused(folder):
    stylize("photo.png", "painting.png", steps=2, run="run")
    with pytest.raises(UsageError, match=r"finished.*picture\.png"):
        resume("run")


def test_no_run_is_refused(folder):
    with pytest.raises(UsageError, match="no run in"):
        resume("run")


def test_a_run_of_another_verb_is_refused(folder):
    RunDirectory.create("run", verb="train", options={}, manifest={"inputs": [], "networks": {}, "made_with": {}})
    with pytest.raises(UsageError, match="is a run of a classifier: impasto.learning.classify.resume"):
        resume("run")


def test_other_weights_are_refused(folder):
    begun()
    manifest = json.loads(Path("run/manifest.json").read_text())
    manifest["networks"]["pocket"] = "0" * 64
    Path("run/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="weights of pocket"):
        resume("run")


def test_moved_inputs_are_found_by_search(folder):
    begun()
    Path("moved").mkdir()
    Path("photo.png").rename("moved/photo.png")
    with pytest.raises(UsageError, match=r"photo\.png"):
        resume("run")
    assert resume("run", search=["moved"])[0].recipe.finished


def test_another_version_is_warned_of(folder, caplog):
    begun()
    manifest = json.loads(Path("run/manifest.json").read_text())
    manifest["made_with"]["threads"] = "999"
    Path("run/manifest.json").write_text(json.dumps(manifest))
    resume("run")
    (record,) = caplog.records
    assert record.getMessage().startswith("threads was 999 when the run began and is ")


def test_the_verb_is_on_the_packages_face():
    assert impasto.resume is resume
