"""Batches: photographs painted one after the other, what is done skipped, bad files survived."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import impasto
from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read, read_recipe, write
from impasto.runs.directory import RunDirectory
from impasto.synthesis import batch, run
from impasto.synthesis.batch import stylize_batch
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.stylize import stylize

QUICK = {"quality": "draft", "steps": 4}


def scene(seed: int, height: int = 32, width: int = 40) -> torch.Tensor:
    coarse = torch.rand(1, 3, 3 + 2 * seed, 4 + 2 * seed, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Three photographs of one size, one of another, and a painting."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a", "b", "c"), start=1):
        write(f"{name}.png", Picture(scene(seed)))
    write("wide.png", Picture(scene(4, 32, 64)))
    write("paint.png", Picture(scene(5)))
    return tmp_path


def painted(*contents: str, out: str = "out", styles=("paint.png",), **options) -> list[tuple[str, str]]:
    """Name and status of each."""
    items = list(stylize_batch(contents, styles, out, **(QUICK | options)))
    assert [item.content.name for item in items] == [Path(content).name for content in contents]
    return [(item.out.name, item.status) for item in items]


def test_the_folder_is_made_and_every_photograph_painted(folder):
    assert painted("a.png", "wide.png", out="deep/out") == [
        ("a-paint.png", "painted"),
        ("wide-paint.png", "painted"),
    ]
    assert {path.name for path in Path("deep/out").iterdir()} == {"a-paint.png", "wide-paint.png"}
    assert read("deep/out/wide-paint.png").width == 64


@pytest.mark.parametrize(
    "options",
    [{}, {"color": "match"}, {"color": "histogram"}, {"loss": ("wasserstein", "sliced")}, {"size": 192, "tile": 64}],
    ids=str,
)
def test_a_picture_is_the_one_that_it_is_alone(folder, options):
    """Though the painting is measured once for all photographs."""
    painted("a.png", "wide.png", "b.png", **options)
    for name in ("a", "wide", "b"):
        alone = stylize(f"{name}.png", "paint.png", **(QUICK | options))
        assert torch.equal(read(alone.save("alone.png")).pixels, read(f"out/{name}-paint.png").pixels)
        assert json.loads(read_recipe("alone.png")) == json.loads(read_recipe(f"out/{name}-paint.png"))


def test_the_painting_is_measured_once_for_photographs_of_one_size(folder, monkeypatch):
    from impasto.synthesis import calibration

    measured, fit = [], calibration._fit

    def counted(taps, style, keys, side, fitted):
        measured.append(sum(key not in fitted for key in keys.values()))
        return fit(taps, style, keys, side, fitted)

    monkeypatch.setattr(calibration, "_fit", counted)
    painted("a.png", "b.png", "wide.png", "c.png")
    assert measured[0] > 0 and measured[1] == 0 and measured[2] > 0
    assert measured[3] == measured[0], "what was measured at another size is not kept for ever"


def test_what_is_done_is_skipped(folder):
    painted("a.png")
    before = Path("out/a-paint.png").stat().st_mtime_ns
    assert painted("a.png", "b.png") == [("a-paint.png", "skipped"), ("b-paint.png", "painted")]
    assert Path("out/a-paint.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("what", ["strength", "content", "style", "mask", "init"])
def test_what_was_changed_is_painted_again(folder, what):
    white = Picture(torch.ones(1, 3, 32, 40))
    write("mask.png", white)
    write("start.png", white)
    options = {"masks": ("mask.png",), "init": "start.png"}
    painted("a.png", "b.png", **options)
    names = {"content": "a.png", "style": "paint.png", "mask": "mask.png", "init": "start.png"}
    if what == "strength":
        options["strength"] = 0.9
    else:
        write(names[what], Picture(scene(6)))
    again = [("a-paint.png", "painted"), ("b-paint.png", "skipped" if what == "content" else "painted")]
    assert painted("a.png", "b.png", **options) == again
    assert painted("a.png", "b.png", **options) == [(name, "skipped") for name, _ in again]


def test_an_interrupted_picture_is_painted_again(folder):
    def interrupt(event) -> None:
        raise KeyboardInterrupt

    Path("out").mkdir()
    stylize("a.png", "paint.png", progress=interrupt, **QUICK).save("out/a-paint.png")
    assert painted("a.png") == [("a-paint.png", "painted")]
    assert "finished" not in json.loads(read_recipe("out/a-paint.png"))


def test_a_bad_file_does_not_stop_the_others(folder):
    Path("bad.jpg").write_text("words")
    write("dot.png", Picture(torch.rand(1, 3, 2, 2)))
    items = list(stylize_batch(["a.png", "bad.jpg", "none.png", "dot.png", "b.png"], ["paint.png"], "out", **QUICK))
    assert [item.status for item in items] == ["painted", "failed", "failed", "failed", "painted"]
    said = [item.error for item in items]
    assert "bad.jpg" in said[1] and "none.png" in said[2] and "dot.png" in said[3] and said[0] == said[4] == ""
    assert all("\n" not in line for line in said)
    assert {path.name for path in Path("out").iterdir()} == {"a-paint.png", "b-paint.png"}


@pytest.mark.parametrize("foreign", ["picture", "words"])
def test_what_impasto_has_not_made_is_not_overwritten(folder, foreign):
    Path("out").mkdir()
    place = Path("out/a-paint.png")
    if foreign == "picture":
        shutil.copy("b.png", place)
    else:
        place.write_text("mine")
    before = place.read_bytes()
    items = list(stylize_batch(["a.png", "b.png"], ["paint.png"], "out", **QUICK))
    assert [item.status for item in items] == ["failed", "painted"]
    assert "a-paint.png" in items[0].error and "not made by impasto" in items[0].error
    assert place.read_bytes() == before


def test_two_photographs_of_one_name_are_refused_before_any_work(folder):
    Path("more").mkdir()
    shutil.copy("b.png", "more/a.png")
    with pytest.raises(UsageError, match="a-paint.png.*rename"):
        painted("a.png", "more/a.png")
    assert not Path("out").exists()


def test_bad_options_are_refused_before_any_work(folder):
    for options in ({"strength": 2}, {"suffix": ".docx"}):
        with pytest.raises(UsageError, match="strength|docx"):
            painted("a.png", **options)
    for contents, styles in (((), ("paint.png",)), (("a.png",), ())):
        with pytest.raises(UsageError, match="photographs and a painting"):
            painted(*contents, styles=styles)
    assert not Path("out").exists()


def test_a_folder_that_cannot_be_made_is_said(folder):
    Path("file").write_text("")
    with pytest.raises(ImpastoError, match="file/out cannot be made"):
        painted("a.png", out="file/out")


def test_an_interrupt_ends_the_batch_and_the_next_one_goes_on(folder):
    events = []

    def interrupt(event) -> None:
        events.append(event)
        if len(events) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        painted("a.png", "b.png", "c.png", progress=interrupt)
    assert [path.name for path in Path("out").iterdir()] == ["a-paint.png"]
    statuses = [status for _, status in painted("a.png", "b.png", "c.png")]
    assert statuses == ["skipped", "painted", "painted"]


@pytest.mark.parametrize("precious", [10**9, 1], ids=["small", "in a run"])
def test_an_interrupt_leaves_the_picture_that_was_there(folder, monkeypatch, precious):
    def interrupt(event) -> None:
        raise KeyboardInterrupt

    painted("a.png")
    before = Path("out/a-paint.png").read_bytes()
    monkeypatch.setattr(run, "PRECIOUS", precious)
    with pytest.raises(KeyboardInterrupt):
        painted("a.png", strength=0.9, progress=interrupt)
    assert Path("out/a-paint.png").read_bytes() == before


def test_a_large_picture_is_made_in_a_run_and_resumed_into_the_folder(folder, monkeypatch):
    monkeypatch.setattr(run, "PRECIOUS", 32 * 64)
    assert painted("a.png", "wide.png") == [("a-paint.png", "painted"), ("wide-paint.png", "painted")]
    (made,) = Path("runs").iterdir()
    assert RunDirectory.open(made).manifest["output"] == str(folder / "out" / "wide-paint.png")
    Path("out/wide-paint.png").unlink()

    def interrupt(event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        painted("wide.png", progress=interrupt)
    assert not Path("out/wide-paint.png").exists()
    (begun,) = set(Path("runs").iterdir()) - {made}
    impasto.resume(begun)
    assert painted("a.png", "wide.png") == [("a-paint.png", "skipped"), ("wide-paint.png", "skipped")]


def test_what_fails_in_one_of_several_processes_ends_the_batch(folder, monkeypatch):
    def full(*arguments):
        raise ImpastoError("out of memory")

    monkeypatch.setattr(batch, "prepare", full)
    assert painted("a.png", "b.png") == [("a-paint.png", "failed"), ("b-paint.png", "failed")]
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ImpastoError, match="out of memory"):
        painted("a.png", "b.png")


def test_options_suffix_and_several_styles(folder):
    options = StyleTransferOptions(quality="draft", steps=2)
    (item,) = stylize_batch(["a.png"], ["paint.png", "b.png"], "out", options=options, suffix=".jpg", strength=0.8)
    assert item.out == Path("out/a-paint-b.jpg") and item.status == "painted"
    made = json.loads(read_recipe(item.out))
    assert made["options"] == {"quality": "draft", "steps": 2, "strength": 0.8}


def test_the_verb_is_on_the_packages_face():
    assert impasto.stylize_batch is batch.stylize_batch
