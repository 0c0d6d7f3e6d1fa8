"""Write an atlas's web site: only what changed, and nothing stays of what is no longer part of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

from impasto.errors import ImpastoError, UsageError
from impasto.images.replace import replace_file
from impasto.inspection.atlas.content import AtlasContent
from impasto.inspection.atlas.site.pages import pages
from impasto.inspection.atlas.site.search_index import search_index

LIST = "atlas-pages.json"
SUFFIXES = (".html", ".css", ".js")


@dataclass(frozen=True)
class Written:
    """What became of a site's files, by their paths below its folder.

    Attributes:
        written: New, or with other bytes than before.
        kept: As they were.
        removed: Of an earlier build, and no longer part of the site.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    removed: tuple[str, ...]


def write_site(content: AtlasContent, folder: Path) -> Written:
    """Write the pages, the style, the scripts and the search index; the pictures lie in the folder already.

    The folder also keeps a list of these files (``atlas-pages.json``), by which a later build knows what it may
    remove. It names a file before the file is there, so that a build that was killed leaves nothing unknown behind.

    Raises:
        UsageError: The folder has an ``index.html`` that no atlas has put there.
        ImpastoError: The folder may not be written to, or the disk is full.
    """
    folder = Path(folder)
    _make(folder)
    earlier = _earlier(folder)
    if "index.html" not in earlier and (folder / "index.html").exists():
        raise UsageError(f"{folder} holds the index.html of something else: choose another folder or remove it")
    rendered = list(_files(content))
    names = {name for name, _ in rendered}
    _list(folder, earlier | names, earlier)
    for parent in {(folder / name).parent for name in names}:
        _make(parent)
    written = [(name, data) for name, data in rendered if not _holds(folder / name, data)]
    # Each waits until its bytes are on the disk; a few that wait together wait hardly longer than one.
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda one: replace_file(folder / one[0], one[1]), written[:-1]):
            pass
    for name, data in written[-1:]:
        replace_file(folder / name, data)
    removed = sorted(earlier - names)
    for name in removed:
        _remove(folder, name)
    _list(folder, names, earlier | names)
    changed = tuple(name for name, _ in written)
    return Written(changed, tuple(sorted(names - set(changed))), tuple(removed))


def _files(content: AtlasContent) -> Iterator[tuple[str, bytes]]:
    """All files of a site, the front page last: where it stands, all that it leads to stands too."""
    assets = files("impasto.inspection.atlas.site").joinpath("assets")
    for asset in sorted(assets.iterdir(), key=lambda file: file.name):
        if asset.name.endswith(SUFFIXES):
            yield f"assets/{asset.name}", asset.read_bytes()
    yield "assets/search-index.js", search_index(content).encode()
    front, *others = pages(content)
    for name, html in [*others, front]:
        yield name, html.encode()


def _earlier(folder: Path) -> set[str]:
    """Files that an earlier build wrote; a list that somebody else has changed cannot name any other."""
    try:
        names = json.loads((folder / LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {name for name in names if isinstance(name, str) and _is_ours(name)} if isinstance(names, list) else set()


def _is_ours(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        path.suffix in SUFFIXES
        and not path.is_absolute()
        and not {"..", ""} & set(path.parts)
        and not set("\\:") & set(name)
    )


def _list(folder: Path, names: set[str], standing: set[str]) -> None:
    if names != standing or not (folder / LIST).exists():
        replace_file(folder / LIST, (json.dumps(sorted(names), indent=0) + "\n").encode())


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImpastoError(f"the folder {folder} cannot be made: {error.strerror}; choose another place") from error


def _remove(folder: Path, name: str) -> None:
    """Take a file away, and its folder with it where that leaves it empty."""
    with suppress(OSError):
        (folder / name).unlink()
    with suppress(OSError):
        (folder / name).parent.rmdir()
