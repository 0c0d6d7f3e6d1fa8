"""impasto dream: a picture in which a network sees more of what it sees."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import checked_output, chosen, listener, shown_default
from impasto.cli.terminal import QUIET, Voice, complain, say
from impasto.inspection.options import DreamOptions


def dream(
    image: Path,
    /,
    *,
    unit: str | None = None,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        DreamOptions,
        Parameter(name="*", group="Dream", consume_multiple=True, negative="", show_default=shown_default),
    ] = DreamOptions(),
    voice: Voice = QUIET,
) -> int:
    """Let a network see more and more in IMAGE of what it sees already (DeepDream).

    Shallow layers bring strokes and ripples, deeper ones eyes and animals, classes what they are named after. With
    --guide, what appears is like that picture.

    Examples:

        impasto dream clouds.jpg
        impasto dream clouds.jpg --network squeezenet1_0 --unit "layer(features.10)" --steps 20
        impasto dream clouds.jpg --network squeezenet1_0 --unit class:goldfish --octaves 6
        impasto dream clouds.jpg --network squeezenet1_0 --guide flowers.jpg --unit features.7

    Parameters
    ----------
    image
        The picture.
    unit
        What becomes stronger: layer(TAP), TAP:NUMBER, class:NAME, or a sum of such. Default: layer(a rather deep TAP).
    out
        Where to write the result; the suffix chooses the format. Default: IMAGE-dream.png beside the picture.
    options_file
        A YAML file of options; flags go over it.
    options
        How to dream.
    voice
        How to speak.
    """
    options = chosen(DreamOptions, options_file, options)
    inputs = [image, *([options.guide] if options.guide else [])]
    out = checked_output(out, image.parent, inputs, None, stem=f"{image.stem}-dream")
    from impasto.cli.subject import load_subject
    from impasto.inspection.dream import dream as craft

    began = time.monotonic()
    with listener(voice) as show:
        network = load_subject(options.network, options.weights, show.download)
        made = craft(image, unit, network=network, options=options, progress=show.part)
    made.save(out)
    seconds = time.monotonic() - began
    size = f"{made.picture.width}×{made.picture.height}"
    say(
        f"{out}  {size}, {seconds:.0f} s, {made.objective}",
        voice,
        out=out,
        seconds=round(seconds, 2),
        objective=made.objective,
        values=made.values,
        finished=made.finished,
    )
    if not made.finished:
        complain("interrupted: this is the picture so far", as_json=voice.json)
    return 0 if made.finished else 1
