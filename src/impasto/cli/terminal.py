"""The terminal: how the command line speaks to a person, or to a machine with --json."""

from __future__ import annotations

import json
import sys
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


def say(text: str, voice: Voice = QUIET, **facts: Any) -> None:
    """A line for a person, or the facts as JSON for a machine."""
    if voice.json:
        sys.stdout.write(json.dumps(facts, default=str) + "\n")
    else:
        Console(highlight=False, soft_wrap=True).print(text.encode("utf-8", "backslashreplace").decode(), markup=False)


def complain(error: BaseException | str, *, as_json: bool = False) -> None:
    """One line on what went wrong, to standard error."""
    line = " ".join(str(error).split())
    if as_json:
        sys.stderr.write(json.dumps({"error": line}) + "\n")
    else:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"impasto: {line}", markup=False)
