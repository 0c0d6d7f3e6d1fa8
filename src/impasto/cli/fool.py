"""impasto fool: a picture that a person sees no change in, and a network takes for something else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from impasto.cli.output import checked_output, chosen, default_output, listener, shown_default
from impasto.cli.terminal import QUIET, Voice, complain, say
from impasto.inspection.attribution.options import FoolOptions

if TYPE_CHECKING:
    from impasto.inspection.fool import Fooling


def fool(
    image: Path,
    /,
    *,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        FoolOptions, Parameter(name="*", group="Fooling", negative="", show_default=shown_default)
    ] = FoolOptions(),
    voice: Voice = QUIET,
) -> int:
    """Change IMAGE, by a grey level or so, until a network takes it for another class.

    Each step moves the pixels along the gradient of the target's log probability. The picture is written when it fools
    the network as the file holds it, in 256 levels; a sheet beside it shows before, difference and after. When it does
    not fool within --steps, nothing is written, and the exit code is 1.

    Examples:

        impasto fool cat.jpg --target goldfish
        impasto fool cat.jpg --confidence 0.9 --seed 3
        impasto fool cat.jpg --network runs/202611211200-train-pets-squeezenet1_0 --target dog

    Parameters
    ----------
    image
        The picture.
    out
        Where to write the picture, PNG or TIFF. Default: IMAGE-fooled.png beside it; the sheet is OUT-sheet.png.
    options_file
        A YAML file of options; flags go over it.
    options
        How to fool.
    voice
        How to speak.
    """
    options = chosen(FoolOptions, options_file, options)
    out = checked_output(out, image.parent, [image], None, stem=f"{image.stem}-fooled")
    from impasto.cli.subject import load_subject
    from impasto.inspection import fool as craft

    craft.require_lossless(out)
    with listener(voice) as bar:
        network = load_subject(options.network, options.weights, bar.download)
        found = craft.fool(image, network=network, options=options, progress=bar.part)
    if not found.reached:
        target = found.target
        complain(
            f"{image} is not taken for {target.name} after {found.steps} steps: that has {target.probability:.1%}"
            f"{_missing(found, options.confidence)}; nothing is written: raise --steps or --rate",
            as_json=voice.json,
        )
        return 1
    sheet = default_output(out.parent, f"{out.stem}-sheet")
    found.save(out, sheet)
    sizes = found.sizes()
    say(
        f"{out}  {found.before[0]} is now {found.after[0]}: {found.steps} steps, "
        f"{sizes['mean']:.2f} grey levels in the mean, {sizes['largest']:.0f} at most\n{sheet}",
        voice,
        out=out,
        sheet=sheet,
        **found.facts(),
    )
    return 0


def _missing(found: Fooling, confidence: float) -> str:
    """Who leads instead, or what the target's probability falls short of."""
    first = found.after[0]
    if first.index != found.target.index:
        return f", and {first.name} leads with {first.probability:.1%}"
    return f", less than the {confidence:.1%} asked for"
