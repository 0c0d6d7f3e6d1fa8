"""The boxes of a manifest as a network sees them: parts of the preprocessed picture."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Preprocessing


def boxes_of(manifest: Manifest, preprocessing: Preprocessing) -> Float[Tensor, "n 4"]:
    """The boxes as parts of the preprocessed picture, cut at its borders; NaN where a row has none, or none is left."""
    rows = zip(manifest.column("box"), manifest.column("width"), manifest.column("height"), strict=True)
    nothing = (float("nan"),) * 4
    boxes = torch.tensor(
        [nothing if box is None else preprocessing.to_parts(box, width, height) for box, width, height in rows],
        dtype=torch.float32,
    ).reshape(-1, 4)
    boxes = boxes.clamp(0, 1)
    empty = (boxes[:, 2:] <= boxes[:, :2]).any(1)
    return boxes.masked_fill(empty[:, None], float("nan"))
