"""impasto evaluate: one test for all classifiers."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.cli.app import run
from impasto.learning.classify import classify
from impasto.learning.predict import predict
from impasto.learning.predictions import Predictions
from impasto.learning.scan import read_data
from impasto.learning.scores import score
from impasto.learning.work import TrainedClassifier

Output = pytest.CaptureFixture[str]


def draw(path: Path, dark: bool, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([dark, number]).integers(0, 150, (40, 40, 3)) + (20 if dark else 80)
    Image.fromarray(pixels.astype("u1")).save(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TrainedClassifier:
    folder = tmp_path_factory.mktemp("evaluate")
    for number in range(24):
        part = "train" if number < 18 else "test"
        for dark in (True, False):
            draw(folder / "pets" / part / ("dark" if dark else "light") / f"{number}.png", dark, number)
    options = {"network": "pocket", "size": 32, "batch_size": 16, "device": "cpu", "stages": ("head:6",)}
    return classify(folder / "pets", run=folder / "run", **options)


@pytest.fixture(autouse=True)
def here(made: TrainedClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.run.parent)
    monkeypatch.setenv("IMPASTO_FEATURES", str(made.run.parent / "features"))


def test_a_run_is_as_good_on_its_test_split_as_it_said(made: TrainedClassifier, capsys: Output) -> None:
    assert run(["evaluate", "run", "run/data.parquet", "--split", "test", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["pictures"] == 12 and facts["out"] is None
    assert facts["scores"]["accuracy"] == made.scores.to_json()["accuracy"]
    assert facts["scores"]["log_loss"]["value"] == pytest.approx(made.scores.log_loss.value, abs=1e-4)


def test_a_line_for_a_person(capsys: Output) -> None:
    assert run(["evaluate", "run", "pets", "--with-learnt"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("48 pictures: accuracy ") and "log loss" in said and said.count("\n") == 1


def test_pictures_that_were_learnt_from_do_not_judge(made: TrainedClassifier, capsys: Output) -> None:
    learnt = read_data("run/data.parquet").counts("split")["train"]
    assert run(["evaluate", "run", "pets", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["pictures"] == 48 - learnt
    assert json.loads(err) == {"warning": f"{learnt} pictures that a run has learnt from are left out"}
    assert run(["evaluate", "run", "run/data.parquet", "--split", "train"]) == 2
    assert "was learnt from by a run: give others, or add --with-learnt" in capsys.readouterr().err


def test_several_runs_are_asked_together_and_their_predictions_kept(made: TrainedClassifier, capsys: Output) -> None:
    flags = ["--split", "train", "--flips", "--with-learnt", "--out", "said.parquet", "--json"]
    assert run(["evaluate", "run", "run", "pets", *flags]) == 0
    facts = json.loads(capsys.readouterr().out)
    kept = Predictions.load("said.parquet")
    assert facts["out"] == "said.parquet" and facts["pictures"] == len(kept) == 36
    assert set(kept.splits) == {"train"}
    expected = predict(made.run, read_data("pets").where(split="train"), flips=True)
    assert np.allclose(kept.log_probabilities, expected.log_probabilities, atol=1e-5)
    assert facts["scores"]["log_loss"]["value"] == pytest.approx(score(expected).log_loss.value, abs=1e-5)


def test_pictures_without_labels_are_left_out(made: TrainedClassifier, capsys: Output) -> None:
    rows = read_data("pets")
    rows.having(label=[label if row % 2 else None for row, label in enumerate(rows.column("label"))]).save(
        "half.parquet"
    )
    assert run(["evaluate", "run", "half.parquet", "--with-learnt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 24


def test_what_cannot_be_judged_is_one_line(tmp_path: Path, capsys: Output) -> None:
    draw(tmp_path / "flat" / "1.png", True, 1)
    draw(tmp_path / "strange" / "zebra" / "1.png", True, 1)
    draw(tmp_path / "strange" / "light" / "2.png", False, 2)
    draw(tmp_path / "broken" / "dark" / "1.png", True, 1)
    draw(tmp_path / "broken" / "light" / "1.png", False, 1)
    (tmp_path / "broken" / "dark" / "1.png").write_bytes(b"no picture")
    for arguments, words in (
        (["run", "nowhere"], "nowhere"),
        (["nowhere", "pets"], "no run in"),
        (["pets", "run"], ""),
        (["run", str(tmp_path / "flat")], "no pictures with labels: there is nothing to judge by"),
        (["run", "pets", "--split", "valid"], "no pictures with labels in its split valid"),
        (["run", "pets", "--split", "half"], "--split"),
        (["run", str(tmp_path / "strange")], "label 'zebra', which no training picture has"),
        (["run", "pets", "--out", "missing/said.parquet"], "missing"),
        (["run"], "SECOND"),
    ):
        assert run(["evaluate", *arguments]) in (1, 2)
        out, err = capsys.readouterr()
        assert out == "" and words in err and err.count("\n") == 1 and "unexpected" not in err, (arguments, err)
    assert run(["evaluate", "run", str(tmp_path / "broken")]) == 2
    *_, error = capsys.readouterr().err.splitlines()
    assert "1.png" in error and "unexpected" not in error
