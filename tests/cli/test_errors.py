"""Errors of the command line: one line, the right exit code, and the folder as it was."""

import json
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from PIL import Image

from impasto.cli.app import run

# What was asked wrongly: (arguments of stylize, parts of the line).
WRONG = {
    "strength": (
        ["photo.png", "painting.png", "--strength", "2"],
        ["--strength", "2", "less than or equal to 1"],
    ),
    "no number": (["photo.png", "painting.png", "--strength", "much"], ["--strength", "much"]),
    "not a number": (["photo.png", "painting.png", "--strength", "nan"], ["--strength", "nan"]),
    "infinite": (["photo.png", "painting.png", "--smoothness", "inf"], ["smoothness", "inf"]),
    "infinite weight": (["photo.png", "painting.png", "--style-weights", "inf"], ["style-weights", "inf"]),
    "tiny": (["photo.png", "painting.png", "--size", "3"], ["--size", "16"]),
    "thin": (["photo.png", "painting.png", "--size", "17"], ["17×13", "16"]),
    "half a pixel": (["photo.png", "painting.png", "--size", "64.5"], ["--size", "64.5"]),
    "huge seed": (["photo.png", "painting.png", "--init", "noise", "--seed", "9" * 30], ["seed"]),
    "choice": (["photo.png", "painting.png", "--loss", "gramm"], ["--loss", "gramm", "gram", "wasserstein"]),
    "unknown flag": (["photo.png", "painting.png", "--stregth", "1"], ["--stregth", "--strength"]),
    "no value": (["photo.png", "painting.png", "--strength"], ["--strength"]),
    "no style": (["photo.png"], ["a photograph and a painting"]),
    "nothing": ([], ["a photograph and a painting"]),
    "tap": (["photo.png", "painting.png", "--taps", "relu9_1"], ["relu9_1", "relu1_1"]),
    "content tap": (["photo.png", "painting.png", "--content-taps", "relu9_1"], ["relu9_1", "relu1_1"]),
    "network": (["photo.png", "painting.png", "--network", "vgg20"], ["vgg20", "vgg19"]),
    "timm": (["photo.png", "painting.png", "--network", "timm:resnt18"], ["resnt18", "resnet18"]),
    "weights": (["photo.png", "painting.png", "--weights", "no.safetensors"], ["no.safetensors"]),
    "pickle": (["photo.png", "painting.png", "--network", "vgg19", "--weights", "code.pth"], ["code.pth"]),
    "weights of pocket": (["photo.png", "painting.png", "--weights", "code.pth"], ["code.pth", "safetensors"]),
    "device": (["photo.png", "painting.png", "--device", "tpu"], ["--device", "tpu"]),
    "weights for styles": (
        ["photo.png", "painting.png", "--style-weights", "1", "2"],
        ["2 style", "1 style"],
    ),
    "weight": (["photo.png", "painting.png", "--style-weights", "-1"], ["--style-weights", "-1"]),
    "weights for losses": (
        ["photo.png", "painting.png", "--loss-weights", "1", "2"],
        ["impasto: 2 loss weights for 1 loss"],
    ),
    "tile below 16": (["photo.png", "painting.png", "--tile", "8"], ["--tile", "8", "16"]),
    "tile below its halo": (
        ["photo.png", "painting.png", "--taps", "relu4_1", "--tile", "16"],
        ["--tile 16", "halo", "--tile 64"],
    ),
    "taps of another network": (
        ["photo.png", "painting.png", "--taps", "relu3_1", "--network", "vgg19", "--quality", "draft"],
        ["vgg19", "draft"],
    ),
    "mask's size": (["photo.png", "painting.png", "--masks", "painting.png"], ["painting.png", "80×80", "96×72"]),
    "masks": (["photo.png", "painting.png", "--masks", "photo.png", "photo.png"], ["2 --masks", "1 style"]),
    "style masks": (["photo.png", "painting.png", "--style-masks", "painting.png", "dot.png"], ["2 --style-masks"]),
    "style mask's size": (["photo.png", "painting.png", "--style-masks", "photo.png"], ["photo.png", "96×72", "80×80"]),
    "black mask": (["photo.png", "painting.png", "--masks", "black.png"], ["black.png", "black everywhere"]),
    "missing mask": (["photo.png", "painting.png", "--masks", "no.png"], ["no.png", "does not exist"]),
    "average": (["photo.png", "painting.png", "--average", "1"], ["--average", "1"]),
    "sweep": (["photo.png", "painting.png", "--sweep", "colour"], ["--sweep", "colour", "strength"]),
    "several photographs": (["photo.png", "dot.png", "--style", "painting.png"], ["--out DIR"]),
    "several into a file": (
        ["photo.png", "dot.png", "--style", "painting.png", "--out", "text.png"],
        ["text.png", "folder"],
    ),
    "several with a run": (
        ["photo.png", "dot.png", "--style", "painting.png", "--out", "new", "--run", "run"],
        ["--run", "one photograph"],
    ),
    "several planned": (["photo.png", "dot.png", "--style", "painting.png", "--out", "new", "--plan"], ["--plan"]),
    "two of one name": (
        ["photo.png", "./photo.png", "--style", "painting.png", "--out", "new"],
        ["photo-painting.png", "rename"],
    ),
    "start": (["photo.png", "painting.png", "--init", "no.png"], ["no.png"]),
    "missing": (["no.png", "painting.png"], ["no.png", "does not exist"]),
    "missing style": (["photo.png", "no.png"], ["no.png", "does not exist"]),
    "no picture": (["text.png", "painting.png"], ["text.png"]),
    "empty": (["photo.png", "empty.png"], ["empty.png", "empty"]),
    "cut": (["cut.png", "painting.png"], ["cut.png"]),
    "one pixel": (["dot.png", "painting.png"], ["dot.png", "1×1", "16"]),
    "one pixel of style": (["photo.png", "dot.png"], ["dot.png", "1×1", "16"]),
    "folder": ([".", "painting.png"], ["folder"]),
    "folder of styles": (["photo.png", "."], ["folder"]),
    "pipe": (["pipe", "painting.png"], ["pipe"]),
    "format": (["photo.png", "painting.png", "--out", "out.docx"], ["out.docx", ".png"]),
    "no format": (["photo.png", "painting.png", "--out", "out"], ["out", ".png"]),
    "sweep in a run": (["photo.png", "painting.png", "--sweep", "taps", "--run", "new"], ["--run", "--sweep"]),
    "plan with a preview": (["photo.png", "painting.png", "--plan", "--preview", "now.png"], ["--preview", "--plan"]),
    "preview's format": (["photo.png", "painting.png", "--preview", "now.docx"], ["now.docx", ".png"]),
}

# The same of other commands.
OTHERS = {
    "texture's size": (["texture", "painting.png", "--size", "1024"], ["--size is '1024'", "WIDTHxHEIGHT"]),
    "tileable size": (["texture", "painting.png", "--size", "70x64", "--tileable"], ["--size 72×64"]),
    "texture of nothing": (["texture"], ["STYLE"]),
    "texture's weights": (["texture", "painting.png", "--style-weights", "1", "2"], ["2 style weights for 1 style"]),
    "texture's strength": (["texture", "painting.png", "--strength", "1"], ["--strength"]),
    "texture of no picture": (["texture", "text.png"], ["text.png"]),
    "invert's tap": (["invert", "photo.png", "--taps", "relu9_1"], ["relu9_1", "relu1_1"]),
    "invert's start": (["invert", "photo.png", "--init", "content"], ["--init", "content", "median"]),
    "inversion of nothing": (["invert"], ["IMAGE"]),
    "inversion of no picture": (["invert", "cut.png"], ["cut.png"]),
    "inversion over its picture": (["invert", "photo.png", "--out", "photo.png"], ["photo.png", "go in"]),
    "sheet of no picture": (["invert", "no.png", "--sheet"], ["no.png"]),
    "no run": (["resume", "album.png"], ["no run in", "album.png"]),
}

# Options files, and parts of the line.
OPTIONS = {
    "missing": (None, ["cannot be read"]),
    "not YAML": ("strength: [", ["not YAML", "line 1"]),
    "not text": ("\udcff\udcfe", ["not YAML"]),
    "zeros": ("\0\1", ["not YAML"]),
    "a list": ("- strength", ["not a mapping"]),
    "a word": ("strength", ["not a mapping"]),
    "unknown": ("stregth: 1", ["stregth", "strength"]),
    "bound": ("strength: 2", ["strength", "2", "less than or equal to 1"]),
    "kind": ("size: large", ["size", "large", "integer"]),
    "two": ("strength: 2\nsize: 1", ["strength", "size"]),
    "numbered": ("1: 2", ["1"]),
    "true": ("yes: 1", ["True"]),
    "null": ("~: 1", ["None"]),
    "code": ("!!python/object/apply:os.system ['touch planted']", ["not YAML"]),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of good and bad files, an empty cache, and no network."""
    for name, size in (("photo.png", (96, 72)), ("painting.png", (80, 80)), ("dot.png", (1, 1))):
        Image.frombytes("RGB", size, random.Random(name).randbytes(3 * size[0] * size[1])).save(tmp_path / name)
    Image.new("RGB", (96, 72)).save(tmp_path / "black.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes((tmp_path / "photo.png").read_bytes()[:9000])
    (tmp_path / "code.pth").write_bytes(pickle.dumps({"features.0.weight": os.getcwd}))
    (tmp_path / "album.png").mkdir()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    return tmp_path


@pytest.fixture
def refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail: its one line, after its exit code and the folder have been looked at."""

    def check(*arguments: str, code: int, where: Path = folder) -> str:
        before = {(path.name, path.lstat().st_mtime_ns) for path in where.iterdir()}
        assert run(list(arguments)) == code, capfd.readouterr().err
        out, err = capfd.readouterr()
        assert out == "" and err.count("\n") == 1 and err.startswith("impasto: "), err
        assert "unexpected" not in err and "Traceback" not in err
        assert {(path.name, path.lstat().st_mtime_ns) for path in where.iterdir()} == before
        return err

    return check


# Asked wrongly


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_what_was_asked_wrongly_is_said(arguments: list[str], said: list[str], refused: Callable[..., str]) -> None:
    line = refused("stylize", *arguments, code=2)
    assert all(part in line for part in said), line


@pytest.mark.parametrize(("arguments", "said"), OTHERS.values(), ids=OTHERS)
def test_every_command_says_what_was_asked_wrongly(
    arguments: list[str], said: list[str], refused: Callable[..., str]
) -> None:
    line = refused(*arguments, code=2)
    assert all(part in line for part in said), line


@pytest.mark.parametrize(("text", "said"), OPTIONS.values(), ids=OPTIONS)
def test_a_bad_options_file_is_named(
    text: str | None, said: list[str], folder: Path, refused: Callable[..., str]
) -> None:
    if text is not None:
        (folder / "how.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    line = refused("stylize", "photo.png", "painting.png", "--size", "64", "--options", "how.yaml", code=2)
    assert all(part in line for part in ["how.yaml", *said]), line


def test_a_folder_is_no_options_file(refused: Callable[..., str]) -> None:
    assert "folder" in refused("stylize", "photo.png", "painting.png", "--options", ".", code=2).replace(
        "directory", "folder"
    )


@pytest.mark.parametrize("arguments", [["frobnicate"], ["networks", "frobnicate"], ["--frobnicate"]])
def test_an_unknown_command_lists_the_known(arguments: list[str], refused: Callable[..., str]) -> None:
    assert "frobnicate" in refused(*arguments, code=2)


def test_a_style_beyond_the_bound_of_pixels_is_refused(
    folder: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (32, 24)).save(folder / "photo.png")
    monkeypatch.setenv("IMPASTO_MAX_PIXELS", "1000")
    line = refused("stylize", "photo.png", "painting.png", code=2)
    assert "painting.png" in line and "80 x 80" in line and "IMPASTO_MAX_PIXELS" in line
    monkeypatch.setenv("IMPASTO_MAX_PIXELS", "many")
    assert "many" in refused("stylize", "photo.png", "painting.png", code=2)


def test_a_format_that_cannot_be_written_is_refused_before_the_work(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from impasto.synthesis import stylize as craft

    monkeypatch.setattr(craft, "prepare", lambda *arguments: pytest.fail("it went to work"))
    for flag in ("--out", "--preview"):
        assert ".png" in refused("stylize", "photo.png", "painting.png", flag, "out.docx", code=2)


# Failed


def test_a_size_that_no_memory_holds_is_refused_at_once(refused: Callable[..., str]) -> None:
    line = refused("stylize", "photo.png", "painting.png", "--size", "60000", code=1)
    assert "GiB" in line and "--size" in line


def test_memory_that_runs_out_is_one_line(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.synthesis import stylize as craft

    def full(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(craft, "prepare", full)
    assert "memory" in refused("stylize", "photo.png", "painting.png", code=1)


@pytest.mark.parametrize("note", ["", "go on with it by `impasto resume run`"])
def test_ctrl_c_says_what_was_stopped_and_how_to_go_on(
    note: str, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    from impasto.learning import scan as craft
    from impasto.synthesis import stylize

    stop = KeyboardInterrupt()
    if note:
        stop.add_note(note)
    monkeypatch.setattr(craft, "scan", Mock(side_effect=stop))
    monkeypatch.setattr(stylize, "prepare", Mock(side_effect=stop))
    behind = f"; {note}" if note else ""
    assert refused("data", "scan", ".", code=1) == f"impasto: stopped{behind}\n"
    said = refused("stylize", "photo.png", "painting.png", code=1)
    assert said == f"impasto: stopped before there was a picture{behind}\n"


def test_weights_that_must_be_downloaded_are_told_offline(folder: Path, refused: Callable[..., str]) -> None:
    line = refused("stylize", "photo.png", "painting.png", "--network", "vgg19", code=1)
    assert "vgg19-dcbb9e9d.pth" in line and "https://" in line and str(folder / "home") in line


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no/out.png", "no does not exist"),
        ("text.png/out.png", "text.png is not a folder"),
        ("album.png", "album.png is a folder"),
        ("x" * 300 + ".png", "xxx"),
    ],
    ids=["missing folder", "below a file", "a folder", "long name"],
)
@pytest.mark.parametrize("flag", ["--out", "--preview"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    place: str, said: str, flag: str, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if (place, flag) == ("album.png", "--out"):
        pytest.skip("a folder is painted into: see test_batch.py")
    from impasto.synthesis import stylize as craft

    monkeypatch.setattr(craft, "prepare", lambda *arguments: pytest.fail("it went to work"))
    assert said in refused("stylize", "photo.png", "painting.png", flag, place, code=2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount on this machine")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_said_and_the_earlier_picture_stays(small_disk: Path, refused: Callable[..., str]) -> None:
    (small_disk / "out.png").write_text("old")
    flags = ["--size", "64", "--quality", "draft", "--out", "disk/out.png"]
    line = refused("stylize", "photo.png", "painting.png", *flags, code=1, where=small_disk)
    assert "disk/out.png" in line and "full" in line
    assert (small_disk / "out.png").read_text() == "old"


def test_a_disk_that_may_not_be_written_is_refused(small_disk: Path, refused: Callable[..., str]) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    line = refused("stylize", "photo.png", "painting.png", "--out", "disk/out.png", code=1, where=small_disk)
    assert "may not be written to" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "closed").mkdir(mode=0o500)
    assert "may not be written to" in refused("stylize", "photo.png", "painting.png", "--out", "closed/out.png", code=1)


# How it is said


def test_a_machine_is_told_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code in ((["--strength", "2"], 2), (["--taps", "relu9_1"], 2), (["--size", "60000"], 1)):
        assert run(["stylize", "photo.png", "painting.png", *arguments, "--json"]) == code
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and list(json.loads(err)) == ["error"]


@pytest.mark.parametrize("machine", [False, True])
def test_each_process_tells_what_has_failed_in_it_alone(
    machine: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from impasto import ImpastoError
    from impasto.synthesis import stylize as craft

    flags = ["--json"] if machine else []
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        for failure in (ImpastoError("full"), MemoryError("full memory"), ZeroDivisionError("full")):
            monkeypatch.setattr(craft, "prepare", Mock(side_effect=failure))
            assert run(["stylize", "photo.png", "painting.png", *flags]) == 1
            err = capsys.readouterr().err
            line = json.loads(err)["error"] if machine else err.removeprefix("impasto: ")
            assert line.startswith(f"process {rank}: ") and err.count("\n") == 1
        assert run(["stylize", "none.png", "painting.png", *flags]) == 2
        assert capsys.readouterr().err.count("none.png does not exist") == (rank == "0")


def test_a_traceback_is_shown_to_who_asks_for_it() -> None:
    from impasto import UsageError

    with pytest.raises(UsageError, match="does not exist"):
        run(["stylize", "no.png", "painting.png", "--debug"])


def test_what_nobody_foresaw_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from impasto.synthesis import stylize as craft

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("of\nsome kind")

    monkeypatch.setattr(craft, "prepare", broken)
    assert run(["stylize", "photo.png", "painting.png"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "ZeroDivisionError: of some kind" in err and "--debug" in err


def test_a_real_process_says_it_in_one_line(folder: Path) -> None:
    flags = ["--network", "vgg19", "--weights", "code.pth"]
    command = [sys.executable, "-m", "impasto", "stylize", "photo.png", "painting.png", *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("impasto: ")
