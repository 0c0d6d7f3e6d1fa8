"""Compare: the piece that holds how far each unit has moved from one network to another."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.inspection.atlas.cache import Piece, Tell, Work, key_of
from impasto.inspection.atlas.layers import AtlasLayer
from impasto.inspection.atlas.options import AtlasOptions
from impasto.inspection.folder.pictures import Folder
from impasto.inspection.folder.shown import shown
from impasto.networks import Network, Taps
from impasto.networks.hooks import at_rest

VERSION = 1  # of what is measured: raised when the same key would give other figures

_FILE = "change.safetensors"


def change_piece(
    layers: tuple[AtlasLayer, ...],
    networks: tuple[str, ...],
    folder: Folder,
    pictures: str,
    options: AtlasOptions,
) -> Piece | None:
    """The piece that holds the change of every unit; none for a single network.

    Args:
        layers: Of the atlas.
        networks: Fingerprints.
        folder: The pictures.
        pictures: A hash of them.
        options: Of the atlas.
    """
    if len(networks) < 2:
        return None
    taps = tuple(layer.seen for layer in layers)
    return Piece(
        ".atlas",
        key_of("change", VERSION, networks, taps, pictures, options.scan_size),
        "change of the units",
        "change",
        cost=2.0 * len(folder),
        job=partial(write_change, taps=taps, paths=folder.paths, size=options.scan_size),
    )


def write_change(
    work: Work, into: Path, tell: Tell, *, taps: tuple[str, ...], paths: tuple[Path, ...], size: int
) -> None:
    """Measure the change of every unit and write it."""
    from safetensors.torch import save

    first, second = work.networks
    replace_file(into / _FILE, save(change(first, second, taps, paths, size, tell)))


@torch.no_grad()
def change(
    first: Network, second: Network, taps: tuple[str, ...], paths: tuple[Path, ...], size: int, tell: Tell
) -> dict[str, Float[Tensor, " c"]]:
    """How far each unit of some taps has moved: 1 − the correlation of its activations in both networks.

    Over all positions of all pictures. 0: it says the same, up to scale and offset; 1: it has nothing to do with what
    it was; NaN: in one of the networks it never changes.

    Raises:
        UsageError: None of the pictures could be shown to both.
    """
    sums: dict[str, list[Tensor]] = {}
    done = 0
    with at_rest(first.module), at_rest(second.module):
        for numbers, (ours, theirs) in shown([Taps(first, taps), Taps(second, taps)], paths, size):
            for tap in taps:
                a, b = (_rows(found[tap]) for found in (ours, theirs))
                if tap not in sums:
                    sums[tap] = [
                        a.mean(0),
                        b.mean(0),
                        *(a.new_zeros(a.shape[1], dtype=torch.float64) for _ in range(6)),
                    ]
                a, b = a - sums[tap][0], b - sums[tap][1]  # from their first means, so that nothing cancels
                parts = (a, b, a * a, b * b, a * b, torch.ones_like(a))
                for place, part in enumerate(parts, start=2):
                    sums[tap][place] += part.sum(0).double()
            done += len(numbers)
            tell(done / len(paths), "comparing")
    if not sums:
        raise UsageError(
            f"none of {len(paths)} pictures could be shown to both {first.name} and {second.name}: give others"
        )
    found = {}
    for tap, (_, _, a, b, aa, bb, ab, n) in sums.items():
        spread = ((aa / n - (a / n) ** 2).clamp_min(0) * (bb / n - (b / n) ** 2).clamp_min(0)).sqrt()
        moved = 1 - (ab / n - a * b / n**2) / spread
        found[tap] = moved.where(spread > 0, torch.nan).float().cpu()
    return found


def read_change(work: Work, piece: Piece | None) -> dict[str, Float[np.ndarray, " c"]]:
    """What such a piece holds, by tap."""
    from safetensors.numpy import load_file

    return load_file(work.site / piece.folder / _FILE) if piece else {}


def _rows(values: Tensor) -> Float[Tensor, "n c"]:
    if values.ndim == 2:
        return values.float()
    return values.float().movedim(1, -1).flatten(0, -2)
