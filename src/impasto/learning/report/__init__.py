"""The report of a run: one static page, and the plots on it as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from impasto.errors import ImpastoError
from impasto.images.replace import replace_file
from impasto.learning.plots import png
from impasto.learning.report.contents import gather
from impasto.learning.report.page import render

FOLDER = "report"
PAGE = "index.html"


def report(run: Path | str, *, progress: Callable[[float, str], object] | None = None) -> Path:
    """Write ``report/index.html`` into a run, and its plots beside it as PNG files; returns the page.

    The page needs nothing else: no network and no other file. What the run does not have (groups, boxes, embeddings,
    baselines, an audit) is left out.

    Args:
        run: The directory of a run of ``impasto train``.
        progress: Called with (part done, words).

    Raises:
        UsageError: No run, or one without predictions of labelled pictures.
        ImpastoError: The disk is full.
    """
    path = Path(run)
    contents = gather(path, progress=progress)
    folder = path / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ImpastoError(f"{folder} cannot be made: {error.strerror}") from error
    for name, figure in contents.figures.items():
        replace_file(folder / f"{name.replace(' ', '-')}.png", png(figure))
    page = folder / PAGE
    replace_file(page, render(contents).encode("utf-8", "backslashreplace"))
    if progress:
        progress(1.0, "report")
    return page
