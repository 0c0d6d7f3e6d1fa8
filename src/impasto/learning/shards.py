"""Shards of features: files of float16 values, each row known by its picture's hash, read memory-mapped."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from impasto.errors import ImpastoError
from impasto.images.replace import replace_file

DESCRIPTION = "column.json"
TENSOR, PICTURES = "features", "pictures"

# A shard is closed when it has grown to so much in any of these; so much at most is lost by a kill.
SHARD_BYTES = 64_000_000
SHARD_PICTURES = 1024
SHARD_SECONDS = 30.0

_HASH_DIGITS = 16


@dataclass
class Column:
    """The values of one kind (one tap of one network, one way to look at pictures), for any number of pictures.

    Attributes:
        folder: Where its shards lie; None for one that is only in memory.
        parts: The values of each shard, (pictures, …) float16, memory-mapped where they come from a file.
        places: Of each picture's hash, its shard and its row there.
    """

    folder: Path | None
    parts: list[np.ndarray] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Column:
        """What there is in a folder, be it nothing. A shard that is damaged is passed over, with a warning.

        Raises:
            ImpastoError: The folder may not be read.
        """
        column = cls(folder)
        try:
            files = sorted(folder.glob("*.safetensors"))
        except OSError as error:
            raise ImpastoError(f"{folder} cannot be read ({error.strerror}): choose another cache") from error
        for file in files:
            try:
                column._take(*read_shard(file))
            except (OSError, ValueError, KeyError, TypeError) as error:
                logging.getLogger("impasto").warning("%s is damaged (%s) and is made again: remove it", file, error)
        return column

    def describe(self, facts: dict[str, Any]) -> None:
        """Write beside the shards what the values are.

        Raises:
            ImpastoError: The folder cannot be made or written to.
        """
        if self.folder is None or (self.folder / DESCRIPTION).exists():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImpastoError(f"{self.folder} cannot be made ({error.strerror}): choose another cache") from error
        replace_file(self.folder / DESCRIPTION, (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())

    def add(self, pictures: Sequence[str], values: np.ndarray) -> None:
        """One more shard: written whole or not at all, and never changed again.

        Args:
            pictures: The pictures' hashes.
            values: Their values, (pictures, …) float16.

        Raises:
            ImpastoError: The disk is full, or the folder may not be written to.
        """
        if self.folder is None:
            self._take(list(pictures), values)
            return
        data = save({TENSOR: np.ascontiguousarray(values)}, {PICTURES: " ".join(pictures)})
        # The hash tells apart what two processes write at once under one number.
        name = f"{len(self.parts):05d}-{hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]}.safetensors"
        replace_file(self.folder / name, data)
        self._take(*read_shard(self.folder / name))

    def rows(self, pictures: Sequence[str]) -> Rows:
        """The values of these pictures, in this order; all must be there."""
        places = np.array([self.places[picture] for picture in pictures], dtype=np.int64).reshape(-1, 2)
        return Rows(tuple(self.parts), places[:, 0].copy(), places[:, 1].copy())

    def _take(self, pictures: list[str], values: np.ndarray) -> None:
        self.places.update({picture: (len(self.parts), row) for row, picture in enumerate(pictures)})
        self.parts.append(values)


@dataclass(frozen=True)
class Rows:
    """Values in the order of a manifest's rows, wherever they lie.

    Attributes:
        parts: The shards, (pictures, …) float16.
        part: Of each row, the number of its shard.
        place: Of each row, its place there.
    """

    parts: tuple[np.ndarray, ...]
    part: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return len(self.part)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """A copy of the values of these rows, in this order."""
        part, place = self.part[indices], self.place[indices]
        numbers = np.unique(part)
        if len(numbers) == 1:
            return np.asarray(self.parts[numbers[0]][place])
        values = np.empty((len(place), *self.parts[0].shape[1:]), np.float16)
        for number in numbers:
            here = part == number
            values[here] = self.parts[number][place[here]]
        return values

    def array(self) -> np.ndarray:
        """The values of all rows: as they lie, where that is in one shard in the rows' order; else a copy."""
        if len(self) and (self.part == self.part[0]).all() and (np.diff(self.place) == 1).all():
            return self.parts[self.part[0]][self.place[0] : self.place[0] + len(self)]
        return self.read(np.arange(len(self)))


Key = tuple[str, int]  # a tap and a copy


class Buffer:
    """Values that are computed and not yet written, of columns that grow together."""

    def __init__(
        self, columns: Mapping[Key, Column], lacking: Mapping[Key, Set[str]], facts: Mapping[Key, dict[str, Any]]
    ) -> None:
        """Begin with nothing.

        Args:
            columns: Where the values will go.
            lacking: Of each, the pictures that it lacks; what is added of others is left out.
            facts: What is to be written of each beside its shards.
        """
        self._columns, self._lacking, self._facts = columns, lacking, facts
        self._pictures: dict[Key, list[str]] = {key: [] for key in columns}
        self._values: dict[Key, list[np.ndarray]] = {key: [] for key in columns}
        self._since = time.monotonic()

    def add(self, key: Key, pictures: list[str], values: np.ndarray) -> None:
        """Take the values (pictures, …) of one column."""
        here = [place for place, picture in enumerate(pictures) if picture in self._lacking[key]]
        if here:
            self._pictures[key] += [pictures[place] for place in here]
            self._values[key].append(values if len(here) == len(pictures) else values[here])

    def write(self, *, only_full: bool = False) -> None:
        """Write shards of all that there is; or only if that is enough to be worth one, or old enough.

        Raises:
            ImpastoError: As `Column.add` would.
        """
        held = [sum(each.nbytes for each in values) for values in self._values.values()]
        full = (
            max(held, default=0) >= SHARD_BYTES
            or sum(held) >= 4 * SHARD_BYTES
            or max(map(len, self._pictures.values()), default=0) >= SHARD_PICTURES
            or time.monotonic() - self._since >= SHARD_SECONDS
        )
        if only_full and not full:
            return
        for key, values in self._values.items():
            if values:
                self._write(key, self._pictures[key], np.concatenate(values))
            self._pictures[key], self._values[key] = [], []
        self._since = time.monotonic()

    def _write(self, key: Key, pictures: list[str], values: np.ndarray) -> None:
        column = self._columns[key]
        column.describe(self._facts[key] | {"shape": values.shape[1:], "dtype": "float16"})
        most = max(1, SHARD_BYTES // max(1, values[0].nbytes))
        for start in range(0, len(pictures), most):
            column.add(pictures[start : start + most], values[start : start + most])


def read_shard(file: Path) -> tuple[list[str], np.ndarray]:
    """The pictures' hashes and the values of a shard, memory-mapped.

    A safetensors file is a length of 8 bytes, as much JSON, and the tensors' bytes.

    Raises:
        OSError, ValueError, KeyError, TypeError: It is none, or has been cut.
    """
    with file.open("rb") as source:
        start = 8 + int.from_bytes(source.read(8), "little")
        if start > file.stat().st_size:
            raise ValueError("its header is cut")
        header = json.loads(source.read(start - 8))
    tensor = header[TENSOR]
    begin, end = tensor["data_offsets"]
    pictures = header["__metadata__"][PICTURES].split()
    if tensor["dtype"] != "F16" or tensor["shape"][0] != len(pictures) or file.stat().st_size != start + end:
        raise ValueError("it is not as long as it says")
    return pictures, np.memmap(file, np.dtype("<f2"), "r", start + begin, tuple(tensor["shape"]))


def free_bytes(folder: Path) -> int:
    """How much may still be written in a folder, which need not be there yet."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
