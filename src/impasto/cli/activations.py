"""impasto activations: what every layer of a network makes of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.embed import checked_page
from impasto.cli.output import chosen, listener, shown_default
from impasto.cli.subject import load_subject
from impasto.cli.terminal import QUIET, Voice, say
from impasto.inspection.folder.options import ActivationOptions


def activations(
    image: Path,
    /,
    *,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        ActivationOptions,
        Parameter(name="*", group="Activations", consume_multiple=True, negative="", show_default=shown_default),
    ] = ActivationOptions(),
    voice: Voice = QUIET,
) -> int:
    """Show what every layer makes of IMAGE, channel by channel, as one HTML page to walk through.

    Each layer's channels stand side by side as maps; one enlarged lies over the picture, with its numbers and the
    part of the picture that its highest activation sees.

    Examples:

        impasto activations photo.jpg
        impasto activations photo.jpg --network squeezenet1_0 --out layers.html
        impasto activations photo.jpg --network vgg19 --taps relu1_1 relu2_1 relu3_1 relu4_1

    Parameters
    ----------
    image
        The picture.
    out
        Where to write the page. Default: IMAGE-activations.html here.
    options_file
        A YAML file of options; flags go over it.
    options
        What to show.
    voice
        How to speak.
    """
    options = chosen(ActivationOptions, options_file, options)
    out = checked_page(out, f"{image.stem}-activations")
    from impasto.inspection.folder.live import activations as verb

    with listener(voice) as bar:
        network = load_subject(options.network, options.weights, bar.download)
        found = verb(image, network=network, options=options, progress=bar.part)
    found.save(out)
    said = ", ".join(map(str, found.predictions[:3]))
    say(
        f"{out}  {len(found.layers)} layers of {network.name}" + (f"; {said}" if said else ""),
        voice,
        out=out,
        layers={layer.tap: layer.shape for layer in found.layers},
        predictions=[{"class": one.name, "probability": one.probability} for one in found.predictions],
    )
    return 0
