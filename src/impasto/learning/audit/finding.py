"""Findings: what an audit has to say, one fault each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One fault of a data set.

    Attributes:
        check: The check that found it.
        severity: ``error`` makes what is measured wrong, ``warning`` makes it worse, ``note`` is good to know.
        message: One line: what, how much, the mend.
        rows: The rows of the manifest that it is about.
        clusters: The same rows, those together that belong together: the copies of one picture.
    """

    check: str
    severity: Severity
    message: str
    rows: tuple[int, ...] = ()
    clusters: tuple[tuple[int, ...], ...] = ()


def about(check: str, severity: Severity, message: str, clusters: Iterable[Sequence[int]]) -> Finding:
    """A finding about rows in clusters."""
    together = tuple(tuple(int(row) for row in cluster) for cluster in clusters)
    return Finding(check, severity, message, tuple(sorted({row for one in together for row in one})), together)


def some(names: Iterable[object], most: int = 3) -> str:
    """The first few of many names, for a line.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    every = [str(name) for name in names]
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest
