"""Cache: the pieces of an atlas, each a folder named by a hash of all it depends on, there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from impasto.errors import ImpastoError, UsageError
from impasto.images import idx
from impasto.inspection.folder.pictures import Folder
from impasto.networks import Network

Place = Literal["pictures", ".atlas"]  # what the site shows, and what only the next build reads
Tell = Callable[[float, str], object]

PLACES: tuple[Place, ...] = ("pictures", ".atlas")
_PART = ".part-"


@dataclass(frozen=True)
class Work:
    """What a piece is made from.

    Attributes:
        networks: The atlas's network, and the one it is compared with.
        site: The site's folder, where earlier pieces lie.
        device: Where the networks are to run.
    """

    networks: tuple[Network, ...]
    site: Path
    device: str = "cpu"

    def placed(self) -> Work:
        """The same with its networks on the device."""
        return replace(self, networks=tuple(network.to(self.device) for network in self.networks))


@dataclass(frozen=True)
class Piece:
    """A part of an atlas that is made at once, and lost at once by a kill.

    Attributes:
        place: Where it is kept.
        key: Hash of all that it depends on.
        words: What it is, for the progress bar.
        group: Pieces that cost alike for their ``cost``: what one took foretells the others.
        cost: About how much work it is, in any unit.
        job: Makes it: writes its files into a new folder, and tells how far it is. It can be pickled.
    """

    place: Place
    key: str
    words: str
    group: str
    cost: float
    job: Callable[[Work, Path, Tell], None]

    @property
    def folder(self) -> str:
        """Where it is, below the site's folder."""
        return f"{self.place}/{self.key}"

    def there(self, site: Path) -> bool:
        """Whether it is made already."""
        return (site / self.folder).is_dir()


def key_of(*facts: Any) -> str:
    """A short name for all that a piece depends on: JSON's values, paths, and tuples and mappings of them.

    >>> key_of("render", 1, ("a", 2)) == key_of("render", 1, ["a", 2]) != key_of("render", 1, ["a", 3])
    True
    """
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:20]


def fingerprint(network: Network) -> str:
    """A hash of a network's weights: that of its file, or where there is none, of the tensors themselves."""
    if network.sha256:
        return key_of(network.name, network.sha256)
    digest = hashlib.sha256()
    for name, tensor in sorted(network.module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return key_of(network.name, digest.hexdigest())


def folder_key(folder: Folder) -> str:
    """A hash of a folder's pictures, by their files' names, sizes and times of change: none of them is read.

    The names are those below the folder: wherever it lies and however its path is spelled, the key is the same.
    """
    seen: dict[Path, list[int]] = {}
    for path in folder.paths:
        inside = idx.place(path)
        file = inside[0] if inside else path
        if file not in seen:
            found = file.stat()
            seen[file] = [found.st_size, found.st_mtime_ns]
    return key_of(list(seen.values()), folder.names)


def make(piece: Piece, work: Work, tell: Tell) -> None:
    """Make a piece. Its folder appears under its name when all its files are on the disk; one that is there stays.

    Raises:
        ImpastoError: The disk is full or may not be written to; or what the job raises.
    """
    target = work.site / piece.folder
    beside = target.with_name(f"{_PART}{secrets.token_hex(8)}")
    try:
        beside.mkdir(parents=True)
        piece.job(work, beside, tell)
        if not piece.there(work.site):
            os.replace(beside, target)
    except OSError as error:
        raise ImpastoError(f"{target} was not written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def site_folder(site: Path) -> Iterator[None]:
    """Hold a site's folder while it is built: made where it is missing, rid of what a kill has left half-made.

    Raises:
        UsageError: It is a file, or it holds something that is no atlas, or another build is at it.
        ImpastoError: It cannot be made, or may not be written to.
    """
    lock = FileLock(site / ".atlas" / "lock")
    try:
        if site.exists() and not site.is_dir():
            raise UsageError(f"{site} is a file: name a folder for the site with --out")
        if site.is_dir() and any(site.iterdir()) and not (site / ".atlas").is_dir():
            raise UsageError(f"{site} holds other things and no atlas: name a new or empty folder with --out")
        for place in PLACES:
            (site / place).mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise UsageError(f"{site} is being built by another process: wait for it, or choose another folder") from error
    except OSError as error:
        what = error.strerror or error
        raise ImpastoError(f"no site can be built in {site} ({what}): choose another folder with --out") from error
    try:
        _remove_parts(site)
        yield
    finally:
        _remove_parts(site)
        lock.release()


def _remove_parts(site: Path) -> None:
    for place in PLACES:
        for part in (site / place).glob(f"{_PART}*"):
            shutil.rmtree(part, ignore_errors=True)


def clear(site: Path, used: Sequence[Piece]) -> int:
    """Remove all pieces but these, those that other options or networks had left; how many there were."""
    kept = {piece.folder for piece in used}
    old = [
        folder
        for place in PLACES
        for folder in (site / place).iterdir()
        if folder.is_dir() and f"{place}/{folder.name}" not in kept
    ]
    for folder in old:
        shutil.rmtree(folder)
    return len(old)
