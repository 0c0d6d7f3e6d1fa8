"""impasto: paint with, look inside, restore with and retrain pretrained image networks."""

from importlib import import_module
from typing import TYPE_CHECKING

from impasto.errors import ImpastoError, UsageError

if TYPE_CHECKING:
    from impasto.images import Picture, read, write
    from impasto.synthesis.options import StyleTransferOptions
    from impasto.synthesis.rerun import rerun
    from impasto.synthesis.stylize import StyleTransferResult, stylize

__version__ = "0.1.0"

__all__ = [
    "ImpastoError",
    "Picture",
    "StyleTransferOptions",
    "StyleTransferResult",
    "UsageError",
    "read",
    "rerun",
    "stylize",
    "write",
]

_HOMES = {
    "Picture": "impasto.images",
    "StyleTransferOptions": "impasto.synthesis.options",
    "StyleTransferResult": "impasto.synthesis.stylize",
    "read": "impasto.images",
    "rerun": "impasto.synthesis.rerun",
    "stylize": "impasto.synthesis.stylize",
    "write": "impasto.images",
}


def __getattr__(name: str) -> object:
    """Import a verb when it is first used: torch takes a second that ``import impasto`` has not got."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
