"""impasto report: the page of a run's results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, say


def report(
    run: Path,
    /,
    *,
    open: Annotated[bool, Parameter(negative="")] = False,
    voice: Voice = QUIET,
) -> None:
    """Make the page of a run's results: curves, scores, calibration, and pictures with their nearest in training.

    It is one file, RUN/report/index.html, that needs no network; the plots lie beside it as PNG files.

    Examples:

        impasto report runs/202611211200-train-pets-squeezenet1_0
        impasto report runs/202611211200-train-pets-squeezenet1_0 --open

    Parameters
    ----------
    run
        The directory of a run of `impasto train`.
    open
        Show it in the browser.
    voice
        How to speak.
    """
    from impasto.learning.predict import require_classifier
    from impasto.learning.report import report as make

    require_classifier(run)
    with listener(voice) as bar:
        page = make(run, progress=bar.part)
    say(str(page), voice, page=page, bytes=page.stat().st_size)
    if open:
        import webbrowser

        webbrowser.open(page.absolute().as_uri())
