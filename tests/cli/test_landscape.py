"""impasto landscape: flags, files, JSON, errors in one line, and SIGKILL."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.cli.app import run
from impasto.learning.classify import classify
from impasto.runs import checkpoint as checkpoints

Output = pytest.CaptureFixture[str]

HEAVY = ("impasto.learning.landscape", "matplotlib.figure", "mpl_toolkits.mplot3d")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on dark and light pictures."""
    folder = tmp_path_factory.mktemp("pets")
    for number in range(24):
        path = folder / ("dark" if number % 2 else "light") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 120, (16, 16, 3)) + (20 if number % 2 else 110)
        Image.fromarray(pixels.astype("u1")).save(path)
    options = {"network": "scratch:plain-8x4", "size": 16, "batch_size": 8, "device": "cpu", "stages": ("all:3",)}
    return classify(folder, run=tmp_path_factory.mktemp("runs") / "one", augment=(), snapshots=True, **options).run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_where_things_are(trained: Path, capsys: Output) -> None:
    assert run(["landscape", str(trained), "--points", "5", "--pictures", "8"]) == 0
    out = capsys.readouterr().out
    assert "local minima" in out and str(trained / "landscape" / "index.html") in out


def test_json_is_one_object(trained: Path, folder: Path, capsys: Output) -> None:
    arguments = ["--dimensions", "1", "--points", "5", "--pictures", "8", "--out", "here", "--json"]
    assert run(["landscape", str(trained), *arguments, "--directions", "trajectory"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert Path(said["page"]).is_file() and [Path(one).name for one in said["pictures"]] == ["curves.png"]
    assert said["surfaces"][0]["facts"]["pictures"] == 8
    assert json.loads(Path(said["data"]).read_text())["surfaces"][0]["way"]["labels"][0] == "before training"


def test_options_come_from_a_file_and_flags_go_over_them(trained: Path, folder: Path, capsys: Output) -> None:
    (folder / "how.yaml").write_text("points: 3\ndimensions: 1\npictures: 4\n")
    assert run(["landscape", str(trained), "--options", "how.yaml", "--pictures", "5", "--out", "x", "--json"]) == 0
    said = json.loads((folder / "x" / "surface.json").read_text())
    assert (said["options"]["points"], said["options"]["pictures"]) == (3, 5)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere"], "no run in"),
        (["RUN", "--points", "2"], "--points is '2': it should be greater than or equal to 3"),
        (["RUN", "--normalise", "filters"], "--normalise"),
        (["RUN", "--directions", "sideways"], "no run in"),
        (["RUN", "--out", "RUN/manifest.json"], "cannot be written to: File exists"),
        (["RUN", "--split", "test"], "--split"),
    ],
)
def test_errors_are_one_line(trained: Path, arguments: list[str], line: str, capsys: Output) -> None:
    arguments = [one.replace("RUN", str(trained)) for one in arguments]
    assert run(["landscape", *arguments]) in (1, 2)
    error = capsys.readouterr().err
    assert line in error.replace("\n", " ") and error.count("\n") == 1


def test_killed_and_called_again_it_gives_the_same_surface(
    trained: Path, folder: Path, start: Callable[..., object], wait_until: Callable[..., None]
) -> None:
    def begin(out: str) -> object:
        return start("landscape", str(trained), "--points", "61", "--pictures", "16", "--out", out, imports=HEAVY)

    kept = folder / "killed" / "points-0.safetensors"
    command = begin("killed")
    wait_until(kept.exists, command.err)  # type: ignore[attr-defined]
    command.kill()  # type: ignore[attr-defined]
    command.wait()  # type: ignore[attr-defined]
    if (folder / "killed" / "surface.json").exists():
        pytest.skip("this machine had done it before it could be killed")
    assert 0 < int(checkpoints.load(kept).tensors["done"].sum()) < 61 * 61
    for out in ("killed", "straight"):
        code, _, error = begin(out).wait()  # type: ignore[attr-defined]
        assert code == 0, error
    one, two = (json.loads((folder / out / "surface.json").read_text()) for out in ("killed", "straight"))
    assert one == two
    assert not kept.exists()
