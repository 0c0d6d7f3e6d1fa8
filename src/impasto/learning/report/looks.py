"""Looks: where in each picture there is what made the classifier say what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from impasto.errors import ImpastoError
from impasto.inspection.attribution.colours import overlay
from impasto.inspection.attribution.grad_cam import grad_cam
from impasto.learning.classifier import read
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import read_pixels
from impasto.learning.predict import MODEL
from impasto.learning.report.thumbnails import Thumbnail, thumbnail
from impasto.learning.trained_network import as_network
from impasto.networks import Taps

SAID = "Grad-CAM for what the classifier says, at the layer that its head stands on"


@dataclass(frozen=True)
class Look:
    """A map over the part of a thumbnail that the classifier was shown: a data URI, and its place in pixels."""

    source: str
    left: float
    top: float
    width: int
    height: int


class Looks:
    """Grad-CAM maps of a run's pictures over them, at the layer that its head stands on."""

    def __init__(self, run: Path, paths: tuple[str, ...]) -> None:
        model = read(run / MODEL)  # the run may be under way: this is its last step
        self._tap = model.description.tap
        self._network = as_network(model)
        self._preprocessing = model.description.preprocessing
        self._manifest = Manifest.from_rows(({"path": path} for path in paths), "/")

    def of(self, row: int, said: int, over: Thumbnail) -> Look | None:
        """Of a row, for a class, where it belongs on its thumbnail; None where the picture cannot be read any more.

        It is the map of what the classifier was shown, cropped or padded. A map that is zero all over leaves it gray.
        """
        try:
            levels = read_pixels(self._manifest, row, self._preprocessing)
        except (ImpastoError, OSError, ValueError):
            return None
        image = levels[None].float() / 255
        shown = overlay(grad_cam(self._network, image, said, tap=self._tap), image)[0]
        pixels = (shown * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        left, top, right, bottom = self._preprocessing.to_pixels((0.0, 0.0, 1.0, 1.0), over.width, over.height)
        small = thumbnail(pixels, (max(1, round(right - left)), max(1, round(bottom - top))))
        return Look(small.source, round(left, 1), round(top, 1), small.width, small.height)

    def has_positions(self) -> bool:
        """Whether the layer that the head stands on tells places apart."""
        side = self._preprocessing.size
        with torch.no_grad():
            found = Taps(self._network, [self._tap])(torch.zeros(1, 3, side, side))[self._tap]
        return found.ndim == 4 and found.shape[-2] * found.shape[-1] > 1


def looks_of(run: Path, paths: tuple[str, ...]) -> Looks | None:
    """The looks of a run; None where its classifier is not there any more, or looks at no positions."""
    if not (run / MODEL).is_file():
        return None
    looks = Looks(run, paths)
    return looks if looks.has_positions() else None
