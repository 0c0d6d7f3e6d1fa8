"""Drawings of landscapes: curves along a line, contours and a relief over a plane, as PNG files.

The line colours are Okabe and Ito's (2008), which colour-blind eyes tell apart; heights are in viridis.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from impasto.inspection.landscape.chart import Chart, Way

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

INK, FAINT, GRID = "#1f2328", "#6b7178", "#dfe2e6"
BLUE, ORANGE, RED = "#0072b2", "#d55e00", "#c0392b"

WIDE = 50.0  # highest loss over lowest, from which on heights are drawn by their logarithm

_STYLE: Any = {
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "axes.titlesize": 9.5,
}


def draw(charts: Sequence[Chart], value: str = "loss") -> dict[str, bytes]:
    """The drawings of charts on one scale, side by side, as PNG files by name.

    Args:
        charts: All lines, or all planes.
        value: Which of their values is the height.

    Returns:
        ``curves`` of lines; ``contours`` and ``relief`` of planes.
    """
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        if charts[0].flat:
            return {"curves": _png(curves(charts))}
        return {"contours": _png(contours(charts, value)), "relief": _png(relief(charts, value))}


def curves(charts: Sequence[Chart]) -> Figure:
    """Loss and accuracy along a line, a column for each chart, on one scale."""
    figure = _figure(4.2 * len(charts), 2.9)
    logarithmic = wide(charts)
    shared: Any = None
    for number, chart in enumerate(charts, 1):
        axes = figure.add_subplot(1, len(charts), number, sharey=shared)
        shared = shared or axes
        _plain(axes)
        axes.plot(chart.grid.x, _finite(chart.values["loss"][0]), color=BLUE, lw=1.6, label="loss")
        axes.set(title=chart.title, xlabel=chart.axes[0])
        if logarithmic:
            axes.set_yscale("log")
        if number == 1:
            axes.set_ylabel("loss", color=BLUE)
        if chart.way:
            axes.plot(chart.way.points[:, 0], chart.way.losses, "o-", color=RED, ms=3, lw=0.8, label="training")
        if "accuracy" in chart.values:
            right = axes.twinx()
            _plain(right)
            right.plot(chart.grid.x, chart.values["accuracy"][0], color=ORANGE, lw=1.2, ls=(0, (4, 2)))
            right.set_ylim(0, 1.02)
            right.grid(visible=False)
            right.yaxis.set_major_formatter(lambda part, _: f"{100 * part:.0f} %")
            if number == len(charts):
                right.set_ylabel("accuracy", color=ORANGE)
    return figure


def contours(charts: Sequence[Chart], value: str = "loss") -> Figure:
    """Filled contours with lines of height, the same levels in each chart, and the way of the training."""
    figure = _figure(4.1 * len(charts) + 0.7, 3.9)
    norm, levels = _heights(charts, value)
    filled: Any = None
    everywhere = []
    for number, chart in enumerate(charts, 1):
        axes = figure.add_subplot(1, len(charts), number)
        everywhere.append(axes)
        _plain(axes, grid=False)
        heights = _finite(chart.values[value])
        filled = axes.contourf(chart.grid.x, chart.grid.y, heights, levels=levels, norm=norm, cmap="viridis")
        lines = axes.contour(
            chart.grid.x, chart.grid.y, heights, levels=levels[::4], colors="white", linewidths=0.6, alpha=0.8
        )
        axes.clabel(lines, fmt=_short, fontsize=6.5)
        if chart.way:
            _path(axes, chart.way)
        else:
            axes.plot(0, 0, "+", color="white", ms=8, mew=1.2)
        # equal steps in both directions look equal
        axes.set(title=chart.title, xlabel=chart.axes[0], ylabel=chart.axes[1], aspect="equal")
    bar = figure.colorbar(filled, ax=everywhere, shrink=0.85, pad=0.02, label=value)
    bar.outline.set_visible(False)  # type: ignore[operator]
    ticks = levels[:: max(1, len(levels) // 6)]
    bar.set_ticks(list(ticks), labels=[_short(level) for level in ticks])
    bar.ax.tick_params(length=0)
    bar.ax.minorticks_off()
    return figure


def relief(charts: Sequence[Chart], value: str = "loss") -> Figure:
    """The surface in space, seen from the same side and on the same scale in each chart."""
    figure = _figure(4.4 * len(charts), 4.0)
    norm, levels = _heights(charts, value)
    logarithmic = wide(charts, value)
    for number, chart in enumerate(charts, 1):
        axes: Any = figure.add_subplot(1, len(charts), number, projection="3d")
        heights = _finite(chart.values[value])
        z = np.log10(heights) if logarithmic else heights
        x, y = np.meshgrid(chart.grid.x, chart.grid.y)
        import matplotlib

        colours = matplotlib.colormaps["viridis"](norm(np.ma.masked_invalid(heights)))
        axes.plot_surface(
            x, y, z, facecolors=colours, rcount=101, ccount=101, lw=0.15, edgecolor=(0, 0, 0, 0.25), shade=True
        )
        ends = np.log10([levels[0], levels[-1]]) if logarithmic else (levels[0], levels[-1])
        axes.set(title=chart.title, zlim=tuple(ends))
        if logarithmic:
            axes.zaxis.set_major_formatter(lambda power, _: _short(10**power))
        axes.set_xlabel(chart.axes[0], fontsize=7)
        axes.set_ylabel(chart.axes[1], fontsize=7)
        axes.view_init(elev=32, azim=-58)
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.pane.set_facecolor((1, 1, 1, 0))
            axis._axinfo["grid"]["color"] = GRID
        axes.tick_params(labelsize=6.5, pad=-1)
        axes.set_box_aspect((1, 1, 0.75), zoom=0.92)
    return figure


def wide(charts: Sequence[Chart], value: str = "loss") -> bool:
    """Whether heights differ so much that only their logarithms can be drawn."""
    low, high = _ends(charts, value)
    return low > 0 and high / low > WIDE


def _heights(charts: Sequence[Chart], value: str) -> tuple[Normalize, np.ndarray]:
    """The scale of the colours, and 33 levels between the lowest and the highest of all charts."""
    from matplotlib.colors import LogNorm, Normalize

    low, high = _ends(charts, value)
    if wide(charts, value):
        return LogNorm(low, high), np.geomspace(low, high, 33)
    high = high if high > low else low + 1.0
    return Normalize(low, high), np.linspace(low, high, 33)


def _ends(charts: Sequence[Chart], value: str) -> tuple[float, float]:
    found = np.concatenate([one.values[value].ravel() for one in charts])
    found = found[np.isfinite(found)]
    return (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)


def _path(axes: Axes, way: Way) -> None:
    """The way of a training, from a hollow dot to a full one."""
    x, y = way.points.T
    axes.plot(x, y, color="white", lw=2.6, alpha=0.9)
    axes.plot(x, y, color=RED, lw=1.3)
    axes.scatter(x, y, 16, color=RED, edgecolor="white", linewidth=0.6, zorder=3)
    axes.scatter(x[:1], y[:1], 34, color="white", edgecolor=RED, linewidth=1.3, zorder=4)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _plain(axes: Axes, *, grid: bool = True) -> None:
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(color=GRID, lw=0.7)


def _finite(heights: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(heights), heights, np.nan)


def _short(value: float) -> str:
    """Two digits that count.

    >>> _short(0.01234), _short(12345.0)
    ('0.012', '1.2e+04')
    """
    return f"{value:.2g}"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # letters that matplotlib's own font does not have
        figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()
