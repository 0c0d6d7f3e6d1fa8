"""impasto demo: one painting, offline, in less than a minute."""

from __future__ import annotations

import time
from importlib import resources
from pathlib import Path
from typing import Literal

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, say

Photograph = Literal["astronaut", "coffee", "chelsea", "rocket"]
Painting = Literal["brushstrokes", "ink_hatching", "marbling", "pointillism", "stained_glass", "woodcut"]


def demo(
    *,
    photograph: Photograph = "coffee",
    painting: Painting = "stained_glass",
    out: Path = Path("impasto-demo"),
    size: int = 512,
    voice: Voice = QUIET,
) -> None:
    """Paint a sample photograph in the style of a sample painting: no download, no file of yours, under a minute.

    Writes the result and a contact sheet (content, style, result).

    Examples:

        impasto demo
        impasto demo --photograph rocket --painting woodcut

    Parameters
    ----------
    photograph
        A sample photograph of scikit-image.
    painting
        One of the paintings made by the project's own generator.
    out
        Folder to write to.
    size
        Longest side of the result in pixels.
    voice
        How to speak.
    """
    from impasto.errors import ImpastoError
    from impasto.images import read, write
    from impasto.images.contact_sheet import contact_sheet
    from impasto.images.picture import Picture
    from impasto.runs.options_file import validate
    from impasto.synthesis import stylize as craft
    from impasto.synthesis.options import StyleTransferOptions

    options = validate(StyleTransferOptions, {"size": size})
    content, style = sample_photograph(photograph), sample_painting(painting)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImpastoError(f"{out} cannot be created ({error.strerror}): choose another folder with --out") from error
    began = time.monotonic()
    with listener(voice) as bar:
        result = craft.stylize(content, style, options=options, progress=bar)
    picture = result.save(out / f"{photograph}-{painting}.png")
    sheet = out / f"{photograph}-{painting}-sheet.png"
    cells = [("content", read(content).pixels), ("style", read(style).pixels), ("result", result.tensor)]
    write(sheet, Picture(contact_sheet([cells], height=400)))
    seconds = time.monotonic() - began
    say(
        f"painted in {seconds:.0f} s:\n  {picture}\n  {sheet}\nnow yours:  impasto stylize photo.jpg painting.jpg",
        voice,
        result=picture,
        sheet=sheet,
        seconds=round(seconds, 2),
    )


def sample_photograph(name: Photograph) -> Path:
    """A photograph that scikit-image carries in its package."""
    folder = Path(str(resources.files("skimage"))) / "data"
    return next(folder / f"{name}{suffix}" for suffix in (".png", ".jpg") if (folder / f"{name}{suffix}").exists())


def sample_painting(name: Painting) -> Path:
    """A painting of the project's own, made by ``recipes/paintings.py``."""
    return Path(str(resources.files("impasto"))) / "assets" / "paintings" / f"{name}.jpg"
