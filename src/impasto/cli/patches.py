"""impasto patches: what in the pictures of a folder excites units most."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import checked_output, chosen, listener, shown_default
from impasto.cli.subject import load_subject
from impasto.cli.terminal import QUIET, Voice, say
from impasto.inspection.folder.options import PatchOptions


def patches(
    folder: Path,
    /,
    *,
    unit: Annotated[tuple[str, ...], Parameter(name=["--unit", "--units"], consume_multiple=True, negative="")],
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        PatchOptions,
        Parameter(name="*", group="Patches", consume_multiple=True, negative="", show_default=shown_default),
    ] = PatchOptions(),
    voice: Voice = QUIET,
) -> int:
    """Find the parts of a folder's pictures that excite units most.

    The network sees every picture once. Of each unit the strongest patches are shown, each from another picture and
    exactly as large as the unit's receptive field, with the histogram of all its activations.

    Examples:

        impasto patches photos/ --unit relu3_1:0-7
        impasto patches photos/ --network squeezenet1_0 --unit features.7:42 features.12:0-3 --out sheet.png
        impasto patches photos/ --network squeezenet1_0 --unit class:goldfish --top 12

    Parameters
    ----------
    folder
        The pictures, in whatever folders they are below it; or MNIST's idx files.
    unit
        Units: TAP:NUMBER, TAP:FIRST-LAST, TAP alone for all of them, or class:NAME.
    out
        Where to write the sheet. Default: FOLDER-patches.png here.
    options_file
        A YAML file of options; flags go over it.
    options
        How to look.
    voice
        How to speak.
    """
    options = chosen(PatchOptions, options_file, options)
    out = checked_output(out, Path(), [folder], None, stem=f"{folder.resolve().name}-patches")
    from impasto.inspection.folder.top_patches import patches as verb

    with listener(voice) as bar:
        network = load_subject(options.network, options.weights, bar.download)
        found = verb(*unit, folder=folder, network=network, options=options, progress=bar.part)
    found.save(out)
    say(
        f"{out}  {len(found.units)} {'unit' if len(found.units) == 1 else 'units'} over {found.pictures} pictures",
        voice,
        out=out,
        pictures=found.pictures,
        left_out=found.left_out,
        units=[
            {
                "unit": str(one.unit),
                "name": one.name,
                "mean": one.mean,
                "std": one.std,
                "zero": one.zero,
                "patches": [
                    {"picture": each.source, "activation": each.activation, "box": each.box} for each in one.patches
                ],
            }
            for one in found.units
        ],
    )
    return 0
