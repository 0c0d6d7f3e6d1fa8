"""impasto invert: what a layer still knows of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import checked_output, chosen, listener, make, shown_default, write_sheet
from impasto.cli.terminal import QUIET, Voice
from impasto.errors import UsageError
from impasto.synthesis.options import InversionOptions


def invert(
    image: Path,
    /,
    *,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    preview: Path | None = None,
    run: Path | None = None,
    sheet: Annotated[bool, Parameter(negative="")] = False,
    options: Annotated[
        InversionOptions,
        Parameter(name="*", group="Inversion", consume_multiple=True, negative="", show_default=shown_default),
    ] = InversionOptions(),
    voice: Voice = QUIET,
) -> int:
    """Find a picture, from noise, whose activations at some layers are those of IMAGE.

    What a layer does not know of the picture stays as the noise had it. The tap `pixels` is the picture itself: a
    plain mean squared error. With --sheet, every layer is inverted, from noise and from median-filtered noise.

    Examples:

        impasto invert photo.jpg --taps relu3_1
        impasto invert photo.jpg --taps pixels --init noise
        impasto invert photo.jpg --sheet --size 192

    Parameters
    ----------
    image
        The picture.
    out
        Where to write the result; the suffix chooses the format. Default: IMAGE-TAP.png beside the picture.
    options_file
        A YAML file of options; flags go over it.
    preview
        A picture file rewritten while the work goes on.
    run
        A directory, new or empty, for checkpoints and metrics: `impasto resume DIR` goes on after a kill.
    sheet
        Write a contact sheet over all layers instead.
    options
        How to invert.
    voice
        How to speak.
    """
    options = chosen(InversionOptions, options_file, options)
    if sheet and (run or preview):
        raise UsageError("--run and --preview are for one picture, not for --sheet: leave them out")
    stem = f"{image.stem}-inversions" if sheet else "-".join([image.stem, *options.taps])
    out = checked_output(out, image.parent, [image], preview, stem=stem)
    from impasto.synthesis import invert as craft

    if not sheet:
        return make(craft.invert, image, options=options, preview=preview, run=run, out=out, voice=voice)
    with listener(voice) as show:
        rows = craft.inversion_sheet(image, options=options, progress=show)
    return write_sheet(rows, out, 192, voice)
