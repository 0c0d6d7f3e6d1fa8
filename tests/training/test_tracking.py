"""Tracking: what TensorBoard and MLflow themselves read of what was logged."""

import logging
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from impasto.errors import UsageError
from impasto.training.tracking import MLflow, TensorBoard


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    read = EventAccumulator(str(folder)).Reload()
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_tensorboard_reads_what_was_logged(tmp_path):
    board = TensorBoard(tmp_path / "a" / "events")
    for step in range(5):
        board.log(step, {"loss": 1 / (step + 1), "learning_rate": 0.5})
    board.log(5, {"loss": math.nan})
    board.finish()
    board.close()
    read = events(tmp_path / "a" / "events")
    assert read["learning_rate"] == [(step, 0.5) for step in range(5)]
    assert [value for _, value in read["loss"][:5]] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert math.isnan(read["loss"][5][1])


def test_a_resumed_run_hides_what_the_killed_one_had_written_too_far(tmp_path):
    killed = TensorBoard(tmp_path)
    for step in range(10):
        killed.log(step, {"loss": 100.0 + step})
    killed.close()
    time.sleep(1.1)  # event files are ordered by the second in their names
    resumed = TensorBoard(tmp_path, first=6)
    for step in range(6, 12):
        resumed.log(step, {"loss": float(step)})
    resumed.finish()
    assert events(tmp_path)["loss"] == [(s, 100.0 + s) for s in range(6)] + [(s, float(s)) for s in range(6, 12)]


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="events cannot be written to"):
        TensorBoard(tmp_path / "file" / "events")


@pytest.mark.slow
def test_mlflow_keeps_a_run_that_is_killed_and_resumed(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    uri = "sqlite:///store/mlflow.db"
    (tmp_path / "store").mkdir()
    (tmp_path / "report.html").write_text("<p>good</p>")

    run = MLflow(uri, "pets", "202601011200-train", {"epochs": 3, "odd:name": "x" * 7000})
    for step in range(150):
        run.log(step, {"loss": 1 / (step + 1), "valid/accuracy %": step / 150})
    run_id = run.run_id  # and here it is killed: what waits is lost

    from mlflow import MlflowClient
    from mlflow.entities import RunStatus

    resumed = MLflow(uri, "pets", "202601011200-train", run_id=run_id)
    assert resumed.run_id == run_id
    for step in range(40, 200):  # from its checkpoint on
        resumed.log(step, {"loss": 1 / (step + 1), "valid/accuracy %": step / 150})
    resumed.log(200, {"loss": math.nan})
    resumed.finish([tmp_path / "report.html"])
    resumed.close()
    said = capfd.readouterr()
    assert said.out == said.err == ""

    client = MlflowClient(f"sqlite:///{tmp_path}/store/mlflow.db")
    (only,) = client.search_runs([client.get_experiment_by_name("pets").experiment_id])
    assert only.info.run_name == "202601011200-train" and only.info.status == "FINISHED"
    assert only.data.params["epochs"] == "3" and len(only.data.params["odd_name"]) == 6000
    history = sorted(client.get_metric_history(run_id, "loss"), key=lambda point: point.step)
    assert [point.step for point in history] == list(range(201))
    assert [point.value for point in history[:200]] == pytest.approx([1 / (step + 1) for step in range(200)])
    assert len(client.get_metric_history(run_id, "valid/accuracy _")) == 200
    (kept,) = client.list_artifacts(run_id)
    assert kept.path == "report.html"
    assert len(list((tmp_path / "store" / "mlartifacts").rglob("report.html"))) == 1

    second = MLflow(uri, "pets", "another")
    second.log(0, {"loss": 1.0})
    second.close()
    ended = client.get_run(second.run_id)
    assert ended.info.status == RunStatus.to_string(RunStatus.KILLED) and ended.data.metrics == {"loss": 1.0}

    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "store"]  # no ./mlruns
    assert logging.getLogger("mlflow").level != logging.CRITICAL

    with pytest.raises(UsageError, match="MLflow at .* cannot be used") as caught:
        MLflow(uri, "pets", "x", run_id="0" * 32)
    assert "\n" not in str(caught.value)
    began = time.monotonic()
    (tmp_path / "text.db").write_text("this is no database, it is a text " * 100)
    for broken in ("http://127.0.0.1:9", "nonsense://x", "sqlite:///text.db", "sqlite:////proc/nowhere/x.db"):
        with pytest.raises(UsageError, match="MLflow at .* cannot be used") as caught:
            MLflow(broken, "pets", "x")
        assert "\n" not in str(caught.value) and broken in str(caught.value)
        assert "no server answers" in str(caught.value) or "http:" not in broken
    assert time.monotonic() - began < 30


def test_without_mlflow_it_says_how_to_get_it(tmp_path):
    code = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from impasto.training.tracking import MLflow\n"
        "try: MLflow('sqlite:///x.db', 'a', 'b')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "UsageError MLflow is not installed: uv pip install 'impasto[mlflow]'\n"
    assert list(tmp_path.iterdir()) == []
