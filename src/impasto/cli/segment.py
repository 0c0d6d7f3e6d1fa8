"""impasto segment: what every pixel of a picture shows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from impasto.cli.terminal import QUIET, Voice, say


def segment(
    picture: Path,
    /,
    *,
    model: str,
    out: Path | None = None,
    overlay: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    voice: Voice = QUIET,
) -> None:
    """Label every pixel of PICTURE by a model that `impasto train segment` made.

    Examples:

        impasto segment street.jpg --model runs/202611211200-train-segment-camvid-pocket
        impasto segment street.jpg --model runs/CAMVID --out labels.png --overlay seen.jpg

    Parameters
    ----------
    picture
        The picture.
    model
        A run of `impasto train segment`, or its model.safetensors.
    out
        Where to write the labels (PNG with a palette). Default: PICTURE-labels.png beside the picture.
    overlay
        Where to write the picture tinted by its labels.
    device
        Where to compute.
    voice
        How to speak.
    """
    from impasto.cli.output import checked_output
    from impasto.images import Picture, write
    from impasto.translation.segment import require_png
    from impasto.translation.segment import segment as craft

    if out:
        require_png(out)
    out = checked_output(out, picture.parent, [picture], overlay, f"{picture.stem}-labels")
    found = craft(picture, model, device=device)
    found.save(out)
    if overlay:
        write(overlay, Picture(found.overlay()))
    words = ", ".join(f"{name} {100 * share:.1f} %" for name, share in found.shares.items())
    say(f"{out}  {words}", voice, out=out, overlay=overlay, shares=found.shares)
