"""Tracking: metrics written where others look for them, as TensorBoard events and in MLflow."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from impasto.errors import ImpastoError, UsageError

FLUSH_AFTER = 100  # metrics that MLflow is sent at once, or those of as many seconds:
FLUSH_SECONDS = 5.0
LONGEST_PARAMETER = 6000  # characters, MLflow's own limit


class Tracker(Protocol):
    """Who is told of a run."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Note values at a step, counted over the whole run."""

    def finish(self, files: Sequence[Path] = ()) -> None:
        """The run is finished, and these are its files."""

    def close(self) -> None:
        """Write what is not yet written; after `finish`, nothing."""


class TensorBoard:
    """Event files that ``tensorboard --logdir`` shows.

    Args:
        folder: Where they are; made if it is not there.
        first: The step from which a resumed run logs; what was written from there on before the kill is hidden.

    Raises:
        UsageError: The folder cannot be made.
    """

    def __init__(self, folder: str | Path, first: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        try:
            self._writer: Any = SummaryWriter(str(folder), purge_step=first or None, flush_secs=10)  # type: ignore[no-untyped-call]
        except OSError as error:
            raise UsageError(f"TensorBoard's events cannot be written to {folder}: {error.strerror}") from error

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Note values at a step.

        Raises:
            ImpastoError: The disk is full.
        """
        with self._written():
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def finish(self, files: Sequence[Path] = ()) -> None:
        """Close the events; TensorBoard keeps no files."""
        self.close()

    def close(self) -> None:
        """Write what is not yet written.

        Raises:
            ImpastoError: The disk is full.
        """
        with self._written():
            self._writer.close()

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ImpastoError(f"TensorBoard's events in {self._folder} were not written: {error.strerror}") from error


class MLflow:
    """A run in MLflow: parameters, metrics and files.

    With ``sqlite:///file.db`` nothing is needed but the file, which is made; the files of its runs are kept beside it,
    in ``mlartifacts``. A server is reached over ``http://…``. Metrics are sent many at once, so that the training does
    not wait; a kill loses the last ones, and the resumed run logs them again. What MLflow has of a step is not sent
    twice.

    Args:
        uri: Where it keeps its runs.
        experiment: The experiment's name; made if it is not there.
        name: The run's name.
        params: What the run was asked, known to MLflow as its parameters.
        run_id: The run to go on with, an earlier `run_id`; None begins one.

    Attributes:
        run_id: MLflow's name of the run, to be kept by who wants to resume it.

    Raises:
        UsageError: MLflow is not installed, cannot be reached, or has no run of that id.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        name: str,
        params: Mapping[str, object] | None = None,
        *,
        run_id: str | None = None,
    ) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            import mlflow
        except ImportError as error:
            raise UsageError("MLflow is not installed: uv pip install 'impasto[mlflow]'") from error

        self._uri = uri
        self._waiting: list[Any] = []
        self._sent = time.monotonic()
        self._last: dict[str, int] = {}  # the last step of each metric that MLflow has from before a kill
        self._open = True
        with self._reached(UsageError):
            self._client = mlflow.MlflowClient(uri)
            if run_id:
                self._client.update_run(run_id, status="RUNNING")
                for key in self._client.get_run(run_id).data.metrics:
                    self._last[key] = max(point.step for point in self._client.get_metric_history(run_id, key))
                self.run_id = run_id
            else:
                self.run_id = self._begin(experiment, name, params or {})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Note values at a step.

        Raises:
            ImpastoError: MLflow cannot be reached any more.
        """
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        for name, value in values.items():
            key = _key(name)
            if step > self._last.get(key, -1):
                self._waiting.append(Metric(key, float(value), now, step))  # type: ignore[no-untyped-call]
        if len(self._waiting) >= FLUSH_AFTER or time.monotonic() - self._sent > FLUSH_SECONDS:
            self._send()

    def finish(self, files: Sequence[Path] = ()) -> None:
        """The run is finished; copies of these files are kept with it.

        Raises:
            ImpastoError: MLflow cannot be reached any more, or a copy cannot be written.
        """
        self._send()
        with self._reached():
            for file in files:
                self._client.log_artifact(self.run_id, str(file))
        self._end("FINISHED")

    def close(self) -> None:
        """Send what is not yet sent; a run that is not finished counts as killed, until it is resumed.

        Raises:
            ImpastoError: MLflow cannot be reached any more.
        """
        if self._open:
            self._send()
            self._end("KILLED")

    def _begin(self, experiment: str, name: str, params: Mapping[str, object]) -> str:
        from mlflow.entities import Param

        found = self._client.get_experiment_by_name(experiment)
        if found and found.lifecycle_stage == "deleted":
            raise UsageError(f"the experiment {experiment!r} was deleted in MLflow: restore it there or name another")
        number = found.experiment_id if found else self._client.create_experiment(experiment, self._artifacts())
        run_id = str(self._client.create_run(number, run_name=name).info.run_id)
        asked = [Param(_key(key), str(value)[:LONGEST_PARAMETER]) for key, value in params.items()]  # type: ignore[no-untyped-call]
        for start in range(0, len(asked), 100):  # MLflow takes no more at once
            self._client.log_batch(run_id, params=asked[start : start + 100])
        return run_id

    def _artifacts(self) -> str | None:
        """Where an experiment's files are kept: beside its database, for MLflow's own choice is the current folder."""
        if not self._uri.startswith("sqlite:///"):
            return None
        return (Path(self._uri.removeprefix("sqlite:///")).absolute().parent / "mlartifacts").as_uri()

    def _send(self) -> None:
        self._sent = time.monotonic()
        if self._waiting:
            with self._reached():
                for start in range(0, len(self._waiting), 1000):  # MLflow takes no more at once
                    self._client.log_batch(self.run_id, metrics=self._waiting[start : start + 1000])
            self._waiting = []

    def _end(self, status: str) -> None:
        with self._reached():
            self._client.set_terminated(self.run_id, status)
        self._open = False

    @contextmanager
    def _reached(self, kind: type[ImpastoError] = ImpastoError) -> Iterator[None]:
        """MLflow at work: it says nothing, does not wait for minutes, and what goes wrong is one line."""
        loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "urllib3")]
        levels = [logger.level for logger in loggers]
        retries = "1" if kind is UsageError else "5"  # at the start a person is waiting, later a training is at stake
        patience = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": retries, "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
        ours = {name: value for name, value in patience.items() if name not in os.environ}
        os.environ.update(ours)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        except ImpastoError:
            raise
        except Exception as error:  # its own, SQLAlchemy's, those of requests and of the system
            uri = re.sub(r"//[^/@]*@", "//…@", self._uri)  # no passwords
            why = " ".join(str(error).split("\n")[0].split())[:200] or type(error).__name__
            why = "no server answers" if "Max retries exceeded" in why else why
            raise kind(f"MLflow at {uri} cannot be used: {why}") from error
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
            for name in ours:
                os.environ.pop(name, None)


def _key(name: str) -> str:
    """A name as MLflow allows it."""
    return re.sub(r"[^\w\-. /]", "_", name)
