"""Run directories: what a run was asked, what it has done and where it stands, to be resumed after a kill."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from impasto import __version__
from impasto.errors import ImpastoError, UsageError
from impasto.images.replace import replace_file
from impasto.runs import metrics
from impasto.runs.manifest import VERSION, read_manifest, write_manifest
from impasto.runs.parts import remove_parts
from impasto.runs.recipe import input_file


class RunDirectory:
    """A directory with ``options.yaml``, ``manifest.json``, ``metrics.jsonl``, a checkpoint and what comes out.

    Attributes:
        path: The directory, absolute.
        options: What ``options.yaml`` says.
        manifest: What ``manifest.json`` says, see `impasto.runs.manifest.Manifest`.
    """

    def __init__(self, path: Path, options: dict[str, Any], manifest: dict[str, Any]) -> None:
        self.path = path
        self.options = options
        self.manifest = manifest

    @classmethod
    def create(cls, path: str | Path, *, verb: str, options: dict[str, Any], manifest: dict[str, Any]) -> RunDirectory:
        """Begin a run in a directory that is new or empty.

        Args:
            path: The directory; those above it are made too.
            verb: What is done.
            options: What the YAML file of options holds.
            manifest: What the caller knows of it: inputs, networks, made_with, seed, and facts of its own.

        Raises:
            UsageError: The directory holds a run already, or something else, or cannot be made.
            ImpastoError: The disk is full.
        """
        import yaml

        path = Path(path).absolute()
        try:
            _require_free(path)
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"run directory {path} cannot be made: {error.strerror}; choose another") from error
        with _locked(path):
            _require_free(path)  # now that nobody else can begin one
            text = yaml.safe_dump(options, sort_keys=False, allow_unicode=True)
            if yaml.safe_load(text) != options:  # YAML takes U+0085 for the end of a line
                text = yaml.safe_dump(options, sort_keys=False)
            known = {
                "version": VERSION,
                "impasto": __version__,
                "verb": verb,
                "status": "running",
                "created": datetime.now().astimezone().isoformat(timespec="seconds"),
                "options_sha256": hashlib.sha256(text.encode()).hexdigest(),
            }
            replace_file(path / "options.yaml", text.encode())
            run = cls(path, yaml.safe_load(text), {})
            run.note(**{**known, **manifest, **known})  # the last: it makes the directory a run
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """The run that was begun in a directory.

        Raises:
            UsageError: There is none, it is of another version, damaged, or its options were changed.
        """
        import yaml

        path = Path(path).absolute()
        try:
            manifest = read_manifest(path / "manifest.json")
            text = (path / "options.yaml").read_bytes()
            if hashlib.sha256(text).hexdigest() != manifest["options_sha256"]:
                raise UsageError(f"{path / 'options.yaml'} was changed since the run began: begin another run with it")
            return cls(path, yaml.safe_load(text), manifest)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(f"no run in {path}: {Path(error.filename).name} is not there") from error
        except OSError as error:
            raise UsageError(f"the run in {path} cannot be read: {error.strerror}") from error

    @property
    def verb(self) -> str:
        """What is done."""
        return str(self.manifest["verb"])

    @property
    def status(self) -> str:
        """``running``, ``interrupted`` or ``finished``, as last noted."""
        return str(self.manifest["status"])

    @property
    def checkpoint_path(self) -> Path:
        """Where the run's checkpoint is, once there is one."""
        return self.path / "checkpoint.safetensors"

    @property
    def log_path(self) -> Path:
        """Where the records are, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @contextmanager
    def lock(self) -> Iterator[RunDirectory]:
        """Be the only one at work in the directory; what a killed process left half-written is removed.

        An interrupted run is noted as running again, and one that is left unfinished as interrupted.

        Raises:
            UsageError: Another process is at work in it.
        """
        with _locked(self.path):
            self.manifest = RunDirectory.open(self.path).manifest  # another may have been at work since
            if self.status == "interrupted":
                self.note(status="running")
            try:
                yield self
            except KeyboardInterrupt as stop:
                stop.add_note(f"go on with it by `impasto resume {self.path}`")
                raise
            finally:
                if self.status == "running":
                    with suppress(ImpastoError):  # the error that brought us here says more
                        self.note(status="interrupted")

    def log(self, record: dict[str, Any]) -> None:
        """Append a record to ``metrics.jsonl``.

        Raises:
            ImpastoError: The disk is full.
        """
        metrics.append(self.log_path, record)

    def read_log(self) -> list[dict[str, Any]]:
        """The records of ``metrics.jsonl``; a last line that a kill has torn is none.

        Raises:
            UsageError: A line before it is damaged.
        """
        return metrics.read(self.log_path)

    def log_length(self) -> int:
        """The number of records."""
        return metrics.length(self.log_path)

    def truncate_log(self, keep: int) -> None:
        """Keep the first records only, or all if there are fewer: what a checkpoint does not know is done again."""
        metrics.truncate(self.log_path, keep)

    def finish(self, output: str | Path, **facts: Any) -> None:
        """Note that the run is finished, with what came out and its hash; its checkpoint goes.

        Args:
            output: The file; a name alone is one in the directory.
            facts: More for the manifest.

        Raises:
            ImpastoError: The output is not there, or the disk is full.
        """
        path = self.path / output
        try:
            digest = input_file("output", path).sha256
        except OSError as error:
            raise ImpastoError(f"{path} cannot be read: {error.strerror}") from error
        name = str(path.relative_to(self.path) if path.is_relative_to(self.path) else path)
        self.note(**{**facts, "status": "finished", "output": name, "sha256": digest})
        self.checkpoint_path.unlink(missing_ok=True)  # nothing is left to resume

    def note(self, **facts: Any) -> None:
        """Add facts of the verb's own to the manifest.

        Raises:
            ImpastoError: The disk is full.
        """
        self.manifest = write_manifest(self.path / "manifest.json", {**self.manifest, **facts})


def default_path(verb: str, *parts: object, root: Path = Path("runs"), now: datetime | None = None) -> Path:
    """A directory for a new run, ``runs/YYYYMMDDHHMM-verb-p1-p2``; with a number behind if there is one.

    >>> default_path("stylize", "harbour at night", 0.8, now=datetime(2026, 7, 14, 9, 5)).name
    '202607140905-stylize-harbour_at_night-0.8'
    """
    words = (re.sub(r"[^\w.-]+", "_", str(part)).strip("._-") for part in (verb, *parts))
    name = "-".join([f"{now or datetime.now():%Y%m%d%H%M}", *filter(None, words)])
    name = name.encode()[:200].decode("utf-8", "ignore")  # a name holds 255 bytes
    path, number = root / name, 1
    while os.path.lexists(path):
        number += 1
        path = root / f"{name}-{number}"
    return path


def path_again(run: RunDirectory) -> Path:
    """A directory beside a run, to do the same again in."""
    return default_path(run.verb, run.path.name[:60], "again", root=run.path.parent)


def _require_free(path: Path) -> None:
    """Refuse a directory that holds anything but what a killed `RunDirectory.create` leaves."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is no directory: choose another for the run")
    names = set(os.listdir(path)) if path.exists() else set()
    if "manifest.json" in names:
        raise UsageError(f"{path} holds a run already: resume it, or choose another directory")
    begun = {".lock", "options.yaml"} if ".lock" in names else set()
    if others := sorted(name for name in names - begun if not name.startswith(".impasto-")):
        raise UsageError(f"{path} holds other things ({others[0]}): choose a directory that is new or empty")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path / ".lock")  # the system's own lock: it ends with the process, however that ends
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise UsageError(f"another process is at work in {path}: wait for it, or choose another directory") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be locked: {error.strerror}") from error
    try:
        remove_parts(path)  # nobody else is at work: they are of a killed process
        yield
    finally:
        lock.release()
