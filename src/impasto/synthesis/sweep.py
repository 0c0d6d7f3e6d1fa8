"""Sweeps: one photograph painted with each value of an option, small, side by side, to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from jaxtyping import Float
from torch import Tensor

from impasto import networks
from impasto.losses.names import StyleLossName
from impasto.networks import Network
from impasto.runs.options_file import merge
from impasto.synthesis.calibration import Fitted
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.preparation import Source, read_input
from impasto.synthesis.run import cells
from impasto.synthesis.session import Listener, SynthesisResult
from impasto.synthesis.stylize import stylize

Swept = Literal["taps", "loss", "strength"]
SIZE = 256
COLUMNS = 4
STRENGTHS = (0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.95)

Rows = list[list[tuple[str, Float[Tensor, "1 3 h w"]]]]


def sweep(
    content: Source,
    styles: Sequence[Source],
    what: Swept,
    *,
    options: StyleTransferOptions | None = None,
    progress: Callable[[str], Listener | None] | None = None,
    **fields: Any,
) -> Rows:
    """Paint a photograph once for each value of an option.

    An interrupt (Ctrl-C) ends the sweep with the picture so far, its label followed by ``(interrupted)``.

    Args:
        content: The photograph.
        styles: The paintings.
        what: ``taps``: each of the network's layers alone, then all that it suggests; ``loss``: every style loss;
            ``strength``: from hardly any to nothing else.
        options: The other options; at 256 pixels if they name no size.
        progress: Called with the label of each picture; what it returns is called with every step.
        fields: Any field of :class:`StyleTransferOptions`.

    Returns:
        Rows of (label, picture) for :func:`impasto.images.contact_sheet.contact_sheet`.

    Raises:
        UsageError: As :func:`stylize`.
    """
    checked = merge(StyleTransferOptions, {"size": SIZE}, options, fields)
    photo = read_input("content", content, [])
    pictures = [read_input("style", style, []) for style in styles]
    shown = [("content", photo.pixels), *(("style", picture.pixels) for picture in pictures)]
    fitted: Fitted = {}

    def painted(label: str, changes: dict[str, Any]) -> SynthesisResult:
        listener = progress(label) if progress else None
        here = merge(StyleTransferOptions, checked, changes)
        return stylize(photo, pictures, options=here, progress=listener, fitted=fitted)

    made = cells((label, painted(label, changes)) for label, changes in _changes(what, checked))
    return [shown, *(made[start : start + COLUMNS] for start in range(0, len(made), COLUMNS))]


def _changes(what: Swept, options: StyleTransferOptions) -> list[tuple[str, dict[str, Any]]]:
    if what == "strength":
        return [(f"strength {value}", {"strength": value}) for value in STRENGTHS]
    if what == "loss":
        return [(name, {"loss": (name,), "loss_weights": ()}) for name in get_args(StyleLossName)]
    network = networks.load(options.network, weights=options.weights)
    single = [(tap, {"taps": (tap,)}) for tap in _layers(network)]
    return [*single, (", ".join(network.style_taps), {"taps": network.style_taps})]


def _layers(network: Network) -> Sequence[str]:
    return [name for name in network.aliases if name.startswith("relu")] or network.style_taps
