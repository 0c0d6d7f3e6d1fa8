"""Expanded weights: what a unit is made from, through all that lies between two layers of an atlas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto.images.replace import replace_file
from impasto.inspection.atlas.cache import Piece, Tell, Work, key_of
from impasto.inspection.atlas.content import Link
from impasto.inspection.atlas.layers import AtlasLayer
from impasto.networks import Network, Taps
from impasto.networks.gates import Gates
from impasto.networks.hooks import at_rest

VERSION = 1  # of what is computed: raised when the same key would give other weights

_FILE = "weights.safetensors"
_WHOLE = 224  # side of the picture for layers that see all of it


def expanded_weights(
    network: Network,
    layer: AtlasLayer,
    inputs: Sequence[AtlasLayer],
    channels: Sequence[int] | None = None,
    progress: Tell | None = None,
) -> dict[str, Float[Tensor, "units channels"]]:
    """How each unit of a layer changes with each unit of the layers that feed it.

    Voss et al. (2021), "Visualizing weights": the derivative of the unit, at the middle of its map, with respect to
    the map before, every ReLU between them open, as if the path were linear; summed over the positions of that map, so
    that what is left is one number for each pair. Of a plain convolution it is the kernel, summed over its places; of a
    Fire module the product of its squeeze and expand layers. A max pooling between adds nothing to choose: each of its
    windows hands its gradient to one position, and the sum is that of an average pooling. Other nonlinearities
    (sigmoid gates, softmax) count with their slope on a gray picture.

    Args:
        network: The network.
        layer: Whose units.
        inputs: The layers that feed it, by what they are seen to say.
        channels: Which units. Default: all.
        progress: Called with the part that is done and a few words.

    Returns:
        By the input's name, (units, its channels); without the inputs from which no gradient comes.

    >>> from impasto import networks
    >>> from impasto.inspection.atlas.layers import atlas_layers
    >>> pocket = networks.load("pocket")
    >>> first, second, *_ = atlas_layers(pocket)
    >>> found = expanded_weights(pocket, second, [first])["relu1_1"]
    >>> torch.allclose(found, pocket.module.features[3].weight.sum((2, 3)), atol=1e-6)
    True
    """
    taps = Taps(network, [layer.rendered, *(one.seen for one in inputs)])
    parameter = next(network.module.parameters())
    side = _side(layer, inputs)
    gray = torch.full((1, 3, side, side), 0.5, device=parameter.device, dtype=parameter.dtype)
    chosen = range(layer.channels) if channels is None else channels
    with at_rest(network.module), Gates("open"):
        found = taps(gray.requires_grad_())
        maps = found[layer.rendered]
        middle = maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2] if maps.ndim == 4 else maps[0]
        before = [found[one.seen] for one in inputs]
        rows: dict[str, list[Tensor]] = {one.tap: [] for one in inputs}
        for done, channel in enumerate(chosen):
            gradients = torch.autograd.grad(middle[channel], before, retain_graph=True, allow_unused=True)
            for one, gradient in zip(inputs, gradients):
                if gradient is not None:
                    rows[one.tap].append(gradient[0].flatten(1).sum(1) if gradient.ndim == 4 else gradient[0])
            if progress and done % 32 == 0:
                progress(done / len(chosen), "expanding weights")
    return {tap: torch.stack(some).float().cpu() for tap, some in rows.items() if some}


def weights_piece(layer: AtlasLayer, layers: Sequence[AtlasLayer], network: str, subject: int = 0) -> Piece | None:
    """The piece that holds a layer's expanded weights; none for layers that are fed by the picture."""
    inputs = tuple(one for one in layers if one.tap in layer.inputs)
    if not inputs:
        return None
    return Piece(
        ".atlas",
        key_of("expanded", VERSION, network, layer.rendered, [one.seen for one in inputs]),
        f"expanded weights of {layer.tap}",
        "expanded weights",
        cost=layer.channels * 0.1,
        job=partial(write_weights, subject=subject, layer=layer, inputs=inputs),
    )


def write_weights(
    work: Work, into: Path, tell: Tell, *, subject: int, layer: AtlasLayer, inputs: tuple[AtlasLayer, ...]
) -> None:
    """Expand a layer's weights and write them."""
    from safetensors.torch import save

    found = expanded_weights(work.networks[subject], layer, inputs, progress=tell)
    replace_file(into / _FILE, save({tap: weights.contiguous() for tap, weights in found.items()}))


def read_weights(work: Work, piece: Piece | None) -> dict[str, Float[np.ndarray, "units channels"]]:
    """What such a piece holds, by the input's name."""
    from safetensors.numpy import load_file

    return load_file(work.site / piece.folder / _FILE) if piece else {}


def strongest(weights: dict[str, Float[np.ndarray, "units channels"]], most: int, sign: int) -> list[tuple[Link, ...]]:
    """For each unit those that drive it up (``sign`` 1) or down (−1), the strongest first.

    Args:
        weights: By layer, with one row for each unit.
        most: How many at most.
        sign: Which.

    Returns:
        Links with weights relative to the unit's largest, in [−1, 1].

    >>> strongest({"a": np.array([[0.5, -2.0, 0.0]])}, 3, -1)
    [(Link(layer='a', channel=1, weight=-1.0),)]
    """
    if not weights:
        return []
    owners = [(tap, channel) for tap, one in weights.items() for channel in range(one.shape[1])]
    joined = np.concatenate(list(weights.values()), axis=1)
    largest = np.abs(joined).max(axis=1, keepdims=True)
    relative = np.divide(joined, largest, out=np.zeros_like(joined), where=largest > 0)
    order = np.argsort(-sign * relative, axis=1, kind="stable")[:, :most]

    def link(other: int, weight: float) -> Link:
        tap, channel = owners[other]
        return Link(tap, channel, round(weight, 4))

    return [
        tuple(link(int(other), float(row[other])) for other in others if sign * row[other] > 0)
        for row, others in zip(relative, order)
    ]


def _side(layer: AtlasLayer, inputs: Sequence[AtlasLayer]) -> int:
    """Of a picture large enough that the middle unit sees no border in the maps before it."""
    if layer.receptive_field is None or any(one.receptive_field is None for one in inputs):
        return _WHOLE
    beyond = layer.receptive_field - min(one.receptive_field or 0 for one in inputs)
    wanted = 2 * beyond + 4 * layer.stride
    return max(64, -(-wanted // 32) * 32)
