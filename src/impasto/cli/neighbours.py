"""impasto neighbours: the pictures of a folder that a layer takes for most like a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import checked_output, chosen, listener, shown_default
from impasto.cli.subject import load_subject
from impasto.cli.terminal import QUIET, Voice, say
from impasto.inspection.folder.options import NeighbourOptions


def neighbours(
    image: Path,
    folder: Path,
    /,
    *,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        NeighbourOptions,
        Parameter(name="*", group="Neighbours", consume_multiple=True, negative="", show_default=shown_default),
    ] = NeighbourOptions(),
    voice: Voice = QUIET,
) -> int:
    """Find the pictures of FOLDER that are nearest to IMAGE in the space of a layer's activations.

    Early layers take pictures of the same colours and textures for alike, late ones pictures of the same things.

    Examples:

        impasto neighbours photo.jpg photos/
        impasto neighbours photo.jpg photos/ --network squeezenet1_0 --tap features.12 --count 20
        impasto neighbours photo.jpg photos/ --tap pixels --metric euclidean

    Parameters
    ----------
    image
        The picture; FILE#N is picture N of an idx file. It may lie in the folder.
    folder
        Where to look.
    out
        Where to write the sheet. Default: IMAGE-neighbours.png here.
    options_file
        A YAML file of options; flags go over it.
    options
        How to look.
    voice
        How to speak.
    """
    from impasto.images.idx import place

    options = chosen(NeighbourOptions, options_file, options)
    file = (place(image) or (image, 0))[0]
    out = checked_output(out, Path(), [file, folder], None, stem=f"{image.stem}-neighbours")
    from impasto.inspection.folder.neighbours import neighbours as verb

    with listener(voice) as bar:
        network = load_subject(options.network, options.weights, bar.download)
        found = verb(image, folder, network=network, options=options, progress=bar.part)
    found.save(out)
    first = found.found[0]
    say(
        f"{out}  the {len(found.found)} nearest by {found.tap} of {network.name}; "
        f"the first is {first.name}, at {first.distance:.3g}",
        voice,
        out=out,
        tap=found.tap,
        metric=found.metric,
        neighbours=[{"picture": one.name, "label": one.label, "distance": one.distance} for one in found.found],
    )
    return 0
