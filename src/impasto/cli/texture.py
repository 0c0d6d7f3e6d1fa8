"""impasto texture: make a texture that looks like a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import checked_output, chosen, make, shown_default
from impasto.cli.terminal import QUIET, Voice
from impasto.synthesis.options import TextureOptions


def texture(
    style: Path,
    /,
    *more_styles: Path,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    preview: Path | None = None,
    run: Path | None = None,
    options: Annotated[
        TextureOptions,
        Parameter(name="*", group="Texture", consume_multiple=True, negative="", show_default=shown_default),
    ] = TextureOptions(),
    voice: Voice = QUIET,
) -> int:
    """Make a texture of any size that looks like STYLE (or several), from noise.

    With --tileable its opposite borders fit together, so that copies side by side show no seam.

    Examples:

        impasto texture bark.jpg
        impasto texture bark.jpg --size 1024x512 --tileable --out tile.png
        impasto texture bark.jpg moss.jpg --style-weights 2 1 --loss wasserstein

    Parameters
    ----------
    style
        A picture of the texture.
    more_styles
        Further pictures, mixed in.
    out
        Where to write the texture; the suffix chooses the format. Default: STYLE-texture.png beside the picture.
    options_file
        A YAML file of options; flags go over it.
    preview
        A picture file rewritten while the work goes on.
    run
        A directory, new or empty, for checkpoints and metrics: `impasto resume DIR` goes on after a kill.
    options
        How to make it.
    voice
        How to speak.
    """
    options = chosen(TextureOptions, options_file, options)
    styles = [style, *more_styles]
    out = checked_output(out, style.parent, styles, preview, stem=f"{style.stem}-texture")
    from impasto.synthesis import texture as craft

    return make(craft.texture, styles, options=options, preview=preview, run=run, out=out, voice=voice)
