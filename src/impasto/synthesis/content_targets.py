"""Content targets: the photograph's activations, tile by tile, in memory, on disk, or computed when needed."""

from __future__ import annotations

import shutil
import tempfile
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.losses.statistics import DIAGONAL_MOMENTS, Sums
from impasto.networks import Taps
from impasto.synthesis.measure import Summed, accumulate, shared, together
from impasto.synthesis.tiles import Tile, Tiling

Place = Literal["memory", "disk", "nowhere"]


class ContentTargets:
    """The activations that a picture's content is compared with, at the positions that are a tile's own.

    Attributes:
        shown: Σ (f − mean f)² by tap, the distance of a picture that shows nothing: what losses are measured against.
    """

    def __init__(self, taps: Taps, picture: Float[Tensor, "1 3 h w"], tiling: Tiling, place: Place = "memory") -> None:
        """Run the network over the picture.

        Args:
            taps: The taps at which content is compared.
            picture: The photograph.
            tiling: The tiles for which it is asked.
            place: Where the activations wait; ``nowhere`` runs the network again whenever they are needed.

        Raises:
            ImpastoError: The disk is full.
        """
        self._taps, self._picture, self._tiling = taps, picture, tiling
        self._kept: dict[int, dict[str, Tensor]] = {}
        # a file without a name: it is gone with the process, however that ends
        self._file = tempfile.TemporaryFile() if place == "disk" else None  # noqa: SIM115
        self._places: dict[int, dict[str, tuple[int, torch.Size, torch.dtype]]] = {}
        self.place = place
        self.shown = self._lay(tiling)

    def lay(self, tiling: Tiling) -> None:
        """Prepare for the tiles of another tiling."""
        if tiling is self._tiling:
            return
        if self.place == "nowhere":
            self._tiling = tiling
        else:
            self._lay(tiling)

    @torch.no_grad()
    def _lay(self, tiling: Tiling) -> dict[str, float]:
        """Σ (f − mean f)² by tap: the distance of a picture that shows nothing."""
        self._tiling = tiling
        self._kept.clear()
        if self._file:
            self._file.seek(0)
            self._file.truncate()
        total: dict[Summed, Sums] = {}
        for index, tile in shared(tiling):
            targets = self._compute(tile)
            moments = {Summed(tap, DIAGONAL_MOMENTS): DIAGONAL_MOMENTS.sums(f, None) for tap, f in targets.items()}
            accumulate(total, moments)
            if self._file:
                self._write(index, targets)
            elif self.place == "memory":
                self._kept[index] = {tap: target.clone() for tap, target in targets.items()}
        together(tiling, total, list(total))
        shown = {}
        for one, sums in total.items():
            square = float(sums["square"].sum())
            spread = square - float((sums["first"].square() / sums["count"]).sum())
            # a blank photograph, which shows nothing, must not weigh endlessly
            shown[one.tap] = max(spread, 1e-3 * square, 1e-12)
        return shown

    def of(self, index: int) -> dict[str, Float[Tensor, "1 c k l"]]:
        """The targets of a tile by tap."""
        if self._file:
            return {tap: self._read(*place).to(self._picture.device) for tap, place in self._places[index].items()}
        return self._kept[index] if self.place == "memory" else self._compute(self._tiling.tiles[index])

    @torch.no_grad()
    def _compute(self, tile: Tile) -> dict[str, Tensor]:
        features = self._taps(self._tiling.crop(self._picture, tile))
        return {tap: f[(..., *self._tiling.own(tile, tap))] for tap, f in features.items()}

    def _write(self, index: int, targets: dict[str, Tensor]) -> None:
        assert self._file
        self._places[index] = {}
        for tap, target in targets.items():
            values = target.contiguous().cpu()
            self._places[index][tap] = self._file.seek(0, 2), values.shape, values.dtype
            try:
                self._file.write(values.numpy().data)
                self._file.flush()
            except OSError as error:
                raise ImpastoError(
                    f"the content's activations do not fit on the disk at {tempfile.gettempdir()}: free some space, or "
                    "set TMPDIR to a larger disk"
                ) from error

    def _read(self, offset: int, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        assert self._file
        values = torch.empty(shape, dtype=dtype)
        self._file.seek(offset)
        self._file.readinto(values.numpy().data)  # type: ignore[attr-defined]
        return values


def place_for(size: int, memory: int) -> Place:
    """Where targets of this many bytes wait: in memory if they fit there, else on disk if it has twice their room."""
    if size <= memory:
        return "memory"
    return "disk" if shutil.disk_usage(tempfile.gettempdir()).free > 2 * size else "nowhere"
