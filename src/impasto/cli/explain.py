"""impasto explain: which pixels a class score comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from impasto.cli.output import checked_output, chosen, listener, shown_default
from impasto.cli.terminal import QUIET, Voice, say, say_table
from impasto.inspection.attribution.options import ExplainOptions

if TYPE_CHECKING:
    from impasto.inspection.attribution.explain import Explanation


def explain(
    image: Path,
    /,
    *,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        ExplainOptions, Parameter(name="*", group="Explanation", consume_multiple=True, show_default=shown_default)
    ] = ExplainOptions(),
    voice: Voice = QUIET,
) -> None:
    """Show which pixels of IMAGE a classifier's score comes from, by several methods, and how far to trust each.

    A sheet is written: the picture and what it is taken for; every map, alone and over the picture. Beneath each stand
    two tests: whether it changes when the network's weights are random (a map that does not is no map of the network),
    and whether the network minds losing the pixels that the map calls important, against a random order of pixels.

    Examples:

        impasto explain cat.jpg
        impasto explain cat.jpg --class tabby --method grad-cam occlusion
        impasto explain cat.jpg --network runs/202611211200-train-pets-squeezenet1_0
        impasto explain cat.jpg --network timm:vit_tiny_patch16_224 --no-sanity

    Parameters
    ----------
    image
        The picture.
    out
        Where to write the sheet; the suffix chooses the format. Default: IMAGE-explained.png beside the picture.
    options_file
        A YAML file of options; flags go over it.
    options
        How to explain.
    voice
        How to speak.
    """
    options = chosen(ExplainOptions, options_file, options)
    out = checked_output(out, image.parent, [image], None, stem=f"{image.stem}-explained")
    from impasto.cli.subject import load_subject
    from impasto.inspection.attribution import explain as craft

    with listener(voice) as bar:
        network = load_subject(options.network, options.weights, bar.download)
        found = craft.explain(image, network=network, options=options, progress=bar.part)
    found.save(out)
    if not voice.json:
        _tell(found)
    say(f"{out}  why {found.explained}, {found.preprocessing}", voice, out=out, **found.facts())


def _tell(found: Explanation) -> None:
    for prediction in found.predictions:
        say(f"  {prediction}")
    titles = ("deletion ↓", "insertion ↑", "ROAD ↑", "on random weights")
    rows: list[tuple[str, ...]] = []
    for name, one in found.methods.items():
        empty = "nothing: the map is all zero" if one.attribution.empty else ""
        if one.faithfulness and one.randomisation:
            figures = [f"{value:.2f}" for value in one.faithfulness.facts().values()]
            rows.append((name, *figures, empty or one.randomisation.verdict))
        else:
            rows.append((name, empty))
    if found.chance:
        rows.append(("a random order", *(f"{value:.2f}" for value in found.chance.facts().values()), ""))
    say_table(("method", *(titles if found.chance else ("",))), rows)
