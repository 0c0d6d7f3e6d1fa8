"""impasto enhance: pictures made larger, mended or given colours by a trained model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.folder import into_folder, require_folder, tell_folder, work_folder
from impasto.cli.output import checked_output, chosen, listener, require_apart, require_page, shown_default
from impasto.cli.terminal import QUIET, Voice, say
from impasto.errors import UsageError
from impasto.translation.enhance_options import EnhanceOptions


def enhance(
    *pictures: Path,
    out: Path | None = None,
    format_: Annotated[str | None, Parameter(name="--format")] = None,
    invented: Path | None = None,
    compare: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        EnhanceOptions, Parameter(name="*", group="Enhancement", negative="", show_default=shown_default)
    ] = EnhanceOptions(),
    voice: Voice = QUIET,
) -> int:
    """Make PICTURES larger, mend them or give them colours, by a model that comes with impasto or that you trained.

    Any size works: large pictures are worked in tiles, with the same result as in one piece. Alpha, 16 bits, the colour
    profile and EXIF are kept, and the recipe is inside: `impasto show` prints it, `impasto rerun` makes it again. Of
    several pictures and folders, results go into the folder --out, which gets the same folders: what is done is
    skipped, a bad file does not stop the others, and after a stop or a kill the same command goes on.

    Examples:

        impasto enhance photo.jpg
        impasto enhance photo.jpg --scale 4 --out poster.png --compare poster.html
        impasto enhance scan.jpg --task restore --strength 0.7
        impasto enhance 1912.jpg --task colorize
        impasto enhance photo.jpg --model superres-x2 --invented invented.png
        impasto enhance photo.jpg --model runs/202611211200-train-enhance-photos-restore --outscale 1.5
        impasto enhance photo.jpg --model RealESRGAN_x4plus.pth
        impasto enhance photos/ --out enhanced/ --format jpg

    Parameters
    ----------
    pictures
        Pictures, and folders of pictures.
    out
        Where to write the picture; the suffix chooses the format. Default: PICTURE-enhanced.png beside it. Of several
        pictures or a folder, a folder.
    format_
        Of results that --out does not name: png, jpg, webp, tif, avif, or same as the picture's own. Default: png.
    invented
        A picture to write the map of invented detail to: what the result shows that the picture does not determine.
    compare
        An HTML page to write, with a slider between before and after.
    options_file
        A YAML file of options; flags go over it.
    options
        How to enhance.
    voice
        How to speak.
    """
    options = chosen(EnhanceOptions, options_file, options)
    if into_folder(pictures, out, "enhance"):
        if invented:
            raise UsageError("--invented is for one picture: leave it out")
        return _folder(pictures, require_folder(out), _suffix(format_ or "png"), compare, options, voice)
    if out and format_:
        raise UsageError(f"{out} says the format: leave --format out")
    suffix = _suffix(format_ or "png")
    if suffix == "same":
        from impasto.translation.places import own_suffix

        suffix = own_suffix(pictures[0])
    return _one(pictures[0], out, suffix, invented, compare, options, voice)


def _suffix(format_: str) -> str:
    from impasto.images.write import FORMATS

    if format_ == "same":
        return format_
    suffix = f".{format_.lstrip('.').lower()}"
    if suffix not in FORMATS:
        raise UsageError(f"--format {format_} cannot be written: take png, jpg, webp, tif, avif or same")
    return suffix


def _one(
    picture: Path,
    out: Path | None,
    suffix: str,
    invented: Path | None,
    compare: Path | None,
    options: EnhanceOptions,
    voice: Voice,
) -> int:
    stem = f"{picture.stem}-enhanced"
    out = checked_output(out, picture.parent, [picture], invented, stem=stem, page=compare, suffix=suffix)
    from impasto.translation.enhance import enhance as craft

    began = time.monotonic()
    with listener(voice) as show:
        made = craft(picture, options=options, out=out, invented=invented is not None, progress=show.part)
        if invented:
            made.save_invented(invented)
        if compare:
            from impasto.translation.before_after import before_after

            show.part(1.0, "the page")
            before_after([(picture.name, picture, made.picture)], compare, title=f"{picture.name}, {made.model}")
    seconds = time.monotonic() - began
    detail = f", {255 * made.invented.mean:.1f} levels of 255 invented" if made.invented else ""
    say(
        f"{out}  {made.picture.width}×{made.picture.height} by {made.model}, {seconds:.0f} s{detail}",
        voice,
        out=out,
        width=made.picture.width,
        height=made.picture.height,
        model=made.model,
        seconds=round(seconds, 2),
        invented=made.invented and round(made.invented.mean, 6),
        compare=compare,
    )
    return 0


def _folder(
    pictures: tuple[Path, ...],
    out: Path,
    suffix: str,
    compare: Path | None,
    options: EnhanceOptions,
    voice: Voice,
) -> int:
    from impasto.translation.enhance_folder import enhance_folder
    from impasto.translation.places import planned

    if compare:
        plan = planned(pictures, out, suffix)
        require_apart(compare, [source for source, _ in plan], [out, *(place for _, place in plan)])
        if compare.parent.resolve() == out.resolve():
            out.mkdir(parents=True, exist_ok=True)
        require_page(compare)
    items, finished = work_folder(
        lambda show: enhance_folder(pictures, out, options=options, suffix=suffix, progress=show), voice
    )
    done = [item for item in items if item.status != "failed"]
    if compare and done and finished:
        from impasto.translation.before_after import before_after

        before_after([(item.source.name, item.source, item.out) for item in done], compare)
    return tell_folder(items, finished, "enhanced", out, voice)
