"""impasto segment, from the command line: a picture, whole folders, and what is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from impasto.cli.app import run
from impasto.images import Picture, write
from impasto.translation.architectures import build
from impasto.translation.masks import read_labels
from impasto.translation.model import TranslationModel, save
from impasto.translation.segment import segment

Output = pytest.CaptureFixture[str]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture, and a model of segmentation and one of restoration."""
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(0).integers(0, 256, (19, 26, 3)).astype("u1")
    Image.fromarray(levels).save("street.png")
    architecture: dict[str, Any] = {"kind": "unet", "layers": 6, "width": 8, "out": 4, "residual": False}
    torch.manual_seed(0)
    module = build(architecture).eval()
    save(
        TranslationModel("seg", module, "segment", architecture=architecture, classes=tuple("abcd")), "seg.safetensors"
    )
    architecture = {"kind": "light", "scale": 1, "width": 4, "blocks": 1}
    save(TranslationModel("res", build(architecture), "restore", architecture=architecture), "res.safetensors")
    return tmp_path


def test_the_command_writes_labels_and_overlay_and_says_shares(files: Path, capsys: Output) -> None:
    command = ["segment", "street.png", "--model", "seg.safetensors", "--device", "cpu"]
    assert run([*command, "--overlay", "seen.jpg", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["out"] == "street-labels.png" and facts["overlay"] == "seen.jpg"
    labels = read_labels(Path("street-labels.png"))
    assert torch.equal(labels, segment("street.png", "seg.safetensors").labels)
    assert facts["shares"] == pytest.approx(
        {
            name: float((labels == number).float().mean())
            for number, name in enumerate("abcd")
            if (labels == number).any()
        }
    )
    with Image.open("seen.jpg") as seen:
        assert seen.size[0] > 26 and seen.size[1] > 19, "the legend is below"
    assert run([*command, "--out", "mine.png"]) == 0
    said = capsys.readouterr().out
    assert (
        said.startswith("mine.png  ")
        and " %" in said
        and Path("mine.png").read_bytes() == Path("street-labels.png").read_bytes()
    )
    assert run(command) == 0 and Path("street-labels-2.png").exists(), "nothing is overwritten unasked"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "res.safetensors"], "res is a model of restore: use `impasto enhance`"),
        (["--model", "nowhere"], "no model 'nowhere'"),
        (["--model", "seg.safetensors", "--out", "labels.jpg"], "labels.jpg: labels are written as PNG"),
        (["--model", "seg.safetensors", "--out", "street.png"], "street.png is one of the pictures that go in"),
        (["--model", "seg.safetensors", "--overlay", "street.png"], "street.png is one of the pictures that go in"),
        (["--model", "seg.safetensors", "--overlay", "seen.xyz"], "seen.xyz"),
        (
            ["--model", "seg.safetensors", "--out", "two.png", "--overlay", "./two.png"],
            "two.png would be written twice",
        ),
        (["--model", "seg.safetensors", "--out", "deep/labels.png"], "deep"),
        (["--model", "seg.safetensors", "--tile", "8"], "--tile is '8': it should be greater than or equal to 16"),
        (["street.png", "--model", "seg.safetensors"], "several pictures need a folder to write into: --out DIR"),
        ([".", "--model", "seg.safetensors", "--out", "d", "--overlay", "o.png"], "--overlay is for one picture"),
        ([".", "--model", "seg.safetensors", "--out", "d"], "street.png and street.png would both become d/street.png"),
        (["--model", "seg.safetensors", "--out", "."], "--out . is where the pictures are: name another folder"),
        ([], "--model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_asked_wrongly_is_one_line_and_nothing_is_written(
    arguments: list[str], words: str, files: Path, capsys: Output
) -> None:
    before = {path: path.read_bytes() for path in files.iterdir()}
    assert run(["segment", "street.png", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and words in err and "unexpected" not in err, err
    assert {path: path.read_bytes() for path in files.iterdir()} == before


def test_a_folder_goes_into_a_folder_and_is_gone_on_with(files: Path, capsys: Output) -> None:
    for name in ("streets/a.jpg", "streets/in/b.png"):
        Path(name).parent.mkdir(exist_ok=True)
        write(name, Picture(torch.rand(1, 3, 12, 20)))
    command = ["segment", "streets", "street.png", "--model", "seg.safetensors", "--out", "masks", "--device", "cpu"]
    assert run(command) == 0
    assert capsys.readouterr().out == "masks  3 segmented\n"
    assert read_labels(Path("masks/in/b.png")).shape == (12, 20)
    assert torch.equal(read_labels(Path("masks/street.png")), segment("street.png", "seg.safetensors").labels)
    Path("streets/broken.png").write_bytes(b"no picture")
    Path("masks/a.png").unlink()
    assert run([*command, "--json"]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["segmented"], told["skipped"], told["failed"], told["finished"]) == (1, 2, 1, True)
    assert err.count("\n") == 1 and "streets/broken.png was not segmented" in err
    assert run(["segment", "--model", "seg.safetensors"]) == 2
    assert "segment needs a picture" in capsys.readouterr().err


def test_a_killed_folder_goes_on_where_it_was(
    files: Path, start: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    Path("many").mkdir()
    for number in range(40):
        write(f"many/{number:02}.png", Picture(torch.rand(1, 3, 60, 60)))
    command = ["segment", "many", "--model", "seg.safetensors", "--out", "masks", "--json"]
    running = start(*command, imports=("impasto.translation.segment_folder",))
    wait_until(lambda: len(list(Path("masks").glob("*.png"))) >= 3, running.err)
    running.kill()
    running.wait()
    whole = {path: path.stat().st_mtime_ns for path in Path("masks").glob("*.png")}
    assert len(whole) < 40
    assert all(read_labels(path).shape == (60, 60) for path in whole)
    code, out, _ = start(*command).wait()
    told = json.loads(out)
    assert code == 0 and told["skipped"] == len(whole) >= 3 and told["segmented"] + told["skipped"] == 40
    assert all(path.stat().st_mtime_ns == at for path, at in whole.items())


def test_a_picture_that_is_not_there_is_one_line(files: Path, capsys: Output) -> None:
    for out in ([], ["--out", "masks"]):
        assert run(["segment", "nowhere.png", "--model", "seg.safetensors", *out]) == 2
        assert capsys.readouterr().err == "impasto: nowhere.png does not exist: check the name\n"


def test_a_mask_is_made_again_from_the_recipe_in_it(files: Path, capsys: Output) -> None:
    assert run(["segment", "street.png", "--model", "seg.safetensors", "--out", "labels.png"]) == 0
    assert run(["rerun", "labels.png", "--out", "again.png"]) == 0
    assert "labels.png: identical: every label is the same" in capsys.readouterr().out
    assert torch.equal(read_labels(Path("again.png")), read_labels(Path("labels.png")))
    Path("elsewhere").mkdir()
    for name in ("street.png", "seg.safetensors"):
        Path(name).rename(Path("elsewhere", name))
    assert run(["rerun", "labels.png"]) == 2
    assert "missing or changed since: content" in capsys.readouterr().err
    with Image.open("labels.png") as image:
        info = PngInfo()
        for key, text in image.text.items():
            info.add_itxt(key, text)
        image.putpixel((0, 0), (image.getpixel((0, 0)) + 1) % 3)
        image.save("labels.png", pnginfo=info)
    assert run(["rerun", "labels.png", "--search", "elsewhere", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["pixels"] == 1 and not told["identical"] and told["reasons"] == ["mended by hand since"]
