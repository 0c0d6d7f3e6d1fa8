"""impasto visualize: pictures that excite units of a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import checked_output, chosen, listener, shown_default
from impasto.cli.terminal import QUIET, Voice, complain, say
from impasto.inspection.options import VisualizationOptions


def visualize(
    *,
    unit: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    compare: str | None = None,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        VisualizationOptions,
        Parameter(
            name="*", group="Visualization", consume_multiple=True, negative_iterable="", show_default=shown_default
        ),
    ] = VisualizationOptions(),
    voice: Voice = QUIET,
) -> int:
    """Make pictures, from noise, that excite units of a network: what they look for.

    A unit is a channel of a layer, or a class. Several become a contact sheet with labels; sums of them, with + and -
    between spaces, are one objective. `impasto networks show NETWORK` lists the layers.

    Examples:

        impasto visualize --unit relu3_1:0-31
        impasto visualize --network squeezenet1_0 --unit features.7:42
        impasto visualize --network squeezenet1_0 --unit class:goldfish class:volcano --steps 512
        impasto visualize --network squeezenet1_0 --unit features.12:3 --diversity 4
        impasto visualize --unit "relu3_1:4 + relu3_1:9" --parameterisation cppn --size 512
        impasto visualize --network squeezenet1_0 --compare runs/X --unit features.12:0-15

    Parameters
    ----------
    unit
        TAP:NUMBER, TAP:FIRST-LAST, TAP:1,5,9, TAP for all of a layer, class:NAME, layer(TAP), or a sum of such.
    compare
        Another network, or a run, whose same units stand beside.
    out
        Where to write the picture; the suffix chooses the format. Default: NETWORK-UNIT.png in this folder.
    options_file
        A YAML file of options; flags go over it.
    options
        How to render.
    voice
        How to speak.
    """
    options = chosen(VisualizationOptions, options_file, options)
    stem = "-".join([Path(options.network).name, *unit[:3]]).translate(str.maketrans("/: *", "----"))
    out = checked_output(out, Path(), [], None, stem=stem)
    from impasto.cli.subject import load_subject
    from impasto.inspection.visualize import visualize as craft

    began = time.monotonic()
    with listener(voice) as show:
        network = load_subject(options.network, options.weights, show.download)
        other = load_subject(compare, None, show.download) if compare else None
        made = craft(*unit, network=network, compare=other, options=options, progress=show.part)
    made.save(out)
    shown = [*made.units, *made.compared]
    seconds = time.monotonic() - began
    count = sum(len(one.pictures) for one in shown)
    asleep = [one.label for one in shown if one.value == 0]
    never = f"; never on: {', '.join(asleep)}" if asleep else ""
    say(
        f"{out}  {count} picture{'s' if count > 1 else ''}, {seconds:.0f} s{never}",
        voice,
        out=out,
        seconds=round(seconds, 2),
        finished=made.finished,
        units=[{"unit": one.label, "value": round(one.value, 4), "predicted": one.predicted} for one in shown],
    )
    if not made.finished:
        complain("interrupted: these are the pictures so far", as_json=voice.json)
    return 0 if made.finished else 1
