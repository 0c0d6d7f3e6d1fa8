"""Segment: what a trained model says of every pixel of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, read
from impasto.images.recipe import to_xmp
from impasto.images.replace import replace_file
from impasto.networks.device import pick_device
from impasto.runs.circumstances import circumstances
from impasto.runs.options_file import merge
from impasto.runs.recipe import Input, Recipe, input_file
from impasto.translation.apply import Progress, apply, kept_out
from impasto.translation.legend import with_legend
from impasto.translation.model import TranslationModel, load
from impasto.translation.pictures import on_white
from impasto.translation.segment_options import SegmentOptions
from impasto.translation.segmentation import coloured, palette

_LABELS = "labels"  # the key in a PNG under which a hash of its labels stands


@dataclass(frozen=True)
class Segmented:
    """The labels of a picture.

    Attributes:
        picture: The picture.
        labels: The likeliest class of each pixel.
        classes: Their names.
        recipe: How they were made, which goes into their file.
    """

    picture: Picture
    labels: UInt8[Tensor, "h w"]
    classes: tuple[str, ...]
    recipe: Recipe

    @property
    def shares(self) -> dict[str, float]:
        """The part of the picture that each class takes, the largest first; those that take none are left out."""
        counts = torch.bincount(self.labels.flatten(), minlength=len(self.classes))
        shares = {name: int(count) / self.labels.numel() for name, count in zip(self.classes, counts, strict=True)}
        return dict(sorted(((name, share) for name, share in shares.items() if share), key=lambda item: -item[1]))

    def overlay(self) -> Float[Tensor, "1 3 h w"]:
        """The picture, each pixel tinted by its class."""
        return coloured(on_white(self.picture), self.labels, len(self.classes))

    def sheet(self) -> Float[Tensor, "1 3 H W"]:
        """The overlay, and below it which colour stands for which class, the largest first."""
        colours = palette(len(self.classes))
        numbers = [self.classes.index(name) for name in self.shares]
        return with_legend(self.overlay(), self.share_words(), colours[numbers])

    def share_words(self) -> list[str]:
        """The shares as they are told: ``road 41.3 %``; of classes without names, ``class 3 41.3 %``."""
        return [
            f"{'class ' if name.isdigit() else ''}{name} {100 * share:.1f} %" for name, share in self.shares.items()
        ]

    def save(self, path: Path | str) -> Path:
        """Write the labels as a PNG with a palette: a mask such as `impasto train segment` learns from.

        Raises:
            UsageError: Another format.
            ImpastoError: It cannot be written.
        """
        require_png(path)
        image = Image.fromarray(self.labels.numpy()).convert("P")
        image.putpalette((palette(len(self.classes)) * 255).round().to(torch.uint8).flatten().tolist())
        data, facts = BytesIO(), PngInfo()
        facts.add_text(_LABELS, _digest(self.labels.numpy()))
        facts.add_itxt("XML:com.adobe.xmp", to_xmp(self.recipe.model_dump_json(exclude_defaults=True)).decode())
        image.save(data, "PNG", pnginfo=facts)
        replace_file(path, data.getvalue())
        return Path(path)


def mended(path: Path) -> bool:
    """Whether the labels in a file are others than those that were written into it, or none of ours."""
    try:
        with Image.open(path) as image:
            return image.info.get(_LABELS) != _digest(np.asarray(image))
    except OSError:
        return False


def _digest(labels: UInt8[np.ndarray, "h w"]) -> str:
    return sha256(repr(labels.shape).encode() + labels.tobytes()).hexdigest()


def require_png(path: Path | str) -> None:
    """Find out before the work that labels cannot be written to a file of that name.

    Raises:
        UsageError: They cannot.
    """
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"{path}: labels are written as PNG, which loses none of them: name a .png")


def segment(
    picture: Picture | Path | str,
    model: TranslationModel | Path | str,
    *,
    options: SegmentOptions | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> Segmented:
    """Label every pixel of a picture.

    >>> import impasto
    >>> impasto.segment("street.jpg", "runs/CAMVID").shares  # doctest: +SKIP

    Args:
        picture: The picture, or its file.
        model: A model of segmentation, the run that made it, or its file.
        options: All options at once; ``fields`` go over it.
        progress: Called with (part done, a few words).
        fields: Any field of :class:`~impasto.translation.segment_options.SegmentOptions`.

    Raises:
        UsageError: The picture cannot be read, or the model does something else.
        ImpastoError: There is not enough memory.
    """
    options = merge(SegmentOptions, options, fields)
    model = loaded(model)
    files: list[Input] = []
    if not isinstance(picture, Picture):
        path, picture = Path(picture), read(picture)
        files = [input_file("content", path)]
    scores = apply(
        model,
        on_white(picture),
        tile=options.tile or "auto",
        overlap=options.overlap,
        memory=options.memory,
        device=pick_device(options.device),
        progress=progress,
    )
    labels = scores.argmax(1)[0].to(torch.uint8)
    return Segmented(picture, labels, model.classes, recipe_of(model, options, files))


def loaded(model: TranslationModel | Path | str) -> TranslationModel:
    """A model of segmentation.

    Raises:
        UsageError: There is none, or it does something else.
    """
    if not isinstance(model, TranslationModel):
        model = load(model)
    if model.task != "segment":
        raise UsageError(f"{model.name} is a model of {model.task}: use `impasto enhance`, or name one of segmentation")
    return model


def recipe_of(model: TranslationModel, options: SegmentOptions, files: list[Input]) -> Recipe:
    """How the labels of these files are made."""
    return Recipe(
        verb="segment",
        options=options.model_dump(mode="json", exclude_defaults=True, exclude=kept_out(model, options)),
        inputs=(*files, *model.inputs()),
        networks={model.name: model.sha256},
        made_with=circumstances(pick_device(options.device)),
    )
