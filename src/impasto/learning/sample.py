"""Sample: fewer rows of a manifest, a mirror of all: the same part of every split, class and group."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from impasto.errors import ImpastoError, UsageError
from impasto.images import idx
from impasto.learning.manifest import Manifest


def sample(
    manifest: Manifest,
    *,
    count: int | None = None,
    fraction: float | None = None,
    grouped: bool = False,
    seed: int = 0,
) -> Manifest:
    """Some of the rows, the same part of every split and class, and of every group if asked for.

    A sample holds every smaller one of the same seed but for roundings, and depends on the order of the rows in nothing
    but its own order.

    Args:
        manifest: The rows.
        count: How many rows; or
        fraction: Which part of them.
        grouped: Whether every group is to have its part too.
        seed: Another one takes others.

    Raises:
        UsageError: Neither or both are given, or there are not as many rows.

    >>> rows = [{"path": f"{n}.jpg", "label": "ab"[n % 4 == 0]} for n in range(40)]
    >>> sample(Manifest.from_rows(rows, "."), count=8).counts("label")
    {'a': 6, 'b': 2}
    """
    if (count is None) == (fraction is None):
        raise UsageError("a sample needs either a number of pictures or a fraction of them: give one of the two")
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise UsageError(f"fraction {fraction}: it must be above 0, and at most 1")
        count = max(1, round(fraction * len(manifest)))
    assert count is not None
    if not 0 < count <= len(manifest):
        raise UsageError(f"a sample of {count} from {len(manifest)} pictures: ask for 1 to {len(manifest)}")
    names = ("split", "label", "group")[: 3 if grouped else 2]
    strata = list(zip(*(manifest.column(name) for name in names), strict=True))
    shuffled = _shuffled(manifest.paths, seed)
    sizes = Counter(strata)
    quota = _quotas(sizes, count)
    taken: list[int] = []
    for row in shuffled:
        if quota[strata[row]]:
            quota[strata[row]] -= 1
            taken.append(row)
    return manifest.take(sorted(taken))


def materialise(
    manifest: Manifest,
    folder: Path | str,
    *,
    how: Literal["copy", "link"] = "copy",
    progress: Callable[[float, str], object] | None = None,
) -> Path:
    """Make a folder ``split/label/file`` of a manifest's pictures, as copies or as links; whole or not at all.

    Args:
        manifest: The rows.
        folder: The folder to make; it must not exist, and lie outside the pictures' own.
        how: ``copy``, or ``link`` for symbolic links.
        progress: Called with the part that is done and a few words.

    Raises:
        UsageError: The folder exists or lies within the source, or the pictures are in an idx file.
        ImpastoError: The disk is full, or a picture cannot be read.
    """
    folder = Path(os.path.abspath(folder))
    real = Path(os.path.realpath(folder))
    if os.path.lexists(folder):
        raise UsageError(f"{folder} exists already: name a new folder, for nothing is overwritten")
    if real.is_relative_to(os.path.realpath(manifest.root)):
        raise UsageError(f"{folder} lies within the pictures' own folder {manifest.root}: name one outside")
    if any(idx.place(manifest.root / path) for path in manifest.paths):
        raise UsageError("the pictures of an idx file are no files to copy: use the manifest of the sample instead")
    beside = folder.with_name(f".impasto-{secrets.token_hex(8)}.part")
    try:
        for number, (source, name) in enumerate(_places(manifest), 1):
            place = beside / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if how == "link":
                place.symlink_to(os.path.realpath(source))
            else:
                shutil.copyfile(source, place)
            if progress:
                progress(number / len(manifest), f"{how} {number} of {len(manifest)}")
        os.replace(beside, folder)
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename} is not there any more: scan the pictures again") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "free some space, or --link-to" if full else "choose another folder"
        raise ImpastoError(f"{folder} was not made, {error.strerror}: {mend}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _shuffled(paths: list[str], seed: int) -> list[int]:
    order = np.argsort(np.array(paths, dtype=object), kind="stable")
    return [int(row) for row in order[np.random.default_rng(seed).permutation(len(paths))]]


def _quotas(sizes: Counter[tuple[str | None, ...]], count: int) -> dict[tuple[str | None, ...], int]:
    """How many of each stratum: its part, the largest remainders rounded up; one at least while there are enough."""
    strata = sorted(sizes, key=str)
    total = sum(sizes.values())
    exact = np.array([sizes[one] * count / total for one in strata])
    quota = np.floor(exact).astype(int)
    if count >= len(strata):
        quota = np.maximum(quota, 1)
    rest = exact - quota
    while (short := count - int(quota.sum())) != 0:
        step = 1 if short > 0 else -1
        can = quota < [sizes[one] for one in strata] if step > 0 else quota > 1
        best = int(np.argmax(np.where(can, step * rest, -np.inf)))
        quota[best] += step
        rest[best] -= step
    return dict(zip(strata, quota.tolist(), strict=True))


def _places(manifest: Manifest) -> list[tuple[Path, Path]]:
    """Each picture's file, and where it goes; a name that is taken there has the row's number put before it."""
    taken: set[str] = set()
    places = []
    columns = zip(manifest.paths, manifest.column("split"), manifest.column("label"), strict=True)
    for row, (path, split, label) in enumerate(columns):
        folder = Path(*(_plain(part) for part in (split, label) if part))
        name = folder / Path(path).name
        if str(name).lower() in taken:
            name = folder / f"{row}-{Path(path).name}"
        taken.add(str(name).lower())
        places.append((manifest.root / path, name))
    return places


def _plain(part: str) -> str:
    """A label as the name of a folder."""
    return part.replace("/", "_").lstrip(".") or "_"
