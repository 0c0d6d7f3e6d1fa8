"""Sessions: listeners, previews, interrupts and full memories while a picture is made."""

from pathlib import Path

import pytest
import torch

from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read, write
from impasto.runs.circumstances import circumstances
from impasto.runs.directory import RunDirectory
from impasto.synthesis import invert, stylize, texture
from impasto.synthesis.options import InversionOptions, StyleTransferOptions, TextureOptions
from impasto.synthesis.session import listening, make

CRAFTS = {
    "stylize": lambda path: stylize.prepare(path, [path], StyleTransferOptions(size=48, steps=4, init="noise")),
    "texture": lambda path: texture.prepare([path], TextureOptions(size="48x32", steps=4)),
    "invert": lambda path: invert.prepare(path, InversionOptions(size=48, steps=4)),
}


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("inputs") / "photo.png"
    write(path, Picture(torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))))
    return path


@pytest.mark.parametrize("verb", CRAFTS)
def test_every_craft_is_made_with_its_recipe_and_history(photo, tmp_path, verb):
    events = []
    result = make(CRAFTS[verb](photo), progress=events.append, preview=tmp_path / "preview.png")
    assert result.recipe.verb == verb and result.recipe.finished
    assert result.recipe.made_with == circumstances(torch.device("cpu"))
    assert [step["step"] for step in result.history] == [1, 2, 3, 4] == [event.step for event in events]
    assert result.losses == events[-1].losses
    assert (read(tmp_path / "preview.png").pixels - result.tensor).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("verb", CRAFTS)
def test_an_interrupt_ends_the_work_with_the_picture_so_far(photo, verb):
    events = []

    def interrupt(event) -> None:
        events.append(event.image.clone())
        if len(events) == 2:
            raise KeyboardInterrupt

    result = make(CRAFTS[verb](photo), progress=interrupt)
    assert not result.recipe.finished and len(result.history) == 2
    assert torch.equal(result.tensor, events[-1].clamp(0, 1))


def test_checkpoints_and_metrics_are_kept_at_every_step_if_told(photo, tmp_path):
    craft = CRAFTS["invert"](photo)
    run = RunDirectory.create(tmp_path / "run", verb="invert", options={}, manifest={})
    seen = []

    def listen(event) -> None:
        seen.append((run.checkpoint_path.exists(), run.log_length()))

    result = make(craft, run=run, every=0, progress=listen)
    assert seen == [(True, 1), (True, 2), (True, 3), (True, 4)]
    assert run.read_log() == list(result.history)


def test_checkpoints_are_written_seldom_by_default(photo, tmp_path):
    run = RunDirectory.create(tmp_path / "run", verb="invert", options={}, manifest={})
    make(CRAFTS["invert"](photo), run=run)
    assert not run.checkpoint_path.exists() and run.log_length() == 4


def test_a_checkpoint_is_gone_on_from_and_what_it_does_not_know_is_forgotten(photo, tmp_path):
    craft = CRAFTS["stylize"](photo)
    run = RunDirectory.create(tmp_path / "run", verb="stylize", options={}, manifest={})

    def interrupt(event) -> None:
        if event.step == 2:
            raise KeyboardInterrupt

    make(craft, run=run, every=0, progress=interrupt)
    run.log({"stage": 0, "step": 3, "total": 7.0})  # a step that was told of but not kept
    whole, again = make(CRAFTS["stylize"](photo)), make(CRAFTS["stylize"](photo), run=run)
    assert torch.equal(whole.tensor, again.tensor) and whole.history == again.history
    assert run.read_log() == list(whole.history)


def test_a_preview_must_be_writable_before_the_work(photo, tmp_path):
    with pytest.raises(UsageError, match="docx"):
        make(CRAFTS["invert"](photo), preview=tmp_path / "now.docx")
    with pytest.raises(ImpastoError, match="nowhere"):
        make(CRAFTS["invert"](photo), preview=tmp_path / "nowhere" / "now.png")


def test_a_preview_that_fails_later_does_not_cost_the_picture(photo, tmp_path):
    (tmp_path / "folder").mkdir()

    def remove(event) -> None:
        (tmp_path / "folder" / "now.png").unlink(missing_ok=True)
        if (tmp_path / "folder").exists():
            (tmp_path / "folder").rmdir()

    result = make(CRAFTS["invert"](photo), preview=tmp_path / "folder" / "now.png", progress=remove)
    assert result.recipe.finished


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("not enough memory: x")])
def test_a_full_memory_is_told_in_words(error):
    with pytest.raises(ImpastoError, match="out of memory.*--size"), listening(None, None):
        raise error


def test_other_errors_go_through():
    with pytest.raises(RuntimeError, match="else"), listening(None, None):
        raise RuntimeError("something else")


def test_the_callers_listeners_are_kept():
    def listen(event) -> None: ...

    def download(done, total) -> None: ...

    with listening(listen, download) as heard:
        assert heard == (listen, download)
    with listening(None, None) as heard:
        assert heard == (None, None), "no bar but in a notebook"
