"""Folders of pictures: all the picture files below one, in order."""

from __future__ import annotations

import os
from pathlib import Path

from impasto.errors import UsageError

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif", ".avif"}


def pictures_below(folder: Path) -> list[str]:
    """The pictures of a folder and of all folders in it, whatever they are called, as paths with / between.

    Raises:
        UsageError: There are none, or a folder cannot be listed.
    """
    return ["/".join(parts) for parts in walk(folder)[0]]


def walk(folder: Path) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The pictures and the folders without any below them, as parts of their paths; a folder of a loop comes once.

    Raises:
        UsageError: There are none, a name is not in UTF-8, or a folder cannot be listed.
    """
    found: list[tuple[str, ...]] = []
    empty: list[tuple[str, ...]] = []

    def enter(parts: tuple[str, ...], above: frozenset[str]) -> int:
        here = folder.joinpath(*parts)
        real = os.path.realpath(here)
        if real in above:
            return 0
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            raise UsageError(f"{here} cannot be listed: {error.strerror}") from error
        count = 0
        for entry in entries:
            if entry.name.startswith(".") or entry.name in ("__MACOSX", "Thumbs.db"):
                continue
            if entry.is_dir():
                count += enter((*parts, entry.name), above | {real})
            elif Path(entry.name).suffix.lower() in SUFFIXES:
                _require_utf8(os.path.join(os.path.abspath(here), entry.name))
                found.append((*parts, entry.name))
                count += 1
        if not count:
            empty.append(parts)
        return count

    if folder.is_file():
        raise UsageError(f"{folder} is a file: name a folder of pictures")
    enter((), frozenset())
    if not found:
        raise UsageError(f"{folder} holds no pictures: is it the right folder? ({', '.join(sorted(SUFFIXES))})")
    return found, empty


def _require_utf8(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise UsageError(f"{shown} has a name that is not in UTF-8: rename it") from error
