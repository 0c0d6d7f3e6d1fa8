"""impasto export: what is said of the file, and one line where there can be none."""

import json
from pathlib import Path

import pytest
from torch import nn

from impasto.cli.app import run
from impasto.translation.export import Exported
from impasto.translation.model import TranslationModel

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path, bool]]:
    """What would have been exported."""
    found: list[tuple[str, Path, bool]] = []

    def export(model: TranslationModel, out: Path, *, half: bool) -> Exported:
        found.append((model.name, out, half))
        return Exported(out, 2_500_000, 20, 1.2e-7)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("impasto.translation.export.export", export)
    monkeypatch.setattr(
        "impasto.translation.model.load", lambda name: TranslationModel(str(name), nn.Identity(), "restore")
    )
    return found


def test_a_line_says_what_was_written_and_how_near_it_is(exports: list[object], capsys: Output) -> None:
    assert run(["export", "mine", "--half"]) == 0
    assert exports == [("mine", Path("mine.onnx"), True)]
    line = capsys.readouterr().out
    assert line.startswith("mine.onnx  2.5 MB, opset 20, within 1.2e-07 of torch at 1×1") and line.count("\n") == 1


def test_the_facts_as_json(exports: list[object], capsys: Output) -> None:
    assert run(["export", "mine", "--out", "other.onnx", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["out"] == "other.onnx" and facts["bytes"] == 2_500_000 and facts["difference"] == 1.2e-7
    assert exports == [("mine", Path("other.onnx"), False)]


def test_without_a_model_or_the_extra_there_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("impasto.translation.export.find_spec", lambda name: None)
    monkeypatch.setattr(
        "impasto.translation.model.load", lambda name: TranslationModel(str(name), nn.Identity(), "restore")
    )
    assert run(["export", "mine"]) == 2
    assert capsys.readouterr().err.strip().endswith("pip install 'impasto[onnx]'")
    monkeypatch.undo()
    assert run(["export", "no-such-model"]) == 2
    err = capsys.readouterr().err
    assert "no model 'no-such-model'" in err and err.count("\n") == 1
