"""Replace a file whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from impasto.errors import ImpastoError, UsageError


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """An empty file beside the one named, open for writing and reading, that takes its place when all went well.

    Its bytes are on the disk before the name is theirs. Whatever goes wrong, the earlier file is untouched
    and nothing else is left behind. A link is followed.

    Raises:
        ImpastoError: The folder is missing or may not be written to, the disk is full, or the path
            is a folder.
    """
    path = Path(path)
    try:
        target, beside = _places(path)
        try:
            with open(beside, "x+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
    except (OSError, ValueError) as error:
        raise ImpastoError(_what_happened(path, error)) from error


def replace_file(path: str | Path, data: bytes) -> None:
    """Put these bytes in the place of the file, whole or not at all, as :func:`replacing` does.

    Raises:
        ImpastoError: As :func:`replacing` would.
    """
    with replacing(path) as file:
        file.write(data)


def require_writable(path: str | Path) -> None:
    """Find out before the work, not after it, that a file cannot be written: by writing one beside it.

    Raises:
        UsageError: There is no such folder, or the name can be no file's.
        ImpastoError: The disk is full, or the folder may not be written to.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder: name a file to write")
    try:
        _, beside = _places(path)
        beside.touch(exist_ok=False)
        beside.unlink()
    except (OSError, ValueError) as error:
        wrong = getattr(error, "errno", None) in (None, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
        raise (UsageError if wrong else ImpastoError)(_what_happened(path, error)) from error


def _places(path: Path) -> tuple[Path, Path]:
    """The file that the path leads to, and a new name beside it: a random one, so that two who write the same
    file at once do not write into each other's.
    """
    if path.is_dir():
        raise ImpastoError(f"{path} is a folder: name a file to write")
    target = Path(os.path.realpath(path))
    return target, target.with_name(f".impasto-{secrets.token_hex(8)}.part")


def _what_happened(path: Path, error: OSError | ValueError) -> str:
    match getattr(error, "errno", None):
        case errno.ENOSPC | errno.EDQUOT:
            return f"{path} was not written, the disk is full: free some space or choose another folder"
        case errno.EFBIG:
            return f"{path} was not written, it is larger than a file may be: raise the limit or make it smaller"
        case errno.ENOENT:
            return f"{path} was not written, the folder {path.parent} does not exist: create it first"
        case errno.ENOTDIR:
            return f"{path} was not written, {path.parent} is not a folder: choose another place"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"{path} was not written, {path.parent} may not be written to: choose another folder"
        case _:
            return f"{str(path)!r} was not written: {getattr(error, 'strerror', None) or error}"
