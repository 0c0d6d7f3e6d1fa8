"""Listing: the run directories in a folder, with where each stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from impasto.errors import UsageError
from impasto.runs.directory import RunDirectory


@dataclass(frozen=True)
class Listed:
    """A run in a few words.

    Attributes:
        path: Its directory.
        verb: What is done.
        status: ``running``, ``stopped`` (to be resumed), ``finished``, or ``damaged``.
        created: When it began.
        scores: What it was found to be worth, if it says.
    """

    path: Path
    verb: str
    status: str
    created: str
    scores: dict[str, Any]


def listed(root: Path | str = "runs") -> list[Listed]:
    """The runs directly in a folder, the oldest first.

    Raises:
        UsageError: There is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise UsageError(f"no folder {root}: runs are kept there by default, name the one yours are in")
    runs = [_listed(path.parent) for path in sorted(root.glob("*/manifest.json"))]
    return sorted(runs, key=lambda run: run.created)


def _listed(path: Path) -> Listed:
    try:
        run = RunDirectory.open(path)
    except UsageError:
        return Listed(path, "?", "damaged", "", {})
    status = run.status
    if status != "finished":
        status = "running" if _at_work(path) else "stopped"
    return Listed(path, run.verb, status, str(run.manifest["created"]), dict(run.manifest.get("scores") or {}))


def _at_work(path: Path) -> bool:
    """Whether a process holds the run's lock."""
    lock = FileLock(path / ".lock")
    try:
        with lock.acquire(blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that may not be written to: nobody can be at work there
        return False
