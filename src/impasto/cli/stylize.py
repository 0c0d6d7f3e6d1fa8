"""impasto stylize: paint photographs in the style of other pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from impasto.cli.output import checked_output, chosen, listener, make, shown_default, write_sheet
from impasto.cli.terminal import QUIET, Voice, complain, say, say_table
from impasto.errors import UsageError
from impasto.synthesis.options import StyleTransferOptions

if TYPE_CHECKING:
    from impasto.synthesis.plan import Plan

Paths = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="", show_default=shown_default)]


def stylize(
    *pictures: Path,
    style: Paths = (),
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    preview: Path | None = None,
    run: Path | None = None,
    plan: Annotated[bool, Parameter(negative="")] = False,
    sweep: Literal["taps", "loss", "strength"] | None = None,
    options: Annotated[
        StyleTransferOptions,
        Parameter(name="*", group="Style", consume_multiple=True, negative="", show_default=shown_default),
    ] = StyleTransferOptions(),
    voice: Voice = QUIET,
) -> int:
    """Paint CONTENT in the style of STYLE (or several), and write the result beside it.

    The picture that comes out carries its recipe: `impasto show` prints it, `impasto rerun` makes it again.
    Ctrl-C ends the work and keeps the picture so far. With several photographs, name the paintings with --style
    and a folder with --out: what is done is skipped, and a bad file does not stop the others.

    Large pictures are worked in tiles, with the same result as in one piece. `torchrun --nproc-per-node 2 -m impasto
    stylize ...` spreads the tiles over processes (with --run: `-m -- impasto`, or torchrun takes the flag for its own).

    Examples:

        impasto stylize photo.jpg painting.jpg
        impasto stylize photo.jpg painting.jpg --strength 0.8 --stroke 1.5 --out wall.tif
        impasto stylize photo.jpg one.jpg two.jpg --style-weights 2 1 --color match
        impasto stylize photo.jpg sky.jpg ground.jpg --masks sky-mask.png ground-mask.png
        impasto stylize photo.jpg painting.jpg --loss wasserstein histogram --loss-weights 1 0.5
        impasto stylize photo.jpg painting.jpg --size 8192 --plan
        impasto stylize photo.jpg painting.jpg --size 8192 --run wall --out wall.tif
        impasto stylize photo.jpg painting.jpg --sweep strength
        impasto stylize photos/*.jpg --style painting.jpg --out painted

    Parameters
    ----------
    pictures
        The photograph and its paintings; with --style, all of them are photographs.
    style
        The paintings.
    out
        Where to write the picture; the suffix chooses the format. Default: CONTENT-STYLE.png beside the photograph.
        For several photographs, a folder.
    options_file
        A YAML file of options; flags go over it.
    preview
        A picture file rewritten while the work goes on.
    run
        A directory, new or empty, for checkpoints and metrics: `impasto resume DIR` goes on after a kill. Pictures
        above 16 megapixels get one under `runs` unasked.
    plan
        Print scales, tiles, memory and time, and do nothing.
    sweep
        Write a contact sheet with each value of an option, at 256 pixels: taps, loss or strength.
    options
        How to paint.
    voice
        How to speak.
    """
    options = chosen(StyleTransferOptions, options_file, options)
    contents, styles = (pictures, style) if style else (pictures[:1], pictures[1:])
    if not contents or not styles:
        raise UsageError("stylize needs a photograph and a painting: impasto stylize photo.jpg painting.jpg")
    folder = out is not None and (os.path.isdir(out) or (bool(style) and not out.suffix))
    if len(contents) > 1 or folder:
        return _batch(contents, styles, out, options, voice, single=[plan, sweep, run, preview])
    if (plan or sweep) and (run or preview):
        raise UsageError("--run and --preview are for painting, not for --plan or --sweep: leave them out")
    content = contents[0]
    if plan:
        return _plan(content, styles, options, voice)
    if sweep:
        return _sweep(content, styles, sweep, out, options, voice)
    out = checked_output(out, content.parent, [content, *styles], preview)
    from impasto.synthesis import stylize as craft

    return make(craft.stylize, content, styles, options=options, preview=preview, run=run, out=out, voice=voice)


def _batch(
    contents: tuple[Path, ...],
    styles: tuple[Path, ...],
    out: Path | None,
    options: StyleTransferOptions,
    voice: Voice,
    single: list[object],
) -> int:
    """Many photographs, one after the other."""
    if out is None:
        raise UsageError("several photographs need a folder to paint into: --out DIR")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: several photographs need a folder")
    if any(single):
        raise UsageError("--plan, --sweep, --run and --preview are for one photograph: leave them out")
    from impasto.synthesis.batch import stylize_batch

    items, stopped = [], False
    try:
        with listener(voice) as show:
            for item in stylize_batch(contents, styles, out, options=options, progress=show, download=show.download):
                items.append(item)
                note = {"painted": item.out, "skipped": f"{item.out} (was there)", "failed": f"{item.content}: failed"}
                if not voice.json:
                    say(f"{len(items)} of {len(contents)}  {note[item.status]}")
    except KeyboardInterrupt:
        stopped = True
    failed = [item for item in items if item.status == "failed"]
    if stopped:
        done = len(items) - len(failed)
        complain(f"stopped: {done} of {len(contents)} are done; the same command goes on", as_json=voice.json)
    if voice.json:
        say("", voice, items=[vars(item) for item in items])
    for item in failed:
        complain(f"{item.content} was not painted: {item.error}", as_json=voice.json)
    return 1 if failed or stopped else 0


def _plan(content: Path, styles: tuple[Path, ...], options: StyleTransferOptions, voice: Voice) -> int:
    from impasto.synthesis.plan import plan as make_plan

    with listener(voice) as show:
        planned: Plan = make_plan(content, styles, options=options, download=show.download)
    rows = [stage.row() for stage in planned.stages]
    gigabytes = round(planned.bytes / 2**30, 1)
    if voice.json:
        say("", voice, stages=rows, seconds=round(planned.seconds), GiB=gigabytes)
        return 0
    say_table(rows[0], (row.values() for row in rows))
    minutes = planned.seconds / 60
    much = f"{planned.seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} minutes"
    say(f"at most {much} and {gigabytes} GiB, from a step measured at 384 pixels")
    return 0


def _sweep(
    content: Path,
    styles: tuple[Path, ...],
    what: Literal["taps", "loss", "strength"],
    out: Path | None,
    options: StyleTransferOptions,
    voice: Voice,
) -> int:
    from impasto.synthesis.sweep import sweep

    out = checked_output(out, content.parent, [content, *styles], None, stem=f"{content.stem}-{what}")
    with listener(voice) as show:
        rows = sweep(content, styles, what, options=options, progress=lambda label: show)
    return write_sheet(rows[1:], out, 256, voice, above=rows[:1])
