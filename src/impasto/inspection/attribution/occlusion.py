"""Occlusion: cover a part of the picture, and see what becomes of the score."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.inspection.attribution.attribution import Attribution, signed
from impasto.inspection.attribution.baselines import baseline as baseline_picture
from impasto.inspection.attribution.gradients import batch_size, device_of
from impasto.inspection.attribution.options import BaselineName
from impasto.inspection.predictions import scores
from impasto.networks import Network


def occlusion(
    network: Network,
    image: Float[Tensor, "1 3 h w"],
    index: int,
    *,
    baseline: BaselineName = "gray",
    window: int | None = None,
    stride: int | None = None,
) -> Attribution:
    """By how much the score falls when a window over a pixel is covered, averaged over all such windows.

    Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014), section 4.2. It needs no gradient
    and asks the network directly, about pictures however that it has never seen the like of.

    Args:
        network: A classifier.
        image: In [0, 1].
        index: The class.
        baseline: What covers.
        window: Side of the window in pixels. Default: an eighth of the picture's shorter side.
        stride: Pixels from one window to the next. Default: half a window. The last windows end at the border.

    Raises:
        UsageError: A window larger than the picture, or a stride larger than the window, which would leave pixels out.
    """
    h, w = image.shape[-2:]
    window = window or max(1, round(min(h, w) / 8))
    stride = stride or max(1, window // 2)
    if window > min(h, w):
        raise UsageError(f"a window of {window} pixels is larger than the picture of {w}×{h}: make --window smaller")
    if stride > window:
        raise UsageError(f"a stride of {stride} leaves pixels between windows of {window}: make --stride smaller")
    image = image.to(device_of(network))
    cover = baseline_picture(image, baseline)
    places = [
        (slice(top, min(top + window, h)), slice(left, min(left + window, w)))
        for top in _starts(h, window, stride)
        for left in _starts(w, window, stride)
    ]
    whole = scores(network, image)[0, index]
    fall, count = (torch.zeros(h, w, dtype=image.dtype) for _ in range(2))
    for first in range(0, len(places), batch_size(image)):
        some = places[first : first + batch_size(image)]
        covered = image.repeat(len(some), 1, 1, 1)
        for picture, (rows, columns) in zip(covered, some):
            picture[:, rows, columns] = cover[0, :, rows, columns]
        falls = (whole - scores(network, covered)[:, index]).cpu()
        for place, by in zip(some, falls):
            fall[place] += by
            count[place] += 1
    return signed("occlusion", (fall / count)[None], baseline=baseline, window=window, stride=stride)


def _starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows begin, so that every pixel is covered; the last one may be cut by the border.

    >>> _starts(10, 4, 4)
    [0, 4, 8]
    """
    return [k * stride for k in range(-(-(side - window) // stride) + 1)]
