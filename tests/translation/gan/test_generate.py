"""Sheets of new pictures, made again from the recipe inside them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from impasto.cli.recipes import rerun
from impasto.cli.terminal import Voice
from impasto.errors import UsageError
from impasto.images import read, write
from impasto.translation.gan.generate import generate
from impasto.translation.gan.generated import MODEL, save_generator
from impasto.translation.gan.generator import build_generator
from impasto.translation.gan.options import GanOptions


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory with a generator that has learnt nothing."""
    (tmp_path / "run").mkdir()
    architecture = GanOptions(size=16, width=4, noise=6).generator(3)
    save_generator(build_generator(architecture, 0), architecture, {}, tmp_path / "run" / MODEL)
    return tmp_path / "run"


@pytest.fixture
def sheet(run: Path, tmp_path: Path) -> Path:
    generate(run, tmp_path / "sheet.png", count=6, columns=3, interpolate=True, enlarge=2, seed=5, device="cpu")
    return tmp_path / "sheet.png"


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_sheet_is_made_again(suffix: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"sheet.{suffix}"
    generate(run, path, count=4, seed=3, device="cpu")
    assert rerun(path, out=tmp_path / f"again.{suffix}", voice=Voice()) == 0
    assert "identical to the picture it was made from" in capsys.readouterr().out
    assert torch.equal(read(tmp_path / f"again.{suffix}").pixels, read(path).pixels)


def test_what_is_not_the_same_is_told(sheet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = read(sheet)
    picture.pixels[..., 8, 8] = 1 - picture.pixels[..., 8, 8].round()
    write(sheet, picture)
    assert rerun(sheet, voice=Voice(json=True)) == 1
    facts = json.loads(capsys.readouterr().out)
    assert not facts["identical"] and facts["largest"] > 100 and facts["reasons"] == []


def test_a_generator_that_has_moved_is_looked_for(sheet: Path, run: Path, tmp_path: Path) -> None:
    shutil.move(run, tmp_path / "moved")
    with pytest.raises(UsageError, match=r"missing or changed since: generator .*run.model\.safetensors"):
        rerun(sheet, voice=Voice())
    assert rerun(sheet, search=(tmp_path / "moved",), voice=Voice()) == 0


def test_a_sheet_that_was_resized_is_refused(sheet: Path) -> None:
    picture = read(sheet)
    write(sheet, replace(picture, pixels=picture.pixels[..., ::2, ::2].contiguous()))
    with pytest.raises(UsageError, match="has been resized since it was made"):
        rerun(sheet, voice=Voice())
