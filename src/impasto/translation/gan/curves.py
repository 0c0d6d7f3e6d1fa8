"""Curves: how an adversarial training went, drawn from its records, as a PNG file.

The line colours are Okabe and Ito's (2008), which colour-blind eyes tell apart.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, GRID = "#1f2328", "#6b7178", "#dfe2e6"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"

_STYLE: Any = {
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "axes.titlesize": 9.5,
}


def restoration_curves(records: Iterable[Mapping[str, Any]]) -> bytes:
    """What :func:`~impasto.translation.gan.adversary.train_adversarially` told: losses, the watch, and where it turned.

    Args:
        records: Its records; others are passed over.
    """
    records = list(records)
    steps = [one for one in records if one.get("kind") in ("critic", "step") and "trained" in one]
    watched = [one for one in records if one.get("kind") == "watch"]
    best = watched[watched[-1]["best"]]["step"] if watched else None

    def draw(figure: Figure) -> None:
        top, middle, lower, low = figure.subplots(4, 1, sharex=True)
        _line(top, steps, "critic_loss", BLUE, "critic's loss")
        _line(top, steps, "adversarial_loss", ORANGE, "generator's adversarial loss")
        _line(middle, watched, "ability", BLUE, "critic's ability", "o-")
        _line(middle, watched, "accuracy", GREEN, "critic's accuracy", "o-")
        _line(lower, watched, "content", INK, "content loss of validation pictures", "o-")
        _line(lower, watched, "distance", GREEN, "distance of their patches from real ones", "o-")
        _line(low, watched, "merit", ORANGE, "merit", "o-")
        for axes in (top, middle, lower, low):
            if best is not None:
                axes.axvline(best, color=FAINT, lw=1, ls=(0, (4, 2)))
            _plain(axes)
        low.set_xlabel("steps" if best is None else f"steps; the turn is at {best}")

    return _png(draw, (7.0, 8.2))


def noise_curves(records: Iterable[Mapping[str, Any]]) -> bytes:
    """How a training of pictures from noise went: the Wasserstein estimate, and the losses.

    Args:
        records: Its records; others are passed over.
    """
    steps = [one for one in records if one.get("kind") == "step"]

    def draw(figure: Figure) -> None:
        top, low = figure.subplots(2, 1, sharex=True)
        _line(top, steps, "wasserstein", BLUE, "Wasserstein estimate")
        _line(low, steps, "generator_loss", ORANGE, "generator's loss")
        _line(low, steps, "penalty", GREEN, "gradient penalty")
        for axes in (top, low):
            _plain(axes)
        low.set_xlabel("generator's steps")

    return _png(draw, (7.0, 4.6))


def _line(
    axes: Axes, records: Sequence[Mapping[str, Any]], name: str, colour: str, label: str, marks: str = "-"
) -> None:
    points = [(one["step"], one[name]) for one in records if name in one]
    if points:
        axes.plot(*zip(*points, strict=True), marks, color=colour, lw=1.2, ms=2.5, label=label)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    axes.grid(color=GRID, lw=0.7)
    if axes.lines:
        axes.legend(frameon=False, loc="best")


def _png(draw: Any, size: tuple[float, float]) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(buffer, format="png", dpi=140, facecolor="white")
    return buffer.getvalue()
