"""impasto stylize: the picture, its place and format, options from flags and files, and Ctrl-C."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from impasto.cli.app import run
from impasto.images import read, read_recipe

FAST = ["--size", "64", "--quality", "draft"]


def noise(path: Path, width: int, height: int) -> None:
    Image.frombytes("RGB", (width, height), random.Random(path.name).randbytes(3 * width * height)).save(path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the command runs, with a photograph and a painting."""
    noise(tmp_path / "photo.png", 96, 72)
    noise(tmp_path / "painting.png", 80, 80)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def recipe(path: Path | str) -> dict[str, object]:
    return json.loads(read_recipe(path) or "{}")


def launch(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "impasto", *arguments]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# The picture


def test_the_command_writes_one_picture_beside_the_photograph(folder: Path) -> None:
    process = launch("stylize", "photo.png", "painting.png", *FAST, "--json")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    facts = json.loads(out)
    assert out.count("\n") == 1 and facts["out"] == "photo-painting.png" and facts["finished"] is True
    assert facts["steps"] > 0 and facts["seconds"] > 0 and {"style", "content"} <= facts["losses"].keys()
    assert names(folder) == {"photo.png", "painting.png", "photo-painting.png"}
    picture = read("photo-painting.png")
    assert (picture.width, picture.height) == (64, 48)
    assert recipe("photo-painting.png")["options"] == {"size": 64, "quality": "draft"}


def test_a_person_is_told_the_file_its_size_and_how_far_it_came(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["stylize", "photo.png", "painting.png", *FAST]) == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[-1].startswith("photo-painting.png  64×48, ") and "% of the way" in out
    assert out.count("\n") == 1, "one line, and no remains of the bar"
    assert err == "", "no bar where there is no terminal"


def test_the_picture_lies_beside_the_photograph_wherever_that_is(folder: Path) -> None:
    (folder / "album").mkdir()
    (folder / "photo.png").rename(folder / "album" / "my photo.of us.png")
    assert run(["stylize", "album/my photo.of us.png", "painting.png", *FAST]) == 0
    assert names(folder / "album") == {"my photo.of us.png", "my photo.of us-painting.png"}


def test_an_earlier_picture_is_not_replaced_unless_named(folder: Path) -> None:
    for _ in range(3):
        assert run(["stylize", "photo.png", "painting.png", *FAST]) == 0
    assert {"photo-painting.png", "photo-painting-2.png", "photo-painting-3.png"} <= names(folder)
    (folder / "mine.png").write_text("old")
    assert run(["stylize", "photo.png", "painting.png", *FAST, "--out", "mine.png"]) == 0
    assert read("mine.png").width == 64


def test_several_styles_are_mixed_by_their_weights(folder: Path) -> None:
    noise(folder / "third.png", 50, 60)
    weights = ["--style-weights", "2", "1"]
    assert run(["stylize", "photo.png", "painting.png", "third.png", *FAST, *weights]) == 0
    made = recipe("photo-painting-third.png")
    assert made["options"] == {"size": 64, "quality": "draft", "style_weights": [2.0, 1.0]}
    assert [one["role"] for one in made["inputs"]] == ["content", "style", "style"]  # type: ignore[index,attr-defined]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "a.webp", "a.tif", "a.avif", "ä b.png"])
def test_the_suffix_chooses_the_format(name: str) -> None:
    assert run(["stylize", "photo.png", "painting.png", *FAST, "--out", name]) == 0
    picture = read(name)
    assert (picture.width, picture.height) == (64, 48)
    assert recipe(name)["verb"] == "stylize"


def test_the_same_command_gives_the_same_file() -> None:
    for name in ("one.png", "two.png"):
        assert run(["stylize", "photo.png", "painting.png", *FAST, "--init", "noise", "--out", name]) == 0
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()


def test_a_preview_is_a_picture_of_the_final_size(folder: Path) -> None:
    assert run(["stylize", "photo.png", "painting.png", *FAST, "--preview", "now.jpg"]) == 0
    assert (read("now.jpg").width, read("now.jpg").height) == (64, 48)
    assert names(folder) == {"photo.png", "painting.png", "photo-painting.png", "now.jpg"}


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_a_file_name_that_is_no_text_is_no_obstacle(folder: Path) -> None:
    name = os.fsdecode(b"ph\xffoto.png")
    os.rename("photo.png", name)
    assert run(["stylize", name, "painting.png", *FAST]) == 0
    made = os.fsdecode(b"ph\xffoto-painting.png")
    assert run(["show", made]) == 0 == run(["rerun", made, "--search", "."])


# Options


def test_options_come_from_a_file_and_flags_go_over_it() -> None:
    Path("how.yaml").write_text("strength: 0.9\nseed: 3\nsize: 48\nquality: draft\n")
    assert run(["stylize", "photo.png", "painting.png", "--options", "how.yaml", "--size", "64"]) == 0
    expected = {"strength": 0.9, "seed": 3, "size": 64, "quality": "draft"}
    assert recipe("photo-painting.png")["options"] == expected


def test_a_flag_can_bring_back_a_default() -> None:
    Path("how.yaml").write_text("strength: 0.9\nsize: 64\nquality: draft\n")
    assert run(["stylize", "photo.png", "painting.png", "--options", "how.yaml", "--strength", "0.5"]) == 0
    assert recipe("photo-painting.png")["options"] == {"size": 64, "quality": "draft"}


def test_what_show_prints_is_an_options_file(capsys: pytest.CaptureFixture[str]) -> None:
    import yaml

    flags = [*FAST, "--color", "keep", "--taps", "relu1_1", "relu3_1", "--loss", "meanstd"]
    assert run(["stylize", "photo.png", "painting.png", *flags, "--out", "one.png"]) == 0
    capsys.readouterr()
    run(["show", "one.png"])
    Path("how.yaml").write_text(yaml.safe_dump(yaml.safe_load(capsys.readouterr().out)["options"]))
    assert run(["stylize", "photo.png", "painting.png", "--options", "how.yaml", "--out", "two.png"]) == 0
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()


def test_an_empty_options_file_says_nothing() -> None:
    Path("how.yaml").write_text("# later\n")
    assert run(["stylize", "photo.png", "painting.png", *FAST, "--options", "how.yaml"]) == 0


def test_several_losses_are_mixed_by_their_weights() -> None:
    flags = ["--loss", "gram", "histogram", "--loss-weights", "1", "0.5"]
    assert run(["stylize", "photo.png", "painting.png", *FAST, *flags]) == 0
    expected = {"size": 64, "quality": "draft", "loss": ["gram", "histogram"], "loss_weights": [1.0, 0.5]}
    assert recipe("photo-painting.png")["options"] == expected


def test_a_file_may_name_one_loss_as_a_word() -> None:
    Path("how.yaml").write_text("loss: meanstd\nsize: 64\nquality: draft\n")
    assert run(["stylize", "photo.png", "painting.png", "--options", "how.yaml", "--out", "one.png"]) == 0
    assert run(["stylize", "photo.png", "painting.png", *FAST, "--loss", "meanstd", "--out", "two.png"]) == 0
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()


def test_styles_go_to_their_regions(folder: Path) -> None:
    noise(folder / "third.png", 50, 60)
    for name, box in (("left", (0, 0, 48, 72)), ("right", (48, 0, 96, 72))):
        mask = Image.new("L", (96, 72))
        mask.paste(255, box)
        mask.save(f"{name}.png")
    flags = ["--masks", "left.png", "right.png", "--tile", "32"]
    assert run(["stylize", "photo.png", "painting.png", "third.png", *FAST, *flags]) == 0
    made = recipe("photo-painting-third.png")
    assert [one["role"] for one in made["inputs"]] == ["content", "style", "style", "mask", "mask"]  # type: ignore[index,attr-defined]
    assert run(["rerun", "photo-painting-third.png"]) == 0


def test_the_painting_may_be_named_by_a_flag(folder: Path) -> None:
    assert run(["stylize", "photo.png", "--style", "painting.png", *FAST]) == 0
    assert "photo-painting.png" in names(folder)


# Plans and sweeps


def test_a_plan_is_printed_and_nothing_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = names(folder)
    assert run(["stylize", "photo.png", "painting.png", "--size", "200", "--plan"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == "" and lines[0].split()[:4] == ["size", "network", "optimizer", "steps"]
    assert [line.split()[0] for line in lines[1:3]] == ["100×75", "200×150"]
    assert lines[-1].startswith("at most ") and "GiB" in lines[-1]
    assert names(folder) == before


def test_a_plan_is_told_to_a_machine_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stylize", "photo.png", "painting.png", "--size", "200", "--tile", "64", "--plan", "--json"]) == 0
    out = capsys.readouterr().out
    facts = json.loads(out)
    assert out.count("\n") == 1 and facts["seconds"] >= 0 and facts["GiB"] > 0
    assert [stage["size"] for stage in facts["stages"]] == ["100×75", "200×150"]
    assert all(stage["tiles"].endswith(" of 64") for stage in facts["stages"])


@pytest.mark.parametrize(
    ("what", "labels"),
    [("taps", ["relu4_1", "relu1_1"]), ("loss", ["gram", "wasserstein", "mrf"]), ("strength", ["strength 0.1"])],
)
def test_a_sweep_writes_a_contact_sheet(
    what: str, labels: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--size", "48", "--steps", "2", "--sweep", what]
    assert run(["stylize", "photo.png", "painting.png", *flags, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["out"] == f"photo-{what}.png" and set(labels) <= set(facts["labels"])
    assert names(folder) == {"photo.png", "painting.png", f"photo-{what}.png"}
    sheet = read(f"photo-{what}.png")
    assert sheet.height >= 256 * (1 + len(facts["labels"]) // 4) and sheet.width > 3 * 256
    assert run(["stylize", "photo.png", "painting.png", *flags, "--out", "mine.jpg"]) == 0
    assert capsys.readouterr().out == f"mine.jpg  {len(facts['labels'])} pictures\n"


def test_a_plan_is_printed_by_the_first_process_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert run(["stylize", "photo.png", "painting.png", "--size", "64", "--plan"]) == 0
    assert capsys.readouterr() == ("", "")


# Ctrl-C


def test_ctrl_c_ends_a_sweep_with_the_pictures_so_far(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from impasto.runs.bar import Silence

    events = []

    def interrupt(self: Silence, event: object) -> None:
        events.append(event)
        if len(events) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Silence, "__call__", interrupt)
    flags = ["--size", "48", "--steps", "3", "--scales", "1", "--sweep", "strength", "--json"]
    assert run(["stylize", "photo.png", "painting.png", *flags]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["labels"] == ["strength 0.1", "strength 0.25 (interrupted)"] and len(events) == 4
    assert json.loads(err) == {"error": "interrupted: these are the pictures so far"}
    assert names(folder) == {"photo.png", "painting.png", "photo-strength.png"}


def test_ctrl_c_keeps_the_picture_so_far(
    folder: Path, start: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    noise(folder / "photo.png", 400, 300)
    size = ["--size", "400", "--quality", "best", "--preview", "now.png"]
    process = start("stylize", "photo.png", "painting.png", *size)
    wait_until((folder / "now.png").exists, process.err)
    process.kill(signal.SIGINT)
    code, out, err = process.wait()
    assert code == 1
    assert err.strip() == "impasto: interrupted: this is the picture so far"
    assert out.startswith("photo-painting.png  400×300")
    assert names(folder) == {"photo.png", "painting.png", "photo-painting.png", "now.png"}
    picture = read("photo-painting.png")
    assert (picture.width, picture.height) == (400, 300)
    assert recipe("photo-painting.png")["finished"] is False
    assert run(["rerun", "photo-painting.png"]) == 2


def test_ctrl_c_before_there_is_a_picture_writes_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from impasto.synthesis import stylize as craft

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(craft, "prepare", interrupted)
    before = names(folder)
    assert run(["stylize", "photo.png", "painting.png", *FAST]) == 1
    assert capsys.readouterr().err.strip() == "impasto: stopped before there was a picture"
    assert names(folder) == before
