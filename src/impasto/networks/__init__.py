"""networks: pretrained networks, their weights, their taps and their geometry."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from impasto.networks.loading import load, require
    from impasto.networks.network import Network
    from impasto.networks.taps import Taps

__all__ = ["Network", "Taps", "load", "require"]

_HOMES = {
    "Network": "impasto.networks.network",
    "Taps": "impasto.networks.taps",
    "load": "impasto.networks.loading",
    "require": "impasto.networks.loading",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: torch takes a second that ``--help`` has not got."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
