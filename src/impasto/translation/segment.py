"""Segment: what a trained model says of every pixel of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, read
from impasto.images.replace import replace_file
from impasto.networks.device import DeviceName, pick_device
from impasto.translation.apply import apply
from impasto.translation.model import TranslationModel, load
from impasto.translation.pictures import on_white
from impasto.translation.segmentation import coloured, palette


@dataclass(frozen=True)
class Segmented:
    """The labels of a picture.

    Attributes:
        picture: The picture.
        labels: The likeliest class of each pixel.
        classes: Their names.
    """

    picture: Picture
    labels: UInt8[Tensor, "h w"]
    classes: tuple[str, ...]

    @property
    def shares(self) -> dict[str, float]:
        """The part of the picture that each class takes, the largest first; those that take none are left out."""
        counts = torch.bincount(self.labels.flatten(), minlength=len(self.classes))
        shares = {name: int(count) / self.labels.numel() for name, count in zip(self.classes, counts, strict=True)}
        return dict(sorted(((name, share) for name, share in shares.items() if share), key=lambda item: -item[1]))

    def overlay(self) -> Float[Tensor, "1 3 h w"]:
        """The picture, each pixel tinted by its class."""
        return coloured(on_white(self.picture), self.labels, len(self.classes))

    def save(self, path: Path | str) -> None:
        """Write the labels as a PNG with a palette: a mask such as `impasto train segment` learns from.

        Raises:
            UsageError: Another format.
            ImpastoError: It cannot be written.
        """
        require_png(path)
        image = Image.fromarray(self.labels.numpy()).convert("P")
        image.putpalette((palette(len(self.classes)) * 255).round().to(torch.uint8).flatten().tolist())
        data = BytesIO()
        image.save(data, "PNG")
        replace_file(path, data.getvalue())


def require_png(path: Path | str) -> None:
    """Find out before the work that labels cannot be written to a file of that name.

    Raises:
        UsageError: They cannot.
    """
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"{path}: labels are written as PNG, which loses none of them: name a .png")


def segment(
    picture: Picture | Path | str, model: TranslationModel | Path | str, *, device: DeviceName = "auto"
) -> Segmented:
    """Label every pixel of a picture.

    >>> import impasto
    >>> impasto.segment("street.jpg", "runs/CAMVID").shares  # doctest: +SKIP

    Args:
        picture: The picture, or its file.
        model: A model of segmentation, the run that made it, or its file.
        device: Where to compute.

    Raises:
        UsageError: The picture cannot be read, or the model does something else.
    """
    if not isinstance(model, TranslationModel):
        model = load(model)
    if model.task != "segment":
        raise UsageError(f"{model.name} is a model of {model.task}: use `impasto enhance`, or name one of segmentation")
    if not isinstance(picture, Picture):
        picture = read(picture)
    scores = apply(model, on_white(picture), device=pick_device(device))
    return Segmented(picture, scores.argmax(1)[0].to(torch.uint8), model.classes)
