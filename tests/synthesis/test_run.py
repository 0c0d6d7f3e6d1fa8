"""Runs from Python: a directory with all that is needed to go on."""

import json
from pathlib import Path

import pytest
import torch
import yaml

import impasto
from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read, read_recipe, write
from impasto.runs.directory import RunDirectory
from impasto.synthesis import run as runs
from impasto.synthesis import stylize
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.run import automatic_directory, carry_out, make_in_run


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("photo.png", "painting.png")):
        write(name, Picture(torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(seed))))
    return tmp_path


def craft(**options):
    return stylize.prepare("photo.png", ["painting.png"], StyleTransferOptions(**({"steps": 3} | options)))


def test_a_run_holds_options_manifest_metrics_and_picture(folder):
    result = impasto.stylize("photo.png", "painting.png", steps=3, strength=0.7, run="made/run")
    assert {path.name for path in Path("made/run").iterdir()} - {".lock"} == {
        "options.yaml",
        "manifest.json",
        "metrics.jsonl",
        "picture.png",
    }
    run = RunDirectory.open("made/run")
    assert run.status == "finished" and run.verb == "stylize" and run.manifest["output"] == "picture.png"
    assert run.manifest["losses"] == result.losses and run.manifest["seed"] == 0
    assert [one["role"] for one in run.manifest["inputs"]] == ["content", "style"]
    assert run.manifest["networks"].keys() == {"pocket"} and run.manifest["made_with"]["torch"] == torch.__version__
    assert yaml.safe_load(Path("made/run/options.yaml").read_text())["strength"] == 0.7
    assert run.read_log() == list(result.history)
    saved = read("made/run/picture.png")
    assert (saved.pixels - result.tensor).abs().max() <= 0.5 / 255 + 1e-6
    assert saved.recipe == read_recipe(result.save("alone.png"))


@pytest.mark.parametrize("verb", ["texture", "invert"])
def test_the_other_crafts_run_too(folder, verb):
    getattr(impasto, verb)("painting.png", steps=2, size="48x48" if verb == "texture" else 48, run="run", out="o.tif")
    run = RunDirectory.open("run")
    assert run.verb == verb and run.manifest["output"] == str(folder / "o.tif")
    assert impasto.rerun("run")[1].identical


def test_a_run_makes_the_picture_that_is_made_without(folder):
    with_run, without = carry_out(craft(), run="run"), carry_out(craft())
    assert torch.equal(with_run.tensor, without.tensor) and with_run.recipe == without.recipe


def test_a_picture_without_a_run_is_written_where_it_is_said(folder):
    result = impasto.stylize("photo.png", "painting.png", steps=2, out="out.png")
    assert read_recipe("out.png") == result.picture.recipe and not Path("runs").exists()
    with pytest.raises(ImpastoError, match="docx"):
        carry_out(craft(), out="out.docx", progress=lambda event: pytest.fail("it went to work"))


@pytest.mark.parametrize("run", [None, "run"])
def test_an_interrupted_picture_is_written_unless_it_is_not_wanted(folder, run):
    def interrupt(event) -> None:
        raise KeyboardInterrupt

    assert not carry_out(craft(), run=run, out="no.png", progress=interrupt, unfinished=False).recipe.finished
    assert not Path("no.png").exists()
    carry_out(craft(), run=run and "other", out="out.png", progress=interrupt)
    assert json.loads(read_recipe("out.png"))["finished"] is False


def test_only_a_large_picture_gets_a_run_unasked(folder, monkeypatch):
    carry_out(craft(), run="auto")
    assert not Path("runs").exists() and automatic_directory(craft()) is None
    monkeypatch.setattr(runs, "PRECIOUS", 32 * 48)
    carry_out(craft(), run="auto", out="out.png")
    (made,) = Path("runs").iterdir()
    assert made.name.endswith("-stylize-photo-painting") and Path("out.png").exists()
    carry_out(craft(), run="mine")
    assert Path("mine/picture.png").exists()


def test_pictures_in_memory_cannot_be_in_a_run(folder):
    picture = read("photo.png")
    for inputs in ((picture, "painting.png"), ("photo.png", picture)):
        with pytest.raises(UsageError, match="files"):
            impasto.stylize(*inputs, steps=1, run="run")
    assert not Path("run").exists()


@pytest.mark.parametrize(("out", "said"), [("out.docx", "docx"), ("nowhere/out.png", "nowhere")])
def test_a_place_that_cannot_be_written_is_refused_before_there_is_a_run(folder, out, said):
    with pytest.raises(ImpastoError, match=said):
        make_in_run(craft(), "run", out=out)
    assert not Path("run").exists()


def test_a_used_directory_is_left_alone(folder):
    make_in_run(craft(), "run")
    before = {path: path.read_bytes() for path in Path("run").iterdir()}
    with pytest.raises(UsageError, match="holds a run already"):
        make_in_run(craft(strength=0.9), "run")
    assert {path: path.read_bytes() for path in Path("run").iterdir()} == before


def test_a_failure_leaves_the_run_interrupted_with_its_checkpoint(folder):
    def broken(event) -> None:
        if event.step == 2:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_in_run(craft(), "run", every=0, progress=broken)
    assert RunDirectory.open("run").status == "interrupted"
    assert RunDirectory.open("run").checkpoint_path.exists() and not Path("run/picture.png").exists()
    assert impasto.resume("run")[0].recipe.finished


def test_the_manifest_says_how_often_and_where(folder):
    make_in_run(craft(), "run", every=7, out="out.png")
    manifest = json.loads(Path("run/manifest.json").read_text())
    assert manifest["every"] == 7 and manifest["picture"] == str(folder / "out.png")
