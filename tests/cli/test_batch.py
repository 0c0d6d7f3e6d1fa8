"""impasto stylize with several photographs: a folder of pictures, and what became of each."""

import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from impasto.cli.app import run
from impasto.images import read

Output = pytest.CaptureFixture[str]
FAST = ["--steps", "3", "--size", "48"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, size in (("a.png", (64, 48)), ("b.png", (48, 64)), ("c.png", (64, 48)), ("paint.png", (50, 60))):
        Image.frombytes("RGB", size, random.Random(name).randbytes(3 * size[0] * size[1])).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def batch(*contents: str, out: str = "out", more: tuple[str, ...] = ()) -> int:
    return run(["stylize", *contents, "--style", "paint.png", "--out", out, *FAST, *more])


def test_every_photograph_is_painted_into_the_folder_and_then_skipped(capsys: Output) -> None:
    assert batch("a.png", "b.png", out="deep/out") == 0
    out, err = capsys.readouterr()
    assert err == "" and out.splitlines() == ["1 of 2  deep/out/a-paint.png", "2 of 2  deep/out/b-paint.png"]
    before = {path.name: path.stat().st_mtime_ns for path in Path("deep/out").iterdir()}
    assert before.keys() == {"a-paint.png", "b-paint.png"}
    assert batch("a.png", "b.png", "c.png", out="deep/out") == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 of 3  deep/out/a-paint.png (was there)",
        "2 of 3  deep/out/b-paint.png (was there)",
        "3 of 3  deep/out/c-paint.png",
    ]
    assert {path.name: path.stat().st_mtime_ns for path in Path("deep/out").iterdir()}.items() >= before.items()
    assert batch("a.png", "b.png", out="deep/out", more=("--strength", "0.9")) == 0
    assert "was there" not in capsys.readouterr().out


def test_a_bad_file_in_the_middle_is_listed_at_the_end(capsys: Output) -> None:
    Path("bad.jpg").write_text("words")
    assert batch("a.png", "bad.jpg", "b.png") == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == ["1 of 3  out/a-paint.png", "2 of 3  bad.jpg: failed", "3 of 3  out/b-paint.png"]
    assert err.count("\n") == 1 and err.startswith("impasto: bad.jpg was not painted: bad.jpg")
    assert {path.name for path in Path("out").iterdir()} == {"a-paint.png", "b-paint.png"}


def test_a_machine_is_told_in_one_object(capsys: Output) -> None:
    Path("bad.jpg").write_text("words")
    assert batch("a.png", "bad.jpg", more=("--json",)) == 1
    out, err = capsys.readouterr()
    items = json.loads(out)["items"]
    assert [(item["content"], item["status"]) for item in items] == [("a.png", "painted"), ("bad.jpg", "failed")]
    assert "bad.jpg" in json.loads(err)["error"]


def test_what_impasto_has_not_made_is_left_alone(capsys: Output) -> None:
    Path("out").mkdir()
    Path("out/a-paint.png").write_bytes(Path("c.png").read_bytes())
    assert batch("a.png", "b.png") == 1
    err = capsys.readouterr().err
    assert "a-paint.png" in err and "not made by impasto" in err and err.count("\n") == 1
    assert Path("out/a-paint.png").read_bytes() == Path("c.png").read_bytes() and Path("out/b-paint.png").exists()


def test_one_photograph_goes_into_a_folder_too() -> None:
    Path("there").mkdir()
    assert run(["stylize", "a.png", "paint.png", "--out", "there", *FAST]) == 0
    assert batch("a.png", out="new") == 0, "as a pattern may match but one"
    assert Path("there/a-paint.png").exists() and Path("new/a-paint.png").exists()


def test_a_folder_that_cannot_be_made_is_said(capsys: Output) -> None:
    Path("file").write_text("")
    assert batch("a.png", "b.png", out="file/out") == 1
    err = capsys.readouterr().err
    assert "file/out" in err and err.count("\n") == 1


def test_ctrl_c_ends_the_batch_and_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    from impasto.runs.bar import Silence

    events = []

    def interrupt(self: Silence, event: object) -> None:
        events.append(event)
        if len(events) == 5:
            raise KeyboardInterrupt

    Path("bad.jpg").write_text("words")
    assert batch("a.png", "bad.jpg", "b.png", "c.png", more=("--scales", "1")) == 1
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(Silence, "__call__", interrupt)
        options = ("--scales", "1", "--strength", "0.9", "--json")
        assert batch("a.png", "bad.jpg", "b.png", "c.png", more=options) == 1
    out, err = capsys.readouterr()
    said = [json.loads(line)["error"] for line in err.splitlines()]
    assert said[0] == "stopped: 1 of 4 are done; the same command goes on"
    assert len(said) == 2 and said[1].startswith("bad.jpg was not painted")
    assert [item["status"] for item in json.loads(out)["items"]] == ["painted", "failed"]
    assert batch("a.png", "b.png", "c.png", more=options[:-1]) == 0
    assert [line.endswith("(was there)") for line in capsys.readouterr().out.splitlines()] == [True, False, False]


def test_a_batch_that_was_stopped_goes_on_where_it_was(
    start: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    for number in range(40):
        os.link("a.png", f"copy{number}.png")
    names = [f"copy{number}.png" for number in range(40)]
    process = start("stylize", *names, "--style", "paint.png", "--out", "out", *FAST)
    wait_until(Path("out/copy2-paint.png").exists, process.err)
    process.kill(signal.SIGKILL)
    process.wait()
    done = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert 3 <= len(done) < 40
    assert all(read(Path("out", name)).width == 48 for name in done)
    assert batch(*names[: len(done) + 2]) == 0
    after = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert after.items() >= done.items() and len(after) >= len(done) + 2
