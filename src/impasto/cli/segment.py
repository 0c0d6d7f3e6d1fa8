"""impasto segment: what every pixel of a picture shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.folder import into_folder, require_folder, tell_folder, work_folder
from impasto.cli.output import checked_output, chosen, listener, shown_default
from impasto.cli.terminal import QUIET, Voice, say
from impasto.errors import UsageError
from impasto.translation.segment_options import SegmentOptions


def segment(
    *pictures: Path,
    model: str,
    out: Path | None = None,
    overlay: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        SegmentOptions, Parameter(name="*", group="Segmentation", show_default=shown_default)
    ] = SegmentOptions(),
    voice: Voice = QUIET,
) -> int:
    """Label every pixel of PICTURES by a model that `impasto train segment` made.

    Of several pictures and folders, masks go into the folder --out, which gets the same folders: what is done is
    skipped, masks that were mended by hand are kept, a bad file does not stop the others, and after a stop or a kill
    the same command goes on.

    Examples:

        impasto segment street.jpg --model runs/202611211200-train-segment-camvid-pocket
        impasto segment street.jpg --model runs/CAMVID --out labels.png --overlay seen.jpg
        impasto segment streets/ --model runs/CAMVID --out masks/

    Parameters
    ----------
    pictures
        Pictures, and folders of pictures.
    model
        A run of `impasto train segment`, or its model.safetensors.
    out
        Where to write the labels (PNG with a palette). Default: PICTURE-labels.png beside the picture. Of several
        pictures or a folder, a folder.
    overlay
        Where to write the picture tinted by its labels, with a legend.
    options_file
        A YAML file of options; flags go over it.
    options
        How to label.
    voice
        How to speak.
    """
    options = chosen(SegmentOptions, options_file, options)
    if into_folder(pictures, out, "segment"):
        if overlay:
            raise UsageError("--overlay is for one picture: leave it out")
        return _folder(pictures, model, require_folder(out), options, voice)
    return _one(pictures[0], model, out, overlay, options, voice)


def _one(
    picture: Path, model: str, out: Path | None, overlay: Path | None, options: SegmentOptions, voice: Voice
) -> int:
    from impasto.images import Picture, write
    from impasto.translation.segment import require_png
    from impasto.translation.segment import segment as craft

    if picture.exists() and out:
        require_png(out)
    out = checked_output(out, picture.parent, [picture], overlay, f"{picture.stem}-labels")
    with listener(voice) as show:
        found = craft(picture, model, options=options, progress=show.part)
        found.save(out)
        if overlay:
            write(overlay, Picture(found.sheet()))
    say(f"{out}  {', '.join(found.share_words())}", voice, out=out, overlay=overlay, shares=found.shares)
    return 0


def _folder(pictures: tuple[Path, ...], model: str, out: Path, options: SegmentOptions, voice: Voice) -> int:
    from impasto.translation.segment_folder import segment_folder

    items, finished = work_folder(
        lambda show: segment_folder(pictures, model, out, options=options, progress=show), voice
    )
    return tell_folder(items, finished, "segmented", out, voice)
