"""Memory: what a picture of some size will need, measured before it is begun."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.networks import Taps

PROBE = 128  # pixels a side of the picture that is measured


def require_memory(
    taps: Taps,
    size: tuple[int, int],
    history: int,
    device: torch.device,
    styles: Sequence[tuple[int, int]] = (),
) -> None:
    """Refuse a picture of ``size``, or styles of ``styles``, that will not fit, before any work is spent on it.

    Raises:
        ImpastoError: It needs more than is free; the message says how much, and up to which size it would fit.
    """
    each = bytes_per_pixel(taps, device) + 4 * 3 * (2 * history + 8)  # the optimiser's pictures, float32
    needed = each * size[0] * size[1]
    there = free_memory(device)
    if needed > there:
        fits = int(max(size) * (0.9 * there / needed) ** 0.5)
        raise ImpastoError(
            f"{size[1]}×{size[0]} pixels on {taps.network.name} need about {needed / 2**30:.1f} GiB and "
            f"{there / 2**30:.1f} are free: --size {fits} would fit"
        )
    for height, width in styles:
        # a style is only measured: the taps' maps, and two of the largest while it runs
        needed = bytes_per_pixel(taps, device, measured_only=True) * height * width
        if needed > there:
            raise ImpastoError(
                f"a style measured at {width}×{height} pixels needs about {needed / 2**30:.1f} GiB and "
                f"{there / 2**30:.1f} are free: choose a smaller --stroke or --size"
            )


def bytes_per_pixel(taps: Taps, device: torch.device, measured_only: bool = False) -> float:
    """Bytes for each pixel of the input, measured on a small picture: those that autograd keeps, or the taps alone."""
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    own = {p.untyped_storage().data_ptr() for p in taps.network.module.parameters()}
    image = torch.full((1, 3, PROBE, PROBE), 0.5, device=device, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        features = taps(image)
    maps = [size for pointer, size in kept.items() if pointer not in own]
    if measured_only:
        sizes = [f.nelement() * f.element_size() for f in features.values()]
        return (sum(sizes) + 3 * max(maps, default=0)) / PROBE**2
    # a gradient of each kept map lives beside it for a while: the largest, twice over
    largest = max(f.nelement() * f.element_size() for f in features.values())
    return (sum(maps) + 2 * largest) / PROBE**2


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)
