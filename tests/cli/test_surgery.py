"""impasto networks surgery: from the command line to a file of weights, with the proof said, and wrong wishes refused."""

import json
from pathlib import Path

import pytest
import torch
from cyclopts import App
from safetensors import safe_open
from safetensors.torch import load_file

from impasto.cli.surgery import surgery
from impasto.cli.terminal import Voice
from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.networks import load
from impasto.networks.surgery import insert_as_in

Output = pytest.CaptureFixture[str]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for name in ("a.png", "b.png", "more/c.png", ".thumbnails/d.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        write(folder / name, Picture(torch.rand(1, 3, 40, 60, generator=generator)))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_batch_norm_is_proven_and_written(photos: Path, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "norm.safetensors"
    surgery("pocket", "batch-norm", pictures=photos, size=48, out=out, voice=Voice(json=True))
    said = json.loads(capsys.readouterr().out)
    assert said["pictures"] == 3 and said["relative"] < 1e-5 and said["written"] == [str(out)]
    assert {"features.0", "output"} <= set(said["places"])
    network = load("pocket")
    assert len(insert_as_in(network.module, load_file(out))) == 6
    network.module.load_state_dict(load_file(out))
    with safe_open(out, "pt") as file:
        assert json.loads(file.metadata()["surgery"])["relative"] == said["relative"]


def test_it_parses_as_a_command(photos: Path, capsys: Output) -> None:
    app = App(result_action="return_value")
    app.command(surgery)
    app(["surgery", "pocket", "batch-norm", "--pictures", str(photos), "--most", "1", "--where", "conv1_1", "conv2_1"])
    out = capsys.readouterr().out
    assert out.startswith("pocket: batch norm after 2 convolutions: max |Δ|") and "on 1 picture (the same)" in out


def test_both_parts_of_a_split_are_written_and_the_lower_one_loads(tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "lower.safetensors"
    surgery("pocket", "split", tap="relu2_1", out=out)
    assert "split at relu2_1: max |Δ| 0.0e+00" in capsys.readouterr().out
    lower, upper = load_file(out), load_file(tmp_path / "lower-upper.safetensors")
    assert {**lower, **upper}.keys() == load("pocket").module.state_dict().keys()
    assert not lower.keys() & upper.keys()


@pytest.mark.realdata
def test_the_lower_part_of_a_split_is_a_network_of_fewer_layers(shared: Path, tmp_path: Path) -> None:
    weights, out = shared / "weights/vgg19_to_conv3_4.safetensors", tmp_path / "lower.safetensors"
    surgery("vgg19", "split", weights=weights, tap="relu2_1", out=out)
    lower = load("vgg19", weights=out)
    assert list(lower.aliases)[-1] == "relu2_1"
    surgery("squeezenet1_0", "dropout", weights=shared / "weights/squeezenet1_0.safetensors", p=0.1, out=out)
    load("squeezenet1_0", weights=out)


def test_wrong_wishes_are_refused_and_nothing_is_written(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    (tmp_path / "empty").mkdir()
    for said, call in (
        ("name a folder of them with --pictures", lambda: surgery("pocket", "batch-norm", out=out)),
        ("name it with --tap", lambda: surgery("pocket", "split", out=out)),
        ("ends in .safetensors", lambda: surgery("pocket", "split", tap="relu1_1", out=tmp_path / "out.pth")),
        ("holds no pictures", lambda: surgery("pocket", "batch-norm", pictures=tmp_path / "empty", out=out)),
        ("must be 1 or more", lambda: surgery("pocket", "batch-norm", pictures=photos, most=0, out=out)),
        ("pocket has no dropout to change", lambda: surgery("pocket", "dropout", out=out)),
        ("relu9_9, which is not on its chain", lambda: surgery("pocket", "split", tap="relu9_9", out=out)),
    ):
        with pytest.raises(UsageError, match=said):
            call()
    assert not list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob(".impasto*"))
