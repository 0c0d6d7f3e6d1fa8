"""What the commands that make a picture have in common: options, where it goes, the bar, what is said of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli.terminal import Voice, complain, first_process, say
from impasto.errors import UsageError
from impasto.runs.bar import ProgressBar, Silence
from impasto.runs.options_file import Options, merge, read_options

if TYPE_CHECKING:
    from impasto.synthesis.session import SynthesisResult
    from impasto.synthesis.sweep import Rows


def shown_default(value: object) -> Any:
    """A default as the help says it: several values as words; None, which is not shown, for none."""
    words = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return None if value in (None, ()) else words


def chosen(model: type[Options], file: Path | None, flags: Options) -> Options:
    """The options of a file, if there is one, with the flags over them."""
    return merge(model, read_options(model, file) if file else None, flags)


def listener(voice: Voice) -> ProgressBar | Silence:
    """A progress bar for a person; for a machine, and for all processes but the first, nobody listens."""
    return Silence() if voice.json or not first_process() else ProgressBar()


def checked_output(
    out: Path | None,
    folder: Path,
    inputs: Sequence[Path],
    preview: Path | None,
    stem: str | None = None,
    page: Path | None = None,
    suffix: str = ".png",
) -> Path:
    """Where the picture goes, once it is sure that all that is written can be, to files that nothing else is in.

    Args:
        out: As asked for; None for a name that is free.
        folder: Where such a name is.
        inputs: Pictures that go in.
        preview: Another picture that is written.
        stem: Of a free name.
        page: A page of HTML that is written.
        suffix: Of a free name.

    Raises:
        UsageError: One is an input or another of them, or has no format.
        ImpastoError: One cannot be written.
    """
    from impasto.images import require_format, require_writable

    out = out or default_output(folder, stem or "-".join(path.stem for path in inputs), suffix)
    for path in inputs:
        if not path.exists():
            raise UsageError(f"{path} does not exist: check the name")
    written: list[Path] = []
    for path in filter(None, (out, preview)):
        require_apart(path, inputs, written)
        require_format(path)
        require_writable(path)
        written.append(path)
    if page:
        require_apart(page, inputs, written)
        require_page(page)
    return out


def require_apart(path: Path, inputs: Iterable[Path], written: Iterable[Path] = ()) -> None:
    """Find out before the work that a file to write would replace a picture, or another that is written.

    Raises:
        UsageError: It would.
    """
    if path.resolve() in {one.resolve() for one in inputs}:
        raise UsageError(f"{path} is one of the pictures that go in: name another file to write")
    if path.resolve() in {one.resolve() for one in written}:
        raise UsageError(f"{path} would be written twice: name another file for one of the two")


def require_page(path: Path) -> None:
    """Find out before the work that a page cannot be written to a file of that name.

    Raises:
        UsageError: It is not named as one.
        ImpastoError: It cannot be written.
    """
    from impasto.images import require_writable

    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path}: what is written there is a page of HTML: name a .html")
    require_writable(path)


def default_output(folder: Path, stem: str, suffix: str = ".png") -> Path:
    """``photo-painting.png`` beside the photograph; a number is added rather than replace another picture."""
    stem = os.fsdecode(os.fsencode(stem)[:200])  # file systems count bytes, and 255 of them
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def make(
    verb: Callable[..., SynthesisResult], *inputs: Any, out: Path, run: Path | None, voice: Voice, **how: Any
) -> int:
    """Make a picture, a bar going along, say how it went, and return the exit code."""
    began = time.monotonic()
    with listener(voice) as show:
        result = verb(*inputs, progress=show, download=show.download, run=run or "auto", out=out, **how)
    return report(result, out, began, voice)


def report(result: SynthesisResult, out: Path, began: float, voice: Voice) -> int:
    """Say how it went, and return the exit code."""
    seconds = time.monotonic() - began
    losses = {name: round(value, 5) for name, value in result.losses.items()}
    say(
        f"{out}  {result.picture.width}×{result.picture.height}, {seconds:.0f} s, "
        f"{len(result.history)} steps, {_percent(result)}",
        voice,
        out=out,
        seconds=round(seconds, 2),
        steps=len(result.history),
        losses=losses,
        finished=result.recipe.finished,
    )
    if not result.recipe.finished:
        complain("interrupted: this is the picture so far", as_json=voice.json)
    return 0 if result.recipe.finished else 1


def write_sheet(made: Rows, out: Path, height: int, voice: Voice, above: Rows | None = None) -> int:
    """Write a contact sheet of what was made, say so, and return the exit code."""
    from impasto.images import Picture, write
    from impasto.images.contact_sheet import contact_sheet
    from impasto.synthesis.run import INTERRUPTED

    if first_process():
        write(out, Picture(contact_sheet([*(above or []), *made], height=height)))
    labels = [label for row in made for label, _ in row]
    say(f"{out}  {len(labels)} pictures", voice, out=out, labels=labels)
    if not labels[-1].endswith(INTERRUPTED):
        return 0
    complain("interrupted: these are the pictures so far", as_json=voice.json)
    return 1


def _percent(result: SynthesisResult) -> str:
    if result.recipe.verb == "invert":
        return f"{100 * result.losses['content']:.2f} % of the activations not met"
    style = result.losses.get("style")
    return "the photograph's content only" if style is None else f"{100 * (1 - style):.1f} % of the way to the style"
