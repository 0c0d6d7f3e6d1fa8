"""Perceptual hashes: 63 signs of a picture's lowest frequencies, alike for pictures that look alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

SIDE = 64  # of the thumbnails that all comparisons are made on
SMALLEST = 64  # pictures with a shorter side hold too little to tell copies from likenesses: digits are all alike
FREQUENCIES = 8  # along each axis
TURNS = tuple((turn, mirrored) for mirrored in (False, True) for turn in range(4))

# Measured on 2,130 pictures of dogs-vs-cats, pacs-mini and pets-boxes: resized, recompressed (quality 30) and grey
# copies differ in at most 4 of 63 signs; of 2.3 million pairs of different pictures none differs in 6 or fewer.
SAME = 4

_NOISE = 2.0  # levels' rounding makes coefficients of 0.3 (σ) where there is nothing: then a sign says nothing


def thumbnail(pixels: Float[Tensor, "1 3 h w"]) -> np.ndarray:
    """The picture's brightness at 64 × 64 pixels, its proportions given up: (64, 64) uint8."""
    import torch
    import torch.nn.functional as F

    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)  # ITU-R BT.601
    grey = (pixels * weights).sum(1, keepdim=True)
    small = F.interpolate(grey, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return small[0, 0].mul(255).round().clamp(0, 255).to(torch.uint8).numpy()


def coefficients(thumbnails: np.ndarray) -> np.ndarray:
    """The 8 × 8 lowest coefficients of the cosine transform (DCT-II): (..., 64, 64) → (..., 8, 8) float32."""
    side = thumbnails.shape[-1]
    k, x = np.mgrid[:FREQUENCIES, :side]
    basis = (np.cos(np.pi * k * (2 * x + 1) / (2 * side)) * np.sqrt(np.where(k == 0, 1, 2) / side)).astype(np.float32)
    return basis @ thumbnails.astype(np.float32) @ basis.T


def hashes(coefficients: np.ndarray) -> np.ndarray:
    """The signs of the coefficients but the first, which says how bright all is: (..., 8, 8) → (...) uint64.

    Zauner (2010), "Implementation and benchmarking of perceptual image hash functions", with two departures: the signs
    are those against zero, not the median, so that the hash of the mirrored or turned picture follows from the hash;
    and the lowest frequencies are kept, for they change least when a picture is resized or recompressed.

    >>> hex(hashes(coefficients(np.zeros((64, 64)))))
    '0x0'
    """
    signs = (coefficients > _NOISE).reshape(*coefficients.shape[:-2], FREQUENCIES**2)
    signs[..., 0] = False
    return np.packbits(signs, axis=-1).view(np.dtype(">u8"))[..., 0].astype(np.uint64)


def to_text(value: int | np.uint64) -> str:
    """A hash as manifests hold it: 16 hexadecimal digits.

    >>> to_text(255)
    '00000000000000ff'
    """
    return f"{int(value):016x}"


def from_texts(texts: Sequence[str | None]) -> np.ndarray:
    """Hashes of a manifest's column: (n,) uint64, zero where there is none."""
    return np.array([int(text or "0", 16) for text in texts], dtype=np.uint64)


def turned(coefficients: np.ndarray, turn: int, mirrored: bool) -> np.ndarray:
    """The coefficients of the picture turned by ``turn`` right angles counterclockwise, then mirrored left to right.

    A mirrored cosine of odd frequency changes its sign; rows and columns swapped are frequencies swapped.
    """
    odd = np.where(np.arange(FREQUENCIES) % 2, -1, 1)
    for _ in range(turn % 4):  # np.rot90 is a transposition, then the rows turned around
        coefficients = np.swapaxes(coefficients, -1, -2) * odd[:, None]
    return coefficients * odd if mirrored else coefficients


def turned_hashes(values: np.ndarray) -> np.ndarray:
    """The hashes of the picture in its eight positions, those of ``TURNS``: (n,) uint64 → (8, n)."""
    bits = np.unpackbits(values.astype(">u8")[:, None].view(np.uint8), axis=-1)
    signs = bits.reshape(-1, FREQUENCIES, FREQUENCIES).astype(np.float32) * 2 - 1
    return np.stack([hashes(turned(signs, *how) * SIDE) for how in TURNS])


def alike(values: np.ndarray, *, within: int = SAME, any_way_up: bool = True) -> np.ndarray:
    """Pairs of rows whose hashes differ in few signs: (m, 2) int64, the lower row first.

    All pairs are compared, in blocks: 20,000 hashes in some seconds. Rows with the hash zero, which blank pictures and
    those without a hash have, are in no pair.

    Args:
        values: (n,) uint64.
        within: The most signs that may differ, of 63.
        any_way_up: Whether a picture is also compared with the other turned and mirrored.
    """
    here = np.flatnonzero(values)
    ways = turned_hashes(values[here]) if any_way_up else values[here][None]
    found = []
    for start in range(0, len(here), 1024):
        block = ways[:, start : start + 1024]
        for way in block:
            differing = np.bitwise_count(way[:, None] ^ values[here][None, start:])
            i, j = np.nonzero(differing <= within)
            found.append(np.stack([i, j], 1)[j > i] + start)
    pairs = np.concatenate(found) if found else np.empty((0, 2), np.int64)
    return here[np.unique(pairs, axis=0)].reshape(-1, 2)
