"""Run directories: begun once, resumed after a kill, by one process at a time."""

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from impasto import __version__
from impasto.errors import ImpastoError, UsageError
from impasto.runs.directory import RunDirectory, default_path, path_again
from impasto.runs.recipe import input_file

OPTIONS = {"strength": 0.1 + 0.2, "taps": ["relu1_1"], "network": "vgg19", "seed": 3, "size": None, "絵": "on"}


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return begin(tmp_path / "run")


def begin(path: Path, **manifest) -> RunDirectory:
    return RunDirectory.create(path, verb="stylize", options=OPTIONS, manifest=manifest)


def refused(call, *arguments) -> str:
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_is_read_back_as_it_was_begun(tmp_path):
    (tmp_path / "harbour.jpg").write_bytes(b"pixels")
    known = {
        "inputs": [input_file("content", tmp_path / "harbour.jpg")],
        "networks": {"vgg19": "ab" * 32},
        "made_with": {"torch": "2.15.0", "device": "cpu", "threads": "1"},
        "seed": 7,
        "calibration": {"style": 1e-320, "content": math.inf},
    }
    run = begin(tmp_path / "runs" / "a", **known)
    again = RunDirectory.open(tmp_path / "runs" / "a")
    assert again.verb == "stylize" and again.status == "running" and again.path == run.path
    assert again.options == run.options == OPTIONS and again.manifest == run.manifest
    assert again.manifest["inputs"][0]["sha256"] == hashlib.sha256(b"pixels").hexdigest()
    assert again.manifest["inputs"][0]["size"] == 6 and again.manifest["calibration"] == known["calibration"]
    assert again.manifest["impasto"] == __version__ and again.manifest["version"] == 1
    assert datetime.fromisoformat(again.manifest["created"]).tzinfo is not None
    assert yaml.safe_load((run.path / "options.yaml").read_text()) == OPTIONS
    assert names(run.path) == [".lock", "manifest.json", "options.yaml"]


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), max_size=5))  # fmt: skip
def test_options_come_back_exactly(tmp_path_factory, options):
    path = tmp_path_factory.mktemp("runs") / "a"
    RunDirectory.create(path, verb="stylize", options=options, manifest={})
    back = RunDirectory.open(path).options
    assert back == options and [*map(repr, back.values())] == [*map(repr, options.values())]


def test_an_input_whose_name_is_no_text_is_recorded(tmp_path):
    run = begin(tmp_path / "run", note="\udcff絵")
    assert RunDirectory.open(run.path).manifest["note"] == "\udcff絵"
    assert "絵" in (run.path / "manifest.json").read_text()


def test_a_directory_that_is_in_use_is_refused_and_left_as_it_was(tmp_path, run):
    before = (run.path / "manifest.json").read_bytes()
    assert "resume it, or choose another" in refused(begin, run.path)
    assert (run.path / "manifest.json").read_bytes() == before
    for name in ("options.yaml", "photo.jpg", "manifest.yaml"):
        (tmp_path / f"of {name}").mkdir()
        (tmp_path / f"of {name}" / name).write_text("mine")
        for _ in range(2):
            assert f"other things ({name})" in refused(begin, tmp_path / f"of {name}")
        assert names(tmp_path / f"of {name}") == [name]
    (tmp_path / "file").touch()
    assert "no directory" in refused(begin, tmp_path / "file")
    assert "cannot be made" in refused(begin, tmp_path / "file" / "under")


def test_an_empty_directory_will_do(tmp_path):
    (tmp_path / "run").mkdir()
    assert begin(tmp_path / "run").status == "running"


def test_a_beginning_that_was_killed_can_be_made_again(tmp_path, run):
    (run.path / "manifest.json").unlink()
    (run.path / ".impasto-0123.part").touch()
    assert "no run" in refused(RunDirectory.open, run.path)
    begin(run.path)
    assert names(run.path) == [".lock", "manifest.json", "options.yaml"]


def test_no_run_is_said_to_be_none(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file"):
        assert f"no run in {path}" in refused(RunDirectory.open, path)


def test_another_version_is_named(run):
    manifest = {**run.manifest, "version": 2, "impasto": "7.8.9"}
    (run.path / "manifest.json").write_text(json.dumps(manifest))
    assert "written by impasto 7.8.9, another version: its format is 2, not 1" in refused(RunDirectory.open, run.path)


def test_a_damaged_manifest_is_said_to_be_so(run):
    whole = (run.path / "manifest.json").read_text()
    for text in ("", whole[:-9], "[]", "3", "null", '{"version": 1}', whole.replace("running", "walking"), "[" * 10**6):
        (run.path / "manifest.json").write_text(text)
        assert "manifest.json is damaged" in refused(RunDirectory.open, run.path)
    (run.path / "manifest.json").write_bytes(b"\xff\xfe")
    assert "manifest.json is damaged" in refused(RunDirectory.open, run.path)


def test_changed_options_are_not_resumed(run):
    (run.path / "options.yaml").write_text("strength: 0.9\n")
    assert "options.yaml was changed" in refused(RunDirectory.open, run.path)
    (run.path / "options.yaml").unlink()
    assert "options.yaml is not there" in refused(RunDirectory.open, run.path)


def test_records_are_appended_and_read_back_exactly(run):
    assert run.read_log() == [] and run.log_length() == 0
    records = [{"step": i, "loss": i / 3, "where": "scale 1\r\n of 2"} for i in range(5)] + [{"loss": math.inf}]
    for record in records:
        run.log(record)
        assert run.read_log()[-1] == record
    assert run.read_log() == records and run.log_length() == 6


@pytest.mark.parametrize("torn", [b"{", b'{"step": 7', b'{"step": 7}', b"\0\0"])
def test_a_torn_last_line_is_dropped(run, torn):
    for step in range(3):
        run.log({"step": step})
    with run.log_path.open("ab") as file:
        file.write(torn)
    assert run.log_length() == 3 and [r["step"] for r in run.read_log()] == [0, 1, 2]
    run.log({"step": 3})
    assert [r["step"] for r in run.read_log()] == [0, 1, 2, 3]


def test_a_log_that_is_one_torn_line_is_empty(run):
    run.log_path.write_bytes(b'{"st')
    assert run.read_log() == []
    run.log({"step": 0})
    assert run.read_log() == [{"step": 0}]


def test_the_log_is_cut_to_what_the_checkpoint_knows(run):
    run.truncate_log(0)
    for step in range(5):
        run.log({"step": step})
    with run.log_path.open("ab") as file:
        file.write(b'{"step')
    for keep, left in ((9, 5), (5, 5), (2, 2), (2, 2), (0, 0)):
        run.truncate_log(keep)
        assert run.log_length() == left and run.log_path.read_bytes().count(b"\n") == left
        assert run.log_path.read_bytes()[-1:] in (b"\n", b"")


def test_a_damaged_line_in_the_middle_is_named(run):
    for step in range(3):
        run.log({"step": step})
    run.log_path.write_bytes(run.log_path.read_bytes().replace(b'{"step": 1}', b'{"step": 1'))
    assert "damaged in line 2" in refused(run.read_log)


def test_a_finished_run_says_what_came_out(tmp_path, run):
    (run.path / "out.png").write_bytes(b"picture")
    with run.lock():
        run.finish("out.png", losses={"style": 0.1 + 0.2})
    for one in (run, RunDirectory.open(run.path)):
        assert one.status == "finished" and one.manifest["output"] == "out.png"
        assert one.manifest["sha256"] == hashlib.sha256(b"picture").hexdigest()
        assert one.manifest["losses"] == {"style": 0.1 + 0.2}
    (tmp_path / "elsewhere.png").write_bytes(b"another")
    run.finish(tmp_path / "elsewhere.png")
    assert run.manifest["output"] == str(tmp_path / "elsewhere.png")
    run.finish(run.path / "out.png")
    assert run.manifest["output"] == "out.png"


def test_a_run_without_its_output_is_not_finished_and_keeps_its_checkpoint(run):
    run.checkpoint_path.write_bytes(b"checkpoint")
    with pytest.raises(ImpastoError, match="out.png cannot be read"):
        run.finish("out.png")
    assert RunDirectory.open(run.path).status == "running" and run.checkpoint_path.exists()
    (run.path / "out.png").write_bytes(b"picture")
    run.finish("out.png")
    assert not run.checkpoint_path.exists(), "nothing is left to resume"


def test_a_run_that_is_left_is_interrupted_and_then_runs_again(run):
    with pytest.raises(KeyboardInterrupt), run.lock():
        assert run.status == "running"
        raise KeyboardInterrupt
    assert run.status == "interrupted"
    other = RunDirectory.open(run.path)
    with other.lock():
        assert RunDirectory.open(run.path).status == "running"
    assert other.status == "interrupted"


HOLDS = """
import sys
from impasto.runs.directory import RunDirectory
run = RunDirectory.open(sys.argv[1])
with run.lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(run: RunDirectory) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLDS, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def test_one_process_at_a_time_and_a_killed_one_does_not_block(run):
    def locked():
        with run.lock():
            pass

    other = holder(run)
    assert "another process is at work" in refused(locked)
    other.send_signal(signal.SIGSTOP)
    assert "another process is at work" in refused(locked)
    other.kill()
    other.communicate()
    (run.path / ".impasto-0123.part").touch()
    with run.lock():
        assert RunDirectory.open(run.path).status == "running"
        assert ".impasto-0123.part" not in names(run.path)
        assert "another process is at work" in refused(lambda: RunDirectory.open(run.path).lock().__enter__())
    other = holder(run)
    other.communicate()
    locked()


def test_of_many_that_begin_at_once_one_does(tmp_path):
    code = (
        "import sys\nfrom impasto.errors import UsageError\nfrom impasto.runs.directory import RunDirectory\n"
        "sys.stdin.readline()\ntry:\n    RunDirectory.create(sys.argv[1], verb='v', options={}, manifest={})\n"
        "except UsageError:\n    sys.exit(2)"
    )
    begun = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "run"], stdin=subprocess.PIPE) for _ in range(4)]
    for process in begun:
        process.communicate(b"\n")
    assert sorted(process.returncode for process in begun) == [0, 2, 2, 2]
    assert RunDirectory.open(tmp_path / "run").verb == "v"


def test_a_full_disk_leaves_the_log_and_the_manifest_readable(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk can be mounted only by root")
    try:
        run = begin(tmp_path / "run")
        (tmp_path / "run" / "out.png").touch()
        with pytest.raises(ImpastoError, match="metrics.jsonl was not written: No space left"):
            for step in range(10**4):
                run.log({"step": step})
        assert len(run.read_log()) == run.log_length() == step
        with pytest.raises(ImpastoError, match="disk is full"):
            run.finish("out.png")
        assert RunDirectory.open(run.path).status == run.status == "running"
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_the_same_again_lies_beside_the_run_and_is_new(run):
    again = path_again(run)
    assert again.parent == run.path.parent and not again.exists()
    assert again.name.endswith(f"-{run.verb}-{run.path.name}-again")


def test_the_default_path_says_when_and_what_and_is_new(tmp_path):
    now = datetime(2026, 7, 14, 9, 5)

    def name(*parts: object) -> str:
        return default_path("stylize", *parts, root=tmp_path, now=now).relative_to(tmp_path).as_posix()

    assert name("harbour", "starry") == "202607140905-stylize-harbour-starry"
    assert name("../a b/c:d", "", "..", 0.5) == "202607140905-stylize-a_b_c_d-0.5"
    assert name("été 絵", "\udcff") == "202607140905-stylize-été_絵"
    assert len(os.fsencode(name("絵" * 300, "x"))) <= 200
    for number in ("", "-2", "-3"):
        assert name("a") == f"202607140905-stylize-a{number}"
        begin(tmp_path / name("a"))
    assert default_path("texture").parts[0] == "runs"
