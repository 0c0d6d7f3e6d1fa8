"""IDX files, in which MNIST's digits and their labels come, gzipped or not."""

from __future__ import annotations

import gzip
import os
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from impasto.errors import UsageError

_IMAGES = re.compile(r"(?P<set>.*?)-?images[-.]idx3-ubyte(\.gz)?$")


def image_files(source: Path) -> list[Path]:
    """The files of pictures that a folder holds, or the file itself if it is one; else none."""
    names = [source] if source.is_file() else sorted(source.iterdir()) if source.is_dir() else []
    return [path for path in names if _IMAGES.fullmatch(path.name) and not path.name.startswith(".")]


def images(path: Path | str) -> np.ndarray:
    """The pictures of a file, (n, h, w) uint8, not to be written to; read and unpacked once while it does not change.

    Raises:
        UsageError: No such file, or it is damaged or of another kind.
    """
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return _images(os.path.realpath(path), status.st_mtime_ns, status.st_size)


def read_image(path: Path | str, number: int) -> np.ndarray:
    """One picture of a file, (h, w) uint8.

    Raises:
        UsageError: The file has no picture of that number, or as :func:`images`.
    """
    found = images(path)
    if not 0 <= number < len(found):
        raise UsageError(f"{path} has the pictures 0 to {len(found) - 1}, and none of number {number}: scan it again")
    return found[number]


def place(path: Path | str) -> tuple[Path, int] | None:
    """The idx file and the number that ``FILE#N`` names; None of any other path, and of a file that has such a name.

    >>> place("digits.gz#7") == (Path("digits.gz"), 7), place("cat/photo#1.jpg")
    (True, None)
    """
    file, mark, number = str(path).rpartition("#")
    if not (mark and number.isdecimal()) or os.path.lexists(path):
        return None
    return Path(file), int(number)


def labels(path: Path) -> list[str] | None:
    """The labels beside a file of pictures, as text; None where there is no such file.

    Raises:
        UsageError: The file is damaged, or has not as many labels as there are pictures.
    """
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    plain = name.removesuffix(".gz")
    beside = next((path.parent / one for one in (name, plain, plain + ".gz") if (path.parent / one).is_file()), None)
    if beside is None:
        return None
    found, count = _parse(beside, 1), len(images(path))
    if len(found) != count:
        raise UsageError(f"{beside} has {len(found)} labels for {count} pictures: download both again")
    return [str(label) for label in found.tolist()]


def split_of(path: Path) -> str | None:
    """The split that MNIST's own names stand for.

    >>> split_of(Path("t10k-images-idx3-ubyte.gz"))
    'test'
    """
    match = _IMAGES.fullmatch(path.name)
    return {"train": "train", "t10k": "test", "test": "test", "valid": "valid"}.get(match["set"] if match else "")


@lru_cache(maxsize=4)
def _images(path: str, changed: int, size: int) -> np.ndarray:
    found = _parse(Path(path), 3)
    found.flags.writeable = False
    return found


def _parse(path: Path, dimensions: int) -> np.ndarray:
    """Two zeros, the type (8: uint8), the number of dimensions, each as a big-endian int32, then the numbers."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, ValueError) as error:
        raise UsageError(f"{path} cannot be unpacked: download it again") from error
    except Exception as error:  # zlib.error is of no family
        raise UsageError(f"{path} is damaged: download it again") from error
    if data[:4] != bytes([0, 0, 8, dimensions]):
        raise UsageError(f"{path} is no idx file of bytes with {dimensions} dimensions: check the name")
    shape = tuple(np.frombuffer(data, ">i4", dimensions, 4).tolist()) if len(data) >= 4 + 4 * dimensions else (-1,)
    begin = 4 + 4 * dimensions
    if len(data) - begin != int(np.prod(shape)) or min(shape) < 0:
        raise UsageError(f"{path} is cut short or damaged: download it again")
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape).copy()
