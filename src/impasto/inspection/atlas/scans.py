"""Scans: the pieces that hold what a folder's pictures do to each unit, and the patches of them that do most."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from impasto.images import Picture, write
from impasto.images.resize import resize, size_of
from impasto.inspection.atlas.cache import Piece, Tell, Work, key_of
from impasto.inspection.atlas.layers import AtlasLayer
from impasto.inspection.atlas.options import AtlasOptions
from impasto.inspection.folder import scan as folder_scan
from impasto.inspection.folder.patches import GRAY, patch, patch_box
from impasto.inspection.folder.pictures import Folder, shape_for, sized
from impasto.inspection.folder.scan import TapScan
from impasto.networks import Taps

VERSION = 2  # of what is found and shown: raised when the same key would give something else

FILE = "scan.safetensors"
TOP = 9

_QUALITY = 85  # of WebP


def scan_piece(
    layers: tuple[AtlasLayer, ...], network: str, folder: Folder, pictures: str, options: AtlasOptions, subject: int
) -> Piece:
    """The piece that holds what all layers say to a folder's pictures.

    Args:
        layers: Of the atlas.
        network: The network's fingerprint.
        folder: The pictures.
        pictures: A hash of them.
        options: Of the atlas.
        subject: Which of the atlas's networks.
    """
    taps = tuple(layer.seen for layer in layers)
    return Piece(
        ".atlas",
        key_of("scan", VERSION, folder_scan.VERSION, network, taps, pictures, options.scan_size, TOP),
        f"scan of {len(folder)} pictures",
        "scan",
        cost=len(folder) * (options.scan_size / 224) ** 2,
        job=partial(scan_folder, subject=subject, taps=taps, paths=folder.paths, size=options.scan_size),
    )


def scan_folder(
    work: Work, into: Path, tell: Tell, *, subject: int, taps: tuple[str, ...], paths: tuple[Path, ...], size: int
) -> None:
    """Scan a folder and write what is found."""
    found = folder_scan.scan(work.networks[subject], paths, taps, size=size, top=TOP, progress=tell)
    folder_scan.save(found, into / FILE)


def patches_piece(layer: AtlasLayer, scan: Piece, folder: Folder, options: AtlasOptions, subject: int) -> Piece:
    """The piece that holds a layer's strips of patches, ``CHANNEL.webp`` each; it follows the scan."""
    return Piece(
        "pictures",
        key_of("patches", VERSION, scan.key, layer.seen, options.patch_size),
        f"patches of {layer.tap}",
        "patches",
        cost=(len(folder) + layer.channels) / 8,
        job=partial(
            cut_patches,
            subject=subject,
            scan=f"{scan.folder}/{FILE}",
            tap=layer.seen,
            vectors=layer.stride == 0,
            paths=folder.paths,
            size=options.scan_size,
            side=options.patch_size,
        ),
    )


def cut_patches(
    work: Work,
    into: Path,
    tell: Tell,
    *,
    subject: int,
    scan: str,
    tap: str,
    vectors: bool,
    paths: tuple[Path, ...],
    size: int,
    side: int,
) -> None:
    """Cut a layer's strips: of each unit the patches that excite it most, squares of one size side by side.

    Every picture is read once, whichever units it is for. What is not square (a whole picture) lies on gray. A strip
    is as wide as the unit has patches, for the pages find them by their number.
    """
    network = work.networks[subject]
    found = folder_scan.load(work.site / scan)[tap]
    geometry = None if vectors else Taps(network, [tap]).geometry()[tap]
    counts = (found.pictures >= 0).sum(1)
    strips = np.full((found.channels, side, TOP * side, 3), round(GRAY * 255), dtype=np.uint8)
    wanted = defaultdict(list)
    for channel, rank in zip(*np.nonzero(found.pictures >= 0)):
        wanted[int(found.pictures[channel, rank])].append((int(channel), int(rank)))
    for done, (number, places) in enumerate(sorted(wanted.items())):
        picture = sized(paths[number], size, shape_for(network))
        cut: dict[tuple[int, int], UInt8[np.ndarray, "side side 3"]] = {}  # many units look at the same place
        for channel, rank in places:
            row, column = (int(place) for place in found.positions[channel, rank])
            if (row, column) not in cut:
                whole = (0, 0, *size_of(picture))
                box = whole if geometry is None else patch_box(geometry, (row, column), size_of(picture))
                cut[row, column] = _square(patch(picture, box), side)
            strips[channel, :, rank * side : (rank + 1) * side] = cut[row, column]
        tell(0.7 * done / len(wanted), "patches")
    for channel, strip in enumerate(strips):
        filled = torch.from_numpy(strip[:, : counts[channel] * side])
        pixels = filled.permute(2, 0, 1)[None].float().div_(255).contiguous()
        write(into / f"{channel}.webp", Picture(pixels), quality=_QUALITY)
        if channel % 16 == 0:
            tell(0.7 + 0.3 * channel / found.channels, "patches")


def read_scan(work: Work, scan: Piece) -> dict[str, TapScan]:
    """What a scan has found, by tap."""
    return folder_scan.load(work.site / scan.folder / FILE)


def _square(picture: Float[Tensor, "1 3 h w"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    height, width = size_of(picture)
    scale = side / max(height, width)
    inner = resize(picture, (max(1, round(height * scale)), max(1, round(width * scale)))).clamp(0, 1)
    square = np.full((side, side, 3), round(GRAY * 255), dtype=np.uint8)
    top, left = (side - inner.shape[-2]) // 2, (side - inner.shape[-1]) // 2
    pixels = (inner[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    square[top : top + inner.shape[-2], left : left + inner.shape[-1]] = pixels
    return square
