"""Metrics: records of a run, one JSON object a line, where a kill can tear only the last."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError, UsageError


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a record, which a kill of this process cannot take back.

    Raises:
        ImpastoError: The disk is full.
    """
    try:
        _drop_torn_line(path)
        with path.open("ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
    except OSError as error:
        raise ImpastoError(f"{path} was not written: {error.strerror}") from error


def read(path: Path) -> list[dict[str, Any]]:
    """The records; a last line that is torn is none.

    Raises:
        UsageError: A line before it is damaged.
    """
    records = []
    for number, line in enumerate(_lines(path), 1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise UsageError(f"{path} is damaged in line {number}: remove that line") from error
    return records


def length(path: Path) -> int:
    """The number of records."""
    return len(_lines(path))


def truncate(path: Path, keep: int) -> None:
    """Keep the first records only, or all if there are fewer."""
    if path.exists():
        os.truncate(path, sum(map(len, _lines(path)[:keep])))  # to a kill, whole or not at all


def _lines(path: Path) -> list[bytes]:
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines


def _drop_torn_line(path: Path) -> None:
    with suppress(FileNotFoundError), path.open("rb") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                truncate(path, length(path))
