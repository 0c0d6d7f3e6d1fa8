"""impasto benchmark: a table for a person, all of it for a machine, and one line where something does not fit."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from impasto.cli.app import run
from impasto.images import Picture, write
from impasto.translation.architectures import build
from impasto.translation.model import TranslationModel, save

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "good").mkdir()
    for number in range(2):
        grid = torch.rand(1, 3, 6, 6, generator=torch.manual_seed(number))
        write(folder / f"good/{number}.png", Picture(F.interpolate(grid, size=(34, 36), mode="bicubic").clamp(0, 1)))
    architecture = {"kind": "light", "scale": 2, "width": 4, "blocks": 1}
    save(TranslationModel("mine", build(architecture), "superres", 2, architecture), folder / "mine.safetensors")
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_a_table_with_the_model_beside_bicubic(capsys: Output) -> None:
    assert run(["benchmark", "mine.safetensors", "good", "--device", "cpu"]) == 0
    title, heads, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("mine: bicubic reduction 2 times")
    for words in ("psnr", "ssim", "psnr unrounded", "bicubic: psnr"):
        assert words in heads
    assert [row.split()[0] for row in rows] == ["0.png", "1.png", "mean"]
    assert all(len(row.split()) == 7 and len(row) == len(heads) for row in rows)


def test_all_of_it_as_json(capsys: Output) -> None:
    assert run(["benchmark", "bicubic", "good", "--scale", "3", "--features", "pocket", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == "bicubic" and len(facts["pictures"]) == 2
    assert set(facts["mean"]["scores"]) == {"psnr", "ssim", "psnr_unrounded", "distance in pocket"}
    assert facts["mean"]["scores"]["psnr"] == pytest.approx(sum(row["scores"]["psnr"] for row in facts["pictures"]) / 2)


def test_jpeg_in_gray(capsys: Output) -> None:
    assert run(["benchmark", "jpeg", "good", "--quality", "10", "--gray"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("jpeg: JPEG quality 10, gray") and "psnr b" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mine.safetensors", "good", "--scale", "4"], "mine enlarges 2 times, and cannot be judged at scale 4"),
        (["bicubic", "good"], "say how many"),
        (["bicubic", "nowhere", "--scale", "2"], "no folder nowhere"),
        (["nothing", "good", "--recipe", "blurr:3"], "blurr"),
        (["jpeg", "good", "--quality", "ten"], "--quality"),
        (["no-such", "good"], "no model 'no-such'"),
        (["bicubic", "good", "--scale", "2", "--features", "vgg"], "no network 'vgg'"),
    ],
)
def test_what_does_not_fit_is_one_line(arguments: list[str], words: str, capsys: Output) -> None:
    assert run(["benchmark", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1 and "unexpected" not in err
