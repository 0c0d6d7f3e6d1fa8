"""The progress bar: one reader of a job's events, for terminals and notebooks."""

from __future__ import annotations

import time
from datetime import timedelta
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

LINE_SECONDS = 30.0  # between lines in a log


class Event(Protocol):
    """What a job tells of itself: the part that is done, in [0, 1], its losses, and where it is."""

    @property
    def done(self) -> float:
        """Part of the work that is done."""

    @property
    def losses(self) -> dict[str, float]:
        """Losses by name."""

    @property
    def where(self) -> str:
        """A few words: the scale, the network, the step."""


class ProgressBar:
    """A bar with the losses and the time left; use it as a context and call it with every event.

    Where there is no terminal (a log, a pipe) it is a line every ``LINE_SECONDS``.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._began = self._told = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=(console := console or Console(stderr=True)),
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("reading", total=1.0)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self.part(event.done, _words(event))

    def download(self, done: int, total: int | None) -> None:
        """Show how far a download is that comes before the work."""
        self.part(0.0, _bytes(done, total))

    def part(self, done: float, words: str) -> None:
        """Show the part of a work that is done, with a few words."""
        self._progress.update(self._task, completed=done, description=words)
        if self._progress.disable and (now := time.monotonic()) - self._told > LINE_SECONDS:
            self._told = now
            left = f", {timedelta(seconds=round((now - self._began) * (1 / done - 1)))} left" if done else ""
            self._progress.console.print(f"{100 * done:.0f} %{left}  {words}", highlight=False, markup=False)


class NotebookBar:
    """The same in a notebook, as one line of HTML under the cell (rich's own needs ipywidgets)."""

    def __enter__(self) -> NotebookBar:
        from IPython.display import HTML, display

        self._began = time.monotonic()
        self._handle = display(HTML(""), display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Show an event."""
        left = (time.monotonic() - self._began) * (1 / event.done - 1) if event.done else 0.0
        self._show(event.done, f"{100 * event.done:.0f} %, {left:.0f} s left  {_words(event)}")

    def download(self, done: int, total: int | None) -> None:
        """Show how far a download is that comes before the work."""
        self._show(done / total if total else 0.0, _bytes(done, total))

    def part(self, done: float, words: str) -> None:
        """Show the part of a work that is done, with a few words."""
        self._show(done, words)

    def _show(self, done: float, words: str) -> None:
        from IPython.display import HTML

        self._handle.update(HTML(f'<progress max="1" value="{done:.3f}"></progress> <code>{words}</code>'))


class Silence:
    """Nobody listens."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Not shown."""

    def download(self, done: int, total: int | None) -> None:
        """Not shown."""

    def part(self, done: float, words: str) -> None:
        """Not shown."""


def _words(event: Event) -> str:
    shown = ("style", "content", "loss", "accuracy")
    losses = (f"{name} {value:.3f}" for name, value in event.losses.items() if name in shown)
    return "  ".join([event.where, *losses])


def _bytes(done: int, total: int | None) -> str:
    return f"downloading weights {done / 1e6:.0f}" + (f" of {total / 1e6:.0f} MB" if total else " MB")


class DownloadBar:
    """A bar of bytes, shown once the first have come; use it as a context and call it with (done, total)."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("downloading weights"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=(console := console or Console(stderr=True)),
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> DownloadBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:  # never started, it would print an empty line
            self._progress.stop()

    def __call__(self, done: int, total: int | None) -> None:
        """Show how far the download is."""
        if self._task is None:
            self._task = self._progress.add_task("", total=total)
            self._progress.start()
        self._progress.update(self._task, completed=done, total=total)


def in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel."""
    import sys

    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
