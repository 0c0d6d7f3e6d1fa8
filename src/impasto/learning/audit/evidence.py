"""Evidence: every picture of a manifest read once, for all the checks of an audit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from impasto.learning.audit.copies import Copy, find_copies
from impasto.learning.manifest import Manifest
from impasto.learning.phash import SIDE
from impasto.learning.scan import files_of, look_at_all
from impasto.learning.ties import connected

JUDGES = ("valid", "test")  # what is in them, and elsewhere too, is judged too well


@dataclass(frozen=True)
class Evidence:
    """What is known of the n rows.

    Attributes:
        manifest: The rows.
        opened: Whether their pictures were looked at; a table that was scanned without pictures has none.
        sha256: The hash of each file as it is now.
        errors: Why a picture cannot be read, by row.
        thumbnails: (n, 64, 64) uint8, zero where there is none.
        comparable: (n,) bool, whether the picture is large enough, and no blank, to be compared with others.
        copies: The pairs of pictures of which one is made of the other.
    """

    manifest: Manifest
    opened: bool
    sha256: Sequence[str | None]
    errors: dict[int, str]
    thumbnails: np.ndarray
    comparable: np.ndarray
    copies: Sequence[Copy]

    def crossing(self, rows: Iterable[int]) -> bool:
        """Whether rows lie in several splits, one of which judges."""
        splits = self.splits(rows)
        return len(splits) > 1 and any(name in splits for name in JUDGES)

    def splits(self, rows: Iterable[int]) -> set[str]:
        """The splits that rows lie in; those that have none yet are in none."""
        every = self._column("split")
        return {name for row in rows if (name := every[row]) is not None}

    def labels(self, rows: Iterable[int]) -> set[str]:
        """The labels that rows have."""
        every = self._column("label")
        return {name for row in rows if (name := every[row]) is not None}

    def path(self, row: int) -> str:
        """The path of a row."""
        return self.manifest.paths[row]

    def identical(self) -> list[tuple[int, ...]]:
        """The rows whose files are the same, together."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for row, digest in enumerate(self.sha256):
            if digest is not None:
                found[digest].append(row)
        return [tuple(rows) for rows in found.values() if len(rows) > 1]

    def together(self, pairs: Iterable[Sequence[int]]) -> list[tuple[int, ...]]:
        """The rows that pairs connect, together."""
        pairs = list(pairs)
        number = connected(len(self.manifest), pairs)
        found: defaultdict[int, list[int]] = defaultdict(list)
        for row in sorted({row for pair in pairs for row in pair}):
            found[int(number[row])].append(row)
        return [tuple(rows) for rows in found.values()]

    def _column(self, name: str) -> list[str | None]:
        columns = self.__dict__.setdefault("_columns", {})
        if name not in columns:
            columns[name] = self.manifest.column(name)
        return columns[name]  # type: ignore[no-any-return]


def gather(manifest: Manifest, progress: Callable[[float, str], object] | None = None) -> Evidence:
    """Decode every picture to its end, and look for copies among them."""
    count = len(manifest)
    thumbnails = np.zeros((count, SIDE, SIDE), np.uint8)
    comparable = np.zeros(count, bool)
    sha256 = manifest.column("sha256")
    errors: dict[int, str] = {}
    opened = any(digest is not None for digest in sha256) or any(manifest.column("width"))
    if opened:
        part = (lambda done, where: progress(0.7 * done, where)) if progress else None
        for row, seen in enumerate(look_at_all(files_of(manifest), part)):
            sha256[row] = seen.sha256
            if seen.error or seen.thumbnail is None:
                errors[row] = seen.error or "it cannot be read"
                continue
            thumbnails[row] = seen.thumbnail
            comparable[row] = min(seen.width or 0, seen.height or 0) >= SIDE and float(seen.thumbnail.std()) >= 2.0
    part = (lambda done, where: progress(0.7 + 0.3 * done, where)) if progress else None
    _, same = np.unique([digest or f"row {row}" for row, digest in enumerate(sha256)], return_inverse=True)
    copies = find_copies(thumbnails, np.flatnonzero(comparable), same, part)
    return Evidence(manifest, opened, sha256, errors, thumbnails, comparable, copies)
