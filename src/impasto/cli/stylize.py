"""impasto stylize: paint a photograph in the style of other pictures."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.terminal import QUIET, Voice, complain, say
from impasto.errors import UsageError
from impasto.runs.bar import ProgressBar, Silence
from impasto.synthesis.options import StyleTransferOptions


def stylize(
    content: Path,
    style: Path,
    /,
    *more_styles: Path,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    preview: Path | None = None,
    options: Annotated[
        StyleTransferOptions, Parameter(name="*", group="Style", consume_multiple=True, negative="")
    ] = StyleTransferOptions(),
    voice: Voice = QUIET,
) -> int:
    """Paint CONTENT in the style of STYLE (or several), and write the result beside it.

    The picture that comes out carries its recipe: `impasto show` prints it, `impasto rerun` makes it again.
    Ctrl-C ends the work and keeps the best picture so far.

    Examples:

        impasto stylize photo.jpg painting.jpg
        impasto stylize photo.jpg painting.jpg --strength 0.8 --stroke 1.5 --out wall.tif
        impasto stylize photo.jpg one.jpg two.jpg --style-weights 2 1 --color match
        impasto stylize photo.jpg painting.jpg --network vgg19 --quality best

    Parameters
    ----------
    content
        The photograph to paint.
    style
        The painting whose style it gets.
    more_styles
        Further paintings, mixed in.
    out
        Where to write the picture; the suffix chooses the format. Default: CONTENT-STYLE.png beside the photograph.
    options_file
        A YAML file of options; flags go over it.
    preview
        A picture file rewritten while the work goes on.
    options
        How to paint.
    voice
        How to speak.
    """
    from impasto.runs.options_file import read_options, validate
    from impasto.synthesis import stylize as craft

    values = (read_options(StyleTransferOptions, options_file) if options_file else {}) | options.model_dump(
        exclude_unset=True
    )
    options = validate(StyleTransferOptions, values)
    styles = [style, *more_styles]
    out = out or default_output(content, styles)
    from impasto.images import require_format, require_writable

    inputs = {path.resolve(): path for path in (content, *styles)}
    for path in inputs.values():
        if not path.exists():
            raise UsageError(f"{path} does not exist: check the name")
    for path in filter(None, (out, preview)):
        if path.resolve() in inputs:
            raise UsageError(f"{path} is one of the pictures that go in: name another file to write")
        require_format(path)
        require_writable(path)
    began = time.monotonic()
    with listener(voice) as show:
        result = craft.stylize(content, styles, options=options, progress=show, download=show.download, preview=preview)
    result.save(out)
    seconds = time.monotonic() - began
    losses = {name: round(value, 5) for name, value in result.losses.items()}
    finished = result.recipe.finished
    say(
        f"{out}  {result.picture.width}×{result.picture.height}, {seconds:.0f} s, "
        f"{len(result.history)} steps, {_percent(losses)}",
        voice,
        out=out,
        seconds=round(seconds, 2),
        steps=len(result.history),
        losses=losses,
        finished=finished,
    )
    if not finished:
        complain("interrupted: this is the best picture so far", as_json=voice.json)
    return 0 if finished else 1


def listener(voice: Voice) -> ProgressBar | Silence:
    """A progress bar for a person; for a machine, nobody listens."""
    return Silence() if voice.json else ProgressBar()


def default_output(content: Path, styles: list[Path]) -> Path:
    """``photo-painting.png`` beside the photograph; a number is added rather than replace another picture."""
    stem = "-".join([content.stem, *(style.stem for style in styles)])
    stem = os.fsdecode(os.fsencode(stem)[:200])  # file systems count bytes, and 255 of them
    path, number = content.parent / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = content.parent / f"{stem}-{number}.png"
    return path


def _percent(losses: dict[str, float]) -> str:
    style = losses.get("style")
    return "the photograph's content only" if style is None else f"{100 * (1 - style):.1f} % of the way to the style"
