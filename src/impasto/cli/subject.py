"""The network that a command looks into: of the catalogue, or what a run of training has made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.networks import Network
    from impasto.networks.weights import Download


def load_subject(name: str, weights: Path | None = None, download: Download | None = None) -> Network:
    """The network of a name, or of the directory of a run of `impasto train classify`."""
    if Path(name, "manifest.json").is_file():
        if weights:
            raise UsageError(f"{name} is a run and has weights of its own: leave out --weights")
        from impasto.learning.trained_network import trained_network

        return trained_network(Path(name))
    from impasto.networks import load

    return load(name, weights=weights, progress=download)
