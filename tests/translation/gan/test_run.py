"""impasto train gan and impasto generate: runs that are killed and go on, sheets, files, and what is asked wrongly."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cyclopts import App, CycloptsError
from safetensors.torch import load_file, save_file

from impasto.cli.runs import again
from impasto.cli.terminal import Voice
from impasto.cli.train_gan import gan, generate, resume_gan
from impasto.errors import UsageError
from impasto.images import Picture, read, read_recipe, write
from impasto.runs.directory import RunDirectory
from impasto.runs.recipe import parse
from impasto.translation.gan.generate import generate as make
from impasto.translation.gan.generated import (
    between,
    draw,
    load_generator,
    pictures,
    save_generator,
    seeded_noise,
    sheet,
)
from impasto.translation.gan.options import GanOptions, GenerateOptions
from impasto.translation.gan.run import TrainedGan, resume, train_gan

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"size": 16, "width": 4, "noise": 6, "batch_size": 4, "critic_steps": 2, "device": "cpu"}
MANY = {**SMALL, "steps": 30, "sheet_every": 7}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(6):
        write(
            folder / f"{number}.png", Picture(torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(number)))
        )
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedGan:
    """A finished run, never interrupted."""
    return train_gan(photos, run=tmp_path_factory.mktemp("runs") / "whole", **MANY)


def same(one: Path, other: Path) -> bool:
    first, second = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# A run


def test_a_run_holds_all_that_came_out(trained: TrainedGan, photos: Path) -> None:
    run = RunDirectory.open(trained.run)
    assert {path.name for path in trained.run.iterdir() if path.name[0] != "."} == {
        "options.yaml", "manifest.json", "metrics.jsonl", "model.safetensors", "sheet.png", "curves.png",
    }  # fmt: skip
    assert run.status == "finished" and run.verb == "train-gan" and run.manifest["pictures"] == 6
    records = run.read_log()
    assert [record["step"] for record in records] == list(range(1, 31))
    last = sum(record["wasserstein"] for record in records) / 30
    assert run.manifest["scores"]["wasserstein"] == trained.wasserstein == pytest.approx(last)
    assert read(trained.sheet).pixels.shape == (1, 3, 6 * 66 + 2, 6 * 66 + 2)


def test_a_run_that_is_interrupted_goes_on_to_the_same_bits(trained: TrainedGan, photos: Path, tmp_path: Path) -> None:
    steps = 0

    def listen(event: Any) -> None:
        nonlocal steps
        steps += event.where.startswith("step")
        if steps == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        train_gan(photos, run=tmp_path / "run", every=0, progress=listen, **MANY)
    assert caught.value.__notes__ == [f"go on with it by `impasto resume {tmp_path / 'run'}`"]
    assert (tmp_path / "run" / "sheet.png").exists() and not (tmp_path / "run" / "model.safetensors").exists()
    resume(tmp_path / "run")
    assert same(tmp_path / "run", trained.run)
    logs = [(folder / "metrics.jsonl").read_text() for folder in (tmp_path / "run", trained.run)]
    assert logs[0] == logs[1]
    assert (tmp_path / "run" / "sheet.png").read_bytes() == trained.sheet.read_bytes()


@pytest.mark.timeout(900)  # a fresh interpreter imports torch, which a busy machine takes its time for
def test_a_run_that_is_killed_goes_on_to_the_same_bits(
    trained: TrainedGan, photos: Path, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    code = (
        "import sys, json; from impasto.translation.gan.run import train_gan; "
        "train_gan(sys.argv[1], run=sys.argv[2], every=0, **json.loads(sys.argv[3]))"
    )
    command = [sys.executable, "-c", code, str(photos), str(tmp_path / "run"), json.dumps(MANY)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        log = tmp_path / "run" / "metrics.jsonl"

        def trains() -> bool:
            assert process.poll() is None, process.communicate()[1].decode()
            return log.exists() and log.read_bytes().count(b"\n") >= 3

        wait_until(trains, seconds=600)
        process.send_signal(signal.SIGKILL)
    assert RunDirectory.open(tmp_path / "run").status == "running"
    resume(tmp_path / "run")
    assert same(tmp_path / "run", trained.run)


def test_a_run_that_cannot_be_taken_up_is_one_line(trained: TrainedGan, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is finished: its pictures are"):
        resume(trained.run)
    RunDirectory.create(tmp_path / "other", verb="stylize", options={}, manifest={})
    with pytest.raises(UsageError, match="is one of `impasto stylize`"):
        resume(tmp_path / "other")
    options = GanOptions(**MANY).model_dump(mode="json")
    facts = {"source": str(photos), "data": "0" * 64, "made_with": {}, "every": 0}
    RunDirectory.create(tmp_path / "run", verb="train-gan", options=options, manifest=facts)
    with pytest.raises(UsageError, match="are not those the run"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("kind", ["wgan", "progressive"])
def test_other_kinds_run_too(kind: str, photos: Path, tmp_path: Path) -> None:
    made = train_gan(photos, run=tmp_path / "run", kind=kind, bursts=False, steps=3, sheet_every=1, **SMALL)
    generator = load_generator(made.run)
    assert generator.architecture["kind"] == ("progressive" if kind == "progressive" else "dcgan")
    assert pictures(generator, GenerateOptions(count=2), CPU).shape == (2, 3, 16, 16)


def test_nothing_is_begun_of_what_is_asked_wrongly(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="steps is 0"):
        train_gan(photos, run=tmp_path / "run", steps=0)
    with pytest.raises(UsageError, match="no option 'epochs'"):
        train_gan(photos, run=tmp_path / "run", epochs=3)
    with pytest.raises(UsageError, match="no folder of pictures"):
        train_gan(tmp_path / "nowhere", run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_made_again_is_the_same_and_a_changed_one_is_told(
    trained: TrainedGan, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(trained.run, (), tmp_path / "again", Voice()) == 0
    assert "identical: the same weights, bit for bit" in capsys.readouterr().out
    generator = load_generator(trained.run)
    shutil.copytree(trained.run, tmp_path / "other")
    with torch.no_grad():
        next(generator.module.parameters()).add_(0.25)
    save_generator(generator.module, generator.architecture, generator.card, tmp_path / "other" / "model.safetensors")
    assert again(tmp_path / "other", (), tmp_path / "third", Voice(json=True)) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["weights"] == pytest.approx(0.25) and facts["reasons"] == []
    with pytest.raises(UsageError, match="not those that the run was trained on"):
        train_gan(photos, run=tmp_path / "fourth", expect="0" * 64, **MANY)
    RunDirectory.create(tmp_path / "begun", verb="train-gan", options={}, manifest={})
    with pytest.raises(UsageError, match="is no finished run of `impasto train gan`"):
        again(tmp_path / "begun", (), None, Voice())


# A generator's file, and pictures


def test_a_generator_comes_back_from_its_file(trained: TrainedGan) -> None:
    generator = load_generator(trained.model)
    assert generator.card["trained_on"]["pictures"] == 6 and generator.card["options"]["steps"] == 30
    assert not any(parameter.requires_grad for parameter in generator.module.parameters())
    again = load_generator(trained.run)
    z = seeded_noise(3, 6, 0)
    assert torch.equal(draw(generator.module, z), draw(again.module, z))


def test_files_of_other_things_are_one_line(trained: TrainedGan, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(trained.model.read_bytes()[:500])
    loaded = load_generator(trained.model)
    wrong = {**loaded.architecture, "width": 5}
    save_generator(loaded.module, wrong, {}, tmp_path / "wrong.safetensors")
    for name, words in (
        ("none.safetensors", "cannot be read"),
        ("other.safetensors", "no generator of `impasto train gan`"),
        ("torn.safetensors", "damaged"),
        ("wrong.safetensors", "not those that it describes"),
        (".", "holds no generator"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            load_generator(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_seed_gives_the_same_pictures_however_many(trained: TrainedGan) -> None:
    generator = load_generator(trained.run)
    few, many = (pictures(generator, GenerateOptions(count=count, seed=4), CPU) for count in (3, 70))
    torch.testing.assert_close(many[:3], few)
    assert len(many) == 70 and not torch.equal(many[0], many[1])
    assert not torch.equal(few, pictures(generator, GenerateOptions(count=3, seed=5), CPU))


def test_ways_begin_and_end_with_pictures_and_stay_on_the_sphere(trained: TrainedGan) -> None:
    generator = load_generator(trained.run)
    rows = pictures(generator, GenerateOptions(count=20, columns=5, interpolate=True), CPU)
    ends = draw(generator.module, seeded_noise(8, 6, 0))
    begun = pictures(generator, GenerateOptions(count=18, columns=5, interpolate=True), CPU)
    assert torch.equal(begun, rows), "a row that is begun is full"
    torch.testing.assert_close(rows[0::5], ends[0::2])
    torch.testing.assert_close(rows[4::5], ends[1::2])
    one, other = seeded_noise(1, 64, 1), seeded_noise(1, 64, 2)
    one, other = one / one.norm(), other / other.norm()
    way = between(one, other, torch.linspace(0, 1, 7))[0]
    torch.testing.assert_close(way.norm(dim=1), torch.ones(7))
    turns = (way[1:] * way[:-1]).sum(dim=1)
    torch.testing.assert_close(turns, turns[:1].expand(6))
    torch.testing.assert_close(between(one, one, torch.tensor([0.5]))[0], one, atol=1e-3, rtol=0)


def test_pictures_on_a_sheet_stand_where_they_should() -> None:
    made = torch.rand(5, 3, 4, 4)
    whole = sheet(made, columns=3, enlarge=2, margin=1)
    assert whole.shape == (1, 3, 2 * 9 + 1, 3 * 9 + 1)
    assert torch.equal(whole[0, :, 10:18:2, 1:9:2], made[3]) and torch.equal(whole[0, :, 11:19:2, 2:10:2], made[3])
    assert float(whole[0, :, 0].min()) == 1 == float(whole[0, :, 10:18, 20:27].min())


def test_a_sheet_carries_its_recipe(trained: TrainedGan, tmp_path: Path) -> None:
    assert make(trained.run, tmp_path / "sheet.png", count=4, seed=3) == 4
    recipe = parse(read_recipe(tmp_path / "sheet.png"), tmp_path / "sheet.png")
    assert recipe.verb == "generate" and recipe.options == {"count": 4, "seed": 3}
    assert recipe.inputs[0].sha256 == RunDirectory.open(trained.run).manifest["sha256"]


# The command line


def test_the_command_line_trains_resumes_and_generates(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    app = App(result_action="return_value")
    app.command(gan)
    app.command(generate)
    flags = "--size 16 --width 4 --noise 6 --batch-size 4 --critic-steps 1 --steps 3 --device cpu --flip --json"
    assert app(["gan", str(photos), *flags.split()], exit_on_error=False) == 0
    facts = json.loads(capsys.readouterr().out)
    assert Path(facts["run"]).name.endswith(f"-train-gan-{photos.name}-wgan-gp") and Path(facts["sheet"]).is_file()
    assert RunDirectory.open(facts["run"]).options["flip"] is True
    app(["generate", facts["run"], "--count", "8", "--interpolate", "--columns", "4"], exit_on_error=False)
    said = capsys.readouterr().out
    assert "8 pictures" in said and Path(said.split()[0]).is_file()
    with pytest.raises(UsageError, match="is finished"):
        resume_gan(Path(facts["run"]), Voice())
    with pytest.raises(CycloptsError):
        app(["gan", str(photos), "--size", "40"], exit_on_error=False, print_error=False)


def test_an_interrupted_command_says_how_to_go_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("impasto.translation.gan.run.save_generator", stop)
    flags = GanOptions(**SMALL, steps=1)
    assert gan(photos, run=tmp_path / "run", options=flags, voice=Voice(json=True)) == 1
    assert "go on with it by `impasto resume" in json.loads(capsys.readouterr().err)["error"]
    assert resume_gan(tmp_path / "run", Voice(json=True)) == 1
    monkeypatch.undo()
    assert resume_gan(tmp_path / "run", Voice(json=True)) == 0
