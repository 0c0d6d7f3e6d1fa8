"""What the commands that work pictures one by one, or whole folders of them, have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli.output import listener
from impasto.cli.terminal import Voice, complain, say
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.translation.apply import Progress
    from impasto.translation.batch import Done, FolderItem


def into_folder(pictures: tuple[Path, ...], out: Path | None, verb: str) -> bool:
    """Whether results go into the folder ``out``: of several pictures, of a folder, or where it is one.

    Raises:
        UsageError: There are no pictures.
    """
    if not pictures:
        raise UsageError(f"{verb} needs a picture: impasto {verb} photo.jpg")
    return len(pictures) > 1 or pictures[0].is_dir() or bool(out and out.is_dir())


def require_folder(out: Path | None) -> Path:
    """The folder that results go into.

    Raises:
        UsageError: None is named.
    """
    if out is None:
        raise UsageError("several pictures need a folder to write into: --out DIR")
    return out


def work_folder(work: Callable[[Progress], Iterator[FolderItem]], voice: Voice) -> tuple[list[FolderItem], bool]:
    """What became of each picture, a bar going along, and whether all were come to: Ctrl-C stops."""
    items: list[FolderItem] = []
    try:
        with listener(voice) as show:
            for item in work(show.part):
                items.append(item)
    except KeyboardInterrupt:
        return items, False
    return items, True


def tell_folder(items: list[FolderItem], finished: bool, done: Done, out: Path, voice: Voice) -> int:
    """Say what became of the pictures, and return the exit code."""
    counts = {status: sum(item.status == status for item in items) for status in (done, "skipped", "failed")}
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    say(f"{out}  {words or 'nothing done'}", voice, **counts, items=[vars(item) for item in items], finished=finished)
    for item in items:
        if item.status == "failed":
            complain(f"{item.source} was not {done}: {item.error}", as_json=voice.json)
    if not finished:
        made = len(items) - counts["failed"]
        complain(f"stopped: {made} are done; the same command goes on", as_json=voice.json)
    return 0 if finished and not counts["failed"] else 1
