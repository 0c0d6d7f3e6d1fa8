"""impasto landscape: what the loss is around the weights of a trained classifier."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import chosen, listener, shown_default
from impasto.cli.terminal import QUIET, Voice, say
from impasto.inspection.landscape.options import LandscapeOptions


def landscape(
    run: Path,
    /,
    *,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        LandscapeOptions,
        Parameter(name="*", group="Landscape", negative="", show_default=shown_default),
    ] = LandscapeOptions(),
    voice: Voice = QUIET,
) -> None:
    """Map the loss around the weights of RUN, a finished run of `impasto train classify`.

    The weights are moved along random directions that have the size of the filters (Li et al. 2018), in the plane in
    which training moved most, or towards another run; the loss at each point is the mean over the same pictures. Out
    come drawings, the numbers (surface.json), and a page with the surface to turn and read. Killed and called again,
    it goes on where it was.

    Examples:

        impasto landscape runs/202611211200-train-pets-squeezenet1_0
        impasto landscape runs/PLAIN --compare runs/RESIDUAL
        impasto landscape runs/A --dimensions 1 --points 51 --split both
        impasto landscape runs/A --directions trajectory --out way/      (after train classify --snapshots)
        impasto landscape runs/A --directions runs/B --dimensions 1

    Parameters
    ----------
    run
        The run's directory.
    out
        A folder for what comes out. Default: RUN/landscape.
    options_file
        A YAML file of options; flags go over it.
    options
        What to map.
    voice
        How to speak.
    """
    options = chosen(LandscapeOptions, options_file, options)
    from impasto.learning.landscape import landscape as craft

    began = time.monotonic()
    with listener(voice) as bar:
        found = craft(run, options=options, out=out, progress=bar.part)
    seconds = time.monotonic() - began
    surfaces = [one.to_json() for one in found.charts]
    lines = [
        f"{one['title']}: loss {_number(rough['centre'])}, at the border {_number(rough['border'])}; bends down at "
        f"{_percent(rough['concave'])} of the points, {rough['minima']} local minima"
        for one in surfaces
        for rough in [one["roughness"]["loss"]]
    ]
    say(
        "\n".join([*lines, *map(str, found.pictures), f"{found.page}  {seconds:.0f} s"]),
        voice,
        folder=found.folder,
        page=found.page,
        pictures=[str(one) for one in found.pictures],
        data=found.folder / "surface.json",
        seconds=round(seconds, 2),
        surfaces=[{key: one[key] for key in ("title", "axes", "roughness", "facts")} for one in surfaces],
    )


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.0f} %"
