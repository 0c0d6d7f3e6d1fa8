"""Copies: pictures made of other pictures by resizing, recompressing, recolouring, turning, mirroring or cropping.

In three steps, each for what the one before lets through: the hashes of every picture, turned eight ways and cropped
six, against those of all others; the 63 lowest frequencies of the pairs, weighted alike; and for the few that remain,
the crop that fits best, and how well edges then lie on edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from impasto.learning import phash

if TYPE_CHECKING:
    from torch import Tensor

# Windows of the whole picture that a crop is looked for from: scale, shift across, scale, shift down, in a picture
# from −1 to 1. A crop of 90 % anywhere lies near one of them.
WINDOWS = (
    (1.0, 0.0, 1.0, 0.0),
    (0.93, 0.0, 0.93, 0.0),
    *((0.92, x, 0.92, y) for x in (-0.05, 0.05) for y in (-0.05, 0.05)),
)

# Measured on pacs-mini and the test pictures of dogs-vs-cats, 960 in all, each recompressed (quality 30), brightened by
# 1.25 and cropped to 95 and 90 % anywhere: every copy passes the first two.
SIGNS = 18  # of 63 that may differ
FREQUENCIES = 0.7  # correlation of the weighted frequencies
# Of these copies the edges are alike to 0.94 and more, to 0.977 in 99 of 100; of the 2,130 different pictures named in
# phash two pairs are above 0.8: of one person at one sitting, 0.91 and 0.92.
EDGES = 0.93

_MOST = 16  # likely originals that are looked at for each picture
_BLOCK = 512


class Copy(NamedTuple):
    """Two rows, of which one is made of the other.

    Attributes:
        first: The lower row.
        second: The other.
        how: ``same`` way up and frame, ``mirrored``, ``turned`` or ``cropped``; several with a space between.
        likeness: Correlation of the edges, at most 1.
    """

    first: int
    second: int
    how: str
    likeness: float


def find_copies(
    thumbnails: np.ndarray,
    rows: np.ndarray,
    same: np.ndarray | None = None,
    progress: Callable[[float, str], object] | None = None,
) -> list[Copy]:
    """The pairs of pictures of which one is made of the other, in the order of their rows.

    Args:
        thumbnails: (n, 64, 64) uint8.
        rows: Those that are compared.
        same: (n,) a number for each file's content: two of one number are known to be the same, and not reported.
        progress: Called with the part that is done and a few words.
    """
    if len(rows) < 2:
        return []
    import torch

    small = torch.from_numpy(thumbnails[rows]).to(torch.float32) / 255
    with torch.no_grad():
        pairs = _candidates(small, None if same is None else same[rows], progress)
        likeness, windows = _compare(small, pairs, progress)
    best: dict[tuple[int, int], Copy] = {}
    for (i, j, way, _), score, window in zip(pairs.tolist(), likeness.tolist(), windows.tolist(), strict=True):
        first, second = sorted((int(rows[i]), int(rows[j])))
        known = best.get((first, second))
        if score >= EDGES and (known is None or known.likeness < score):
            best[first, second] = Copy(first, second, _how(way, window), score)
    return [best[pair] for pair in sorted(best)]


def _how(way: int, window: list[float]) -> str:
    turn, mirrored = phash.TURNS[way]
    cropped = min(window[0], window[2]) < 0.98
    if mirrored and turn == 2:  # mirrored top to bottom
        turn = 0
    words = [word for word, is_so in (("turned", turn), ("mirrored", mirrored), ("cropped", cropped)) if is_so]
    return " ".join(words) or "same"


def _candidates(small: Tensor, same: np.ndarray | None, progress: Callable[[float, str], object] | None) -> np.ndarray:
    """(m, 4) int64: a whole picture, a likely copy, which of ``phash.TURNS`` and which of ``WINDOWS`` it shows."""
    import torch

    whole = phash.coefficients(small.numpy() * 255)
    wholes, features = phash.hashes(whole), _weighted(whole)
    found, score = [], []
    for number, window in enumerate(WINDOWS):
        crop = whole
        if number:
            crop = phash.coefficients(_window(small[:, None], torch.tensor([window]))[:, 0].numpy() * 255)
        for way, turn in enumerate(phash.TURNS):
            if progress:
                done = (number * len(phash.TURNS) + way) / (len(phash.TURNS) * len(WINDOWS))
                progress(0.7 * done, "comparing the pictures")
            seen = phash.turned(crop, *turn)
            theirs = _weighted(seen)
            for i, j in _near(phash.hashes(seen), wholes):
                keep = i < j if not number else i != j
                if same is not None:
                    keep &= same[i] != same[j]
                i, j = i[keep], j[keep]
                alike = np.einsum("mc,mc->m", theirs[i], features[j])
                keep = alike >= FREQUENCIES
                i, j, alike = i[keep], j[keep], alike[keep]
                found.append(np.stack([i, j, np.full_like(i, way), np.full_like(i, number)], 1))
                score.append(alike)
    pairs, scores = np.concatenate(found), np.concatenate(score)
    return _likeliest(pairs, scores)


def _near(ours: np.ndarray, wholes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(ours), _BLOCK):
        differing = np.bitwise_count(ours[start : start + _BLOCK, None] ^ wholes[None])
        i, j = np.divmod(np.flatnonzero(differing <= SIGNS), len(wholes))  # np.nonzero of a matrix is slow
        yield i + start, j


def _weighted(coefficients: np.ndarray) -> np.ndarray:
    """Frequencies times themselves, for pictures have less of the high ones (1 / f), with length one: (n, 64)."""
    n = phash.FREQUENCIES
    weighted = (coefficients * np.hypot(*np.mgrid[:n, :n])).reshape(len(coefficients), -1)
    return weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-9)


def _likeliest(pairs: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of each two pictures the best way and window, and of each picture the first few others."""
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(pairs[order][:, :2], axis=0, return_index=True)
    order = order[np.sort(first)]  # best first
    seen: dict[int, int] = {}
    keep = []
    for number in order.tolist():
        i = int(pairs[number, 0])
        seen[i] = seen.get(i, 0) + 1
        if seen[i] <= _MOST:
            keep.append(number)
    return pairs[keep]


def _compare(
    small: Tensor, pairs: np.ndarray, progress: Callable[[float, str], object] | None
) -> tuple[Tensor, Tensor]:
    """How alike the edges of each pair are, (m,), when the window (m, 4) of the one fits the other best."""
    import torch

    scores, windows = [torch.empty(0)], [torch.empty(0, 4)]
    for start in range(0, len(pairs), _BLOCK):
        if progress:
            progress(0.7 + 0.3 * start / len(pairs), "fitting likely copies")
        i, j, way, number = torch.from_numpy(pairs[start : start + _BLOCK]).unbind(1)
        # The copy is stood as the whole is: the transform undone, rather than the whole turned and its window with it.
        copies = torch.stack([_undone(picture, *phash.TURNS[one]) for picture, one in zip(small[j], way.tolist())])
        window = _fit(small[i], copies, torch.tensor(WINDOWS)[number])
        shown = _window(small[i][:, None], window)[:, 0]
        likeness = (
            _likeness(shown, copies),
            _likeness(_burnt(shown, copies), copies),
            _likeness(shown, _burnt(copies, shown)),
        )
        scores.append(torch.stack(likeness).amax(0))
        windows.append(window)
    return torch.cat(scores), torch.cat(windows)


def _undone(picture: Tensor, turn: int, mirrored: bool) -> Tensor:
    import torch

    return torch.rot90(picture.flip(1) if mirrored else picture, -turn)


def _likeness(one: Tensor, other: Tensor) -> Tensor:
    """How well edges lie on edges, (m,), at most 1."""
    return _correlation(_edges(_blurred(one, 1.0)), _edges(_blurred(other, 1.0)))


def _burnt(picture: Tensor, like: Tensor) -> Tensor:
    """Each picture as bright as the other, and cut off at white and black as that may have been: (m, s, s)."""
    known = ((like > 0.03) & (like < 0.97)).to(like.dtype)  # where the other is not cut off
    count = known.sum((1, 2), keepdim=True).clamp(min=1)
    mean, target = ((one * known).sum((1, 2), keepdim=True) / count for one in (picture, like))
    spread = ((picture - mean).square() * known).sum((1, 2), keepdim=True).clamp(min=1e-6)
    contrast = ((picture - mean) * (like - target) * known).sum((1, 2), keepdim=True) / spread
    return (contrast.clamp(0.5, 2) * (picture - mean) + target).clamp(0, 1)


def _fit(whole: Tensor, crop: Tensor, window: Tensor) -> Tensor:
    """The window (scale, shift, scale, shift) of each whole picture that looks like its crop: (m, 4).

    Gauss-Newton on the squared differences, with the contrast and the brightness fitted too (Evangelidis and Psarakis,
    2008, "Parametric image alignment using enhanced correlation coefficient maximization", solved here as one linear
    system of six unknowns), at 32 × 32 pixels, blurred more, then less, then at 64 × 64. A window is 85 % or more.
    """
    import torch
    import torch.nn.functional as F

    half_whole, half_crop = (F.avg_pool2d(one[:, None], 2)[:, 0] for one in (whole, crop))
    for one, other, sigma, steps in (
        (half_whole, half_crop, 1.5, 4),
        (half_whole, half_crop, 0.7, 4),
        (whole, crop, 1.0, 3),
    ):
        sources = torch.cat([(soft := _blurred(one, sigma))[:, None], _edges(soft)], 1)
        target = _blurred(other, sigma).flatten(1)[..., None]
        for _ in range(steps):
            window = _step(sources, target, window)
    return window


def _step(sources: Tensor, target: Tensor, window: Tensor) -> Tensor:
    """One step of :func:`_fit`: the picture and its slopes (m, 3, s, s), what they are to show (m, s², 1)."""
    import torch

    at = _positions(sources.shape[-1])
    x, y = at.expand(len(at), -1), at[:, None].expand(-1, len(at))
    shown, across, down = _window(sources, window).unbind(1)
    columns = [across * x, across, down * y, down, shown, torch.ones_like(shown)]
    jacobian = torch.stack([column.flatten(1) for column in columns], 2)
    normal = jacobian.mT @ jacobian
    normal = normal + torch.diag_embed(1e-4 * normal.diagonal(dim1=1, dim2=2) + 1e-6)
    solution = torch.linalg.solve(normal, jacobian.mT @ target)[..., 0]
    step = (solution[:, :4] / solution[:, 4:5].clamp(min=0.1)).clamp(-0.05, 0.05)
    return (window + step).clamp(torch.tensor([0.85, -0.15] * 2), torch.tensor([1.02, 0.15] * 2))


def _window(pictures: Tensor, window: Tensor) -> Tensor:
    """What a window of each picture shows, at the same size: (m, c, s, s)."""
    import torch
    import torch.nn.functional as F

    at = _positions(pictures.shape[-1])
    window = window.expand(len(pictures), 4)[:, :, None, None]
    x = (window[:, 0] * at + window[:, 1]).expand(-1, len(at), -1)
    y = (window[:, 2] * at[:, None] + window[:, 3]).expand(-1, -1, len(at))
    return F.grid_sample(pictures, torch.stack([x, y], -1), padding_mode="border", align_corners=False)


def _positions(side: int) -> Tensor:
    """The middles of a row's pixels, from −1 to 1."""
    import torch

    return (torch.arange(side) + 0.5) / side * 2 - 1


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    import torch
    import torch.nn.functional as F

    reach = int(np.ceil(3 * sigma))
    kernel = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    across = F.conv2d(F.pad(pictures[:, None], (reach, reach, 0, 0), mode="replicate"), kernel[None, None, None])
    return F.conv2d(F.pad(across, (0, 0, reach, reach), mode="replicate"), kernel[None, None, :, None])[:, 0]


def _edges(pictures: Tensor) -> Tensor:
    """The slopes across and down, per unit of the window: (m, 2, s, s)."""
    import torch
    import torch.nn.functional as F

    wide = F.pad(pictures[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    slopes = torch.stack([wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2], wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]], 1)
    return slopes * (pictures.shape[-1] / 4)


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    one, other = one.flatten(1), other.flatten(1)
    return (one * other).sum(1) / (one.norm(dim=1) * other.norm(dim=1)).clamp(min=1e-6)
