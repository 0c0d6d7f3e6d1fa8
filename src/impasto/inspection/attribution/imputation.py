"""Imputation: fill the pixels that are taken away from their neighbours, so that their absence tells nothing."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_array
from scipy.sparse.linalg import splu

# A missing pixel is the mean of its eight neighbours, those beside it counting twice as much as those at its corners.
# Rong et al. (2022), section 5.1 and their code.
NEIGHBOURS = {
    **dict.fromkeys(((0, 1), (0, -1), (1, 0), (-1, 0)), 1 / 6),
    **dict.fromkeys(((1, 1), (1, -1), (-1, 1), (-1, -1)), 1 / 12),
}


def impute(
    image: Float[np.ndarray, "c h w"], missing: Bool[np.ndarray, "h w"], noise: Float[np.ndarray, "c h w"] | None = None
) -> Float[np.ndarray, "c h w"]:
    """The image with its missing pixels solved for: each a weighted mean of its neighbours, missing ones too.

    Rong et al., "A consistent and efficient evaluation strategy for attribution methods" (2022), section 5.1, noisy
    linear imputation: one sparse system with an unknown for each missing pixel. At the border, the neighbours there
    are count alone. Where nothing is known, the image is gray.

    Args:
        image: In [0, 1].
        missing: Which pixels are to be filled.
        noise: What is added to the pixels that are filled, so that they cannot be told by being so smooth.
    """
    filled = image.copy()
    unknown = np.flatnonzero(missing)
    if not len(unknown):
        return filled
    if len(unknown) == missing.size:
        filled[:] = 0.5
    else:
        filled[:, missing] = _solved(image, missing, unknown)
    if noise is not None:
        filled[:, missing] += noise[:, missing]
    return filled


def _solved(image: np.ndarray, missing: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    h, w = missing.shape
    number = np.full(missing.size, -1)
    number[unknown] = np.arange(len(unknown))
    y, x = np.divmod(unknown, w)
    total, right = np.zeros(len(unknown)), np.zeros((len(unknown), len(image)))
    rows, columns, values = [], [], []
    for (down, across), weight in NEIGHBOURS.items():
        there = np.flatnonzero((y + down >= 0) & (y + down < h) & (x + across >= 0) & (x + across < w))
        place = (y[there] + down) * w + x[there] + across
        total[there] += weight
        free = number[place] >= 0
        rows.append(there[free])
        columns.append(number[place[free]])
        values.append(np.full(int(free.sum()), -weight))
        known = there[~free]
        right[known] += weight * image.reshape(len(image), -1)[:, place[~free]].T
    rows.append(np.arange(len(unknown)))
    columns.append(np.arange(len(unknown)))
    values.append(total)
    system = csr_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(len(unknown),) * 2
    ).tocsc()
    # the system is symmetric and diagonally dominant: no pivoting, and an order of elimination made for such
    solver = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return solver.solve(right).T
