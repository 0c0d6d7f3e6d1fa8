"""The terminal: how the command line speaks to a person, or to a machine with --json."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Group, Parameter
from rich.console import Console


@Parameter(name="*", group=Group("Output", sort_key=9))
@dataclass(frozen=True)
class Voice:
    """How a command speaks.

    Parameters
    ----------
    json
        Print one JSON object for machines, and no progress bar.
    debug
        Show the traceback of an error.
    """

    json: Annotated[bool, Parameter(negative="")] = False
    debug: Annotated[bool, Parameter(negative="")] = False


QUIET = Voice()

GRACE = 3.0  # seconds that the other processes stay: torchrun ends all when one has ended, and the first has to speak


def first_process() -> bool:
    """Whether this is the one of torchrun's processes that speaks and writes; it is, where there are no others."""
    return os.environ.get("RANK", "0") == "0"


class Warnings(logging.Handler):
    """What the library warns of, as lines to standard error."""

    def __init__(self, as_json: bool) -> None:
        super().__init__(logging.WARNING)
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        complain(record.getMessage(), as_json=self._as_json, kind="warning")


def say(text: str, voice: Voice = QUIET, **facts: Any) -> None:
    """A line for a person, or the facts as JSON for a machine."""
    if not first_process():
        return
    if voice.json:
        sys.stdout.write(json.dumps(facts, default=str) + "\n")
    else:
        Console(highlight=False, soft_wrap=True).print(text.encode("utf-8", "backslashreplace").decode(), markup=False)


def say_table(columns: Iterable[str], rows: Iterable[Iterable[object]], *, whole: Container[str] = ()) -> None:
    """A table for a person; in a narrow terminal, cells are folded but those of the columns ``whole``."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        keep = column in whole
        table.add_column(column, no_wrap=keep, overflow="ellipsis" if keep else "fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    if first_process():
        Console(highlight=False, markup=False).print(table)


def complain(error: BaseException | str, *, as_json: bool = False, kind: str = "error", own: bool = False) -> None:
    """One line on what went wrong, to standard error.

    All of torchrun's processes find the same wrong, and the first tells it; what is a process's ``own``, it tells.
    """
    if not (own or first_process()):
        time.sleep(GRACE)
        return
    line = " ".join(str(error).split())
    if own and os.environ.get("WORLD_SIZE", "1") != "1":
        line = f"process {os.environ.get('RANK', '0')}: {line}"
    if as_json:
        sys.stderr.write(json.dumps({kind: line}) + "\n")
    else:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"impasto: {line}", markup=False)
