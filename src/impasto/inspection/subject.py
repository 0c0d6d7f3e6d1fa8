"""Subject: the network that is looked into, from a name or as it is."""

from __future__ import annotations

from pathlib import Path

from impasto import networks
from impasto.networks import Network
from impasto.networks.allocator import keep_freed_memory
from impasto.networks.device import DeviceName, pick_device
from impasto.networks.weights import Download


def subject(
    network: Network | str,
    weights: Path | None = None,
    device: DeviceName = "auto",
    download: Download | None = None,
) -> Network:
    """The network, on the device.

    Args:
        network: A network as it is, or a name of the catalogue.
        weights: A file of weights instead of the published ones, for a name.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: No such network, or a file that does not hold its weights.
        ImpastoError: The weights cannot be downloaded.
    """
    keep_freed_memory()
    if isinstance(network, str):
        network = networks.load(network, weights=weights, progress=download)
    return network.to(pick_device(device))
