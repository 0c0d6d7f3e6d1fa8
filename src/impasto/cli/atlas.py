"""impasto atlas: a network as a web site that anyone can browse."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import chosen, listener, shown_default
from impasto.cli.terminal import QUIET, Voice, complain, say
from impasto.inspection.atlas.options import AtlasOptions


def atlas(
    *,
    images: Path,
    out: Path,
    compare: str | None = None,
    clear: Annotated[bool, Parameter(negative="")] = False,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        AtlasOptions,
        Parameter(name="*", group="Atlas", consume_multiple=True, negative="", show_default=shown_default),
    ] = AtlasOptions(),
    voice: Voice = QUIET,
) -> int:
    """Build a web site that shows every unit of a network, what excites it and what it is made from.

    Each unit gets a page: a picture made to excite it, a sheet of pictures that differ and all do, the patches of your
    pictures that excite it most, a histogram, the units before that drive it up and down, and those that go together
    with it. Layers, a search and activation atlases lead there. Open OUT/index.html, or put the folder on any web
    server.

    The work may take an hour or more, and may be stopped or killed: the same command goes on where it was. When all is
    there, it takes seconds; other options or pictures make again only what depends on them.

    Examples:

        impasto atlas --network pocket --images photos/ --out site/ --size 64 --steps 64
        impasto atlas --network squeezenet1_0 --images photos/ --out site/ --precision bf16-mixed
        impasto atlas --network squeezenet1_0 --images photos/ --out site/ --taps features.12 classifier.1
        impasto atlas --network squeezenet1_0 --compare runs/202611211200-train-pets-squeezenet1_0 \
            --images pets/ --out before-and-after/ --diversity 0

    Parameters
    ----------
    images
        A folder of pictures to find in what excites the units: some hundreds are good.
    out
        The site's folder: new, empty or an earlier atlas.
    compare
        Another network, or a run of `impasto train classify`: its units are shown beside, of the layers that both have.
    clear
        Remove what builds with other options have left in the folder.
    options_file
        A YAML file of options; flags go over it.
    options
        How to make it.
    voice
        How to speak.
    """
    options = chosen(AtlasOptions, options_file, options)
    from impasto.cli.subject import load_subject
    from impasto.inspection.atlas.build import atlas as craft

    began = time.monotonic()
    try:
        with listener(voice) as bar:
            network = load_subject(options.network, options.weights, bar.download)
            other = load_subject(compare, None, bar.download) if compare else None
            result = craft(
                network, images, out, compare=other, clear=clear, options=options, progress=bar.part,
                download=bar.download,
            )  # fmt: skip
    except KeyboardInterrupt:
        complain(f"stopped: what is done is kept in {out}, and the same command goes on", as_json=voice.json)
        return 1
    seconds = time.monotonic() - began
    made = f"{result.made} pieces made" if result.made else "all was there"
    say(
        f"{result.index}  {result.units} units of {result.layers} layers, {made}, {seconds:.0f} s",
        voice,
        index=result.index,
        units=result.units,
        layers=result.layers,
        made=result.made,
        pages=result.pages,
        seconds=round(seconds, 2),
    )
    return 0
