"""What a restoration minimises: pixels alone, or pixels, activations and Gram matrices, as the options have it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from impasto import networks
from impasto.errors import UsageError
from impasto.losses.perceptual import FeatureLoss
from impasto.losses.pixel import PIXEL_LOSSES
from impasto.networks.weights import Download
from impasto.translation.options import EnhancementOptions

Criterion = Callable[[Tensor, Tensor], Tensor]


def criterion(
    options: EnhancementOptions, device: torch.device, download: Download | None = None
) -> tuple[Criterion, dict[str, str]]:
    """The loss (output, target) → scalar, and the hash of the network that it asks, by name.

    Args:
        options: As :func:`~impasto.translation.training_recipe.settled` gives them: no loss is left open.
        device: Where to ask the network.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: The network has no such taps.
        ImpastoError: Its weights cannot be had.
    """
    assert options.pixel_loss != "auto", "settle the options first"
    pixels = PIXEL_LOSSES[options.pixel_loss]
    if not options.features and not options.gram:
        return pixels, {}
    network = networks.load(options.feature_network, weights=options.feature_weights, progress=download)
    network = network.to(device)
    taps = options.feature_taps or network.style_taps
    if not taps:
        raise UsageError(f"{options.feature_network} has no taps of its own: name some by --feature-taps")
    networks.Taps(network, taps)  # the names are right, or it says which are
    loss = FeatureLoss(pixels, network, tuple(taps), options.features, options.gram)
    return loss, {options.feature_network: network.sha256}
