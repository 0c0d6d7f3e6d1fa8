"""Enhance: a picture made larger, mended or given colours by a model, with all that its file had."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read, require_format, write
from impasto.images.inline import inline_png
from impasto.images.resample import imresize
from impasto.images.source import open_source
from impasto.images.strips import strips
from impasto.images.write import FORMATS
from impasto.networks.device import pick_device
from impasto.runs.circumstances import circumstances
from impasto.runs.options_file import merge
from impasto.runs.recipe import Input, Recipe, input_file
from impasto.translation.apply import Progress, apply, kept_out, require_room, tried
from impasto.translation.choice import Chosen, choose
from impasto.translation.enhance_options import EnhanceOptions
from impasto.translation.invented import Invented, invented
from impasto.translation.model import TranslationModel
from impasto.translation.recolour import colorize, is_gray, make_gray
from impasto.translation.strength import weakened
from impasto.translation.transparency import enlarged, filled

log = logging.getLogger("impasto")


@dataclass(frozen=True, eq=False)
class Enhanced:
    """An enhanced picture.

    Attributes:
        picture: The result, with alpha, profile, EXIF and depth of the one that went in, and its recipe.
        model: The name of what made it.
        recipe: What makes it again.
        invented: Map of invented detail, where it was asked for.
        quality: At which it is written in a format that loses some.
    """

    picture: Picture = field(repr=False)
    model: str
    recipe: Recipe = field(repr=False)
    invented: Invented | None = field(default=None, repr=False)
    quality: int = 95

    def save(self, path: Path | str) -> Path:
        """Write it in the format that the suffix names, whole or not at all."""
        write(path, self.picture, quality=self.quality)
        return Path(path)

    def save_invented(self, path: Path | str) -> Path:
        """Write the map of invented detail.

        Raises:
            UsageError: It was not asked for.
        """
        if self.invented is None:
            raise UsageError("there is no map of invented detail: ask for it with enhance(…, invented=True)")
        write(path, Picture(self.invented.picture()), quality=self.quality)
        return Path(path)

    def _repr_png_(self) -> bytes:
        """The picture inline in a notebook."""
        return inline_png(self.save)


def enhance(
    source: Picture | Path | str,
    *,
    options: EnhanceOptions | None = None,
    chosen: Chosen | None = None,
    out: Path | str | None = None,
    invented: bool = False,
    progress: Progress | None = None,
    **fields: Any,
) -> Enhanced:
    """Make a picture larger, mend it or give it colours.

    >>> import impasto
    >>> impasto.enhance("photo.jpg", scale=2).save("large.png")  # doctest: +SKIP

    Args:
        source: A picture, or its file; of an animation, the first frame.
        options: All options at once; ``fields`` go over it.
        chosen: The models that the options name, loaded before, for many pictures.
        out: Where to write the result, if anywhere; that its format holds it is found out before the work.
        invented: Whether to map what the result shows that the picture does not determine.
        progress: Called with (part done, a few words).
        fields: Any field of :class:`~impasto.translation.enhance_options.EnhanceOptions`.

    Raises:
        UsageError: The picture cannot be read, there is no such model, or it does something else.
        ImpastoError: There is not enough memory.
    """
    options = merge(EnhanceOptions, options, fields)
    if not isinstance(source, Picture) and Path(source).is_dir():
        raise UsageError(f"{source} is a folder: impasto.translation.enhance_folder.enhance_folder takes it whole")
    chosen = chosen or choose(options)
    files: list[Input] = []
    if not isinstance(source, Picture):
        path, source = Path(source), read(source)
        files = [input_file("content", path)]
        _warn_of_frames(path)
    size = _size(source, options.outscale or chosen.model.scale)
    if out:
        _require_fits(Path(out), size, source)
    require_room(chosen.model, size, source.pixels.device)
    with torch.no_grad():
        found = tried(partial(_enhanced, source, chosen, options, invented, progress), source.pixels.device)
        if found is None:
            raise ImpastoError(f"{size[1]}×{size[0]} pixels do not fit into memory: cut the picture, or ask for fewer")
        pixels, detail = found
        alpha = None if source.alpha is None else enlarged(source.alpha, size)
    recipe = recipe_of(chosen, options, files)
    picture = replace(source, pixels=pixels, alpha=alpha, recipe=recipe.model_dump_json(exclude_defaults=True))
    made = Enhanced(picture, chosen.model.name, recipe, detail, options.quality)
    if out:
        del source  # room for what writing takes
        made.save(out)
    return made


def recipe_of(chosen: Chosen, options: EnhanceOptions, files: list[Input]) -> Recipe:
    """How a picture is made of these files."""
    asked = options.model_dump(mode="json", exclude_defaults=True, exclude=kept_out(chosen.model, options))
    return Recipe(
        verb="enhance",
        options=asked | {"model": chosen.name},
        inputs=(*files, *chosen.inputs),
        networks=chosen.networks,
        made_with=circumstances(pick_device(options.device)),
    )


def _enhanced(
    source: Picture, chosen: Chosen, options: EnhanceOptions, maps: bool, progress: Progress | None
) -> tuple[Float[Tensor, "1 3 h w"], Invented | None]:
    """The colours of the result, in [0, 1], and the map of what is invented in them."""
    model = chosen.model
    pixels = source.pixels if source.alpha is None else filled(source.pixels, source.alpha)
    out = _applied(model, pixels, options, progress)
    if model.task != "colorize" and is_gray(pixels):
        make_gray(out)
    detail = _detail(out, pixels, chosen, options) if maps else None
    if options.outscale and (wanted := _size(source, options.outscale)) != tuple(out.shape[-2:]):
        out = imresize(out, size=wanted).clamp_(0, 1)
    return out, detail


def _applied(
    model: TranslationModel, pixels: Tensor, options: EnhanceOptions, progress: Progress | None = None
) -> Float[Tensor, "1 3 h w"]:
    how: dict[str, Any] = {
        "tile": options.tile or "auto",
        "overlap": options.overlap,
        "memory": options.memory,
        "precision": options.precision,
        "self_ensemble": options.self_ensemble,
        "device": pick_device(options.device),
        "progress": progress,
    }
    if model.task == "colorize":
        out = colorize(model, pixels, render=options.render, saturation=options.saturation, **how)
        for rows in strips(*out.shape[2:]) if options.strength < 1 else ():
            out[:, :, rows] = pixels[:, :, rows].lerp(out[:, :, rows], options.strength)
        return out
    return apply(weakened(model, options.strength), pixels, **how).clamp_(0, 1)


def _detail(out: Tensor, pixels: Tensor, chosen: Chosen, options: EnhanceOptions) -> Invented:
    if chosen.companion is not None and options.realism > 0:  # at 0 the model is the faithful one
        faithful = _applied(chosen.faithful, pixels, options)
        if is_gray(pixels):
            make_gray(faithful)
        return invented(out, scale=chosen.model.scale, faithful=faithful)
    return invented(out, scale=chosen.model.scale, faithful=pixels if chosen.model.scale == 1 else None)


def _require_fits(path: Path, size: tuple[int, int], source: Picture) -> None:
    """Find out before the work that the format cannot hold a picture of that size, and say what else it does not."""
    require_format(path)
    kind = FORMATS[path.suffix.lower()]
    if max(size) > kind.largest:
        raise UsageError(
            f"{path}: {kind.name} holds at most {kind.largest} pixels a side, the result will be "
            f"{size[1]} x {size[0]}: write a .png or .tif"
        )
    if source.alpha is not None and not kind.alpha and bool((source.alpha < 1).any()):
        log.warning("%s: %s holds no transparency, so the picture is laid over white; .png keeps it", path, kind.name)


def _size(source: Picture, outscale: float) -> tuple[int, int]:
    """(height, width) of the result."""
    return max(1, round(source.height * outscale)), max(1, round(source.width * outscale))


def _warn_of_frames(path: Path) -> None:
    """Say that of an animation only the first frame is taken."""
    if open_source(path).kind not in ("gif", "webp", "png"):
        return
    from PIL import Image

    try:
        with Image.open(path) as image:
            frames = getattr(image, "n_frames", 1)
    except Exception:  # what Pillow cannot open has been read without it
        return
    if frames > 1:
        log.warning("%s is an animation of %d frames: the first is taken", path, frames)
