"""Plots of a classifier's results: figures of matplotlib, as PNG files or as drawings for a page in light and dark.

The colours are Okabe and Ito's (2008), which colour-blind eyes tell apart; a page puts its own shades in their place.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from impasto.learning.calibration import Bin
from impasto.learning.intervals import Interval
from impasto.learning.scores import Part, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, GRID, PAPER = "#1f2328", "#6b7178", "#dfe2e6", "#fefefe"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"

# What a page calls them: it has other shades of them in the dark.
VARIABLES = {
    INK: "--ink", FAINT: "--faint", GRID: "--line", PAPER: "--card",
    BLUE: "--blue", ORANGE: "--orange", GREEN: "--green", PURPLE: "--purple",
}  # fmt: skip

_STYLE: Any = {
    "font.size": 8.5,
    "svg.fonttype": "none",  # text stays text, in the page's own letters
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "axes.facecolor": "none",
    "axes.titlesize": 9.5,
}


def curves(records: Sequence[dict[str, Any]]) -> dict[str, Figure]:
    """The learning curves of ``metrics.jsonl``: ``loss``, ``accuracy`` and ``learning rate``, those that were noted."""
    steps, epochs, ends = _timeline(records)
    found: dict[str, Figure] = {}
    lines: dict[str, list[tuple[str, str, list[tuple[float, float]], bool]]] = {
        "loss": [
            ("each step, smoothed", GRID, _smooth(_points(steps, "loss")), False),
            ("train", BLUE, _points(epochs, "train_loss"), True),
            ("validation", ORANGE, _points(epochs, "valid_loss"), True),
        ],
        "accuracy": [("validation", ORANGE, _points(epochs, "valid_accuracy"), True)],
        "learning rate": [("learning rate", BLUE, _points(steps, "learning_rate"), False)],
    }
    for name, series in lines.items():
        if not any(points for _, _, points, _ in series):
            continue
        figure, axes = _figure(3.9, 2.5)
        for label, colour, points, marked in series:
            if points:
                x, y = zip(*points, strict=True)
                axes.plot(x, y, color=colour, lw=1.6, marker="o" if marked else None, ms=3.2, label=label)
        for end in ends[:-1]:
            axes.axvline(end, color=FAINT, lw=0.7, ls=(0, (2, 3)))
        axes.set_xlabel("step")
        if name == "accuracy":
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
        if name == "loss":
            axes.set_ylim(bottom=0)
        if sum(bool(points) for _, _, points, _ in series) > 1:
            axes.legend(frameon=False, fontsize=8, labelcolor=INK)
        found[name] = figure
    return found


def confusion(scores: Scores) -> Figure:
    """The confusion matrix: what each true class (row) was taken for, as parts of the row."""
    matrix = np.array(scores.confusion)
    k = len(matrix)
    side = min(9.0, max(3.4, 1.6 + 0.3 * k))
    figure, axes = _figure(side + 0.5, side, grid=False)
    parts = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    from matplotlib.patches import Rectangle

    for i, j in np.argwhere(matrix).tolist():
        colour = BLUE if i == j else ORANGE
        strength = 0.10 + 0.82 * parts[i, j]
        axes.add_patch(Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, facecolor=colour, alpha=strength, lw=0))
        if k <= 16:
            shade = PAPER if strength > 0.62 else INK
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", color=shade, fontsize=11 - 0.3 * k)
    axes.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), aspect="equal")
    names = [short(name, 18) for name in scores.classes]
    size = 8.5 if k <= 16 else 6.5
    upright = k > 4 or max(map(len, names)) > 8
    axes.set_xticks(range(k), names, rotation=90 if upright else 0, parse_math=False, fontsize=size)
    axes.set_yticks(range(k), names, parse_math=False, fontsize=size)
    axes.set_xlabel("said")
    axes.set_ylabel("true")
    return figure


def dots(parts: Sequence[Part], overall: Interval) -> Figure:
    """Accuracy with its interval, one row a class or a group, and a line at that over all."""
    figure, axes = _figure(4.6, 0.7 + 0.2 * len(parts))
    axes.axvline(overall.value, color=ORANGE, lw=1)
    for row, part in enumerate(parts):
        axes.plot([part.accuracy.low, part.accuracy.high], [row, row], color=BLUE, lw=1.6, alpha=0.5)
        axes.plot([part.accuracy.value], [row], "o", color=BLUE, ms=4)
    labels = [f"{short(part.name, 22)}  {part.n}" for part in parts]
    axes.set_yticks(range(len(parts)), labels, parse_math=False)
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
    axes.grid(axis="y", visible=False)
    return figure


def diagram(before: Sequence[Bin], after: Sequence[Bin] | None = None) -> Figure:
    """The reliability diagram: how often the classifier is right, by how sure it is.

    Args:
        before: Bins of the probabilities as they are.
        after: Of the calibrated ones.
    """
    figure, axes = _figure(3.9, 3.3)
    axes.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=(0, (2, 3)))
    series = [("as it is", ORANGE, "o", before), ("calibrated", BLUE, "s", after or ())]
    most = max((one.n for one in before), default=1)
    for label, colour, marker, bins in series:
        full = [one for one in bins if one.n]
        if not full:
            continue
        x, y = [one.confidence for one in full], [one.accuracy for one in full]
        axes.plot(x, y, color=colour, lw=1.2, alpha=0.4)
        sizes = [10 + 50 * (one.n / most) ** 0.5 for one in full]
        axes.scatter(x, y, sizes, color=colour, marker=marker, label=label, alpha=0.9, lw=0)
    low = min((one.low for _, _, _, bins in series for one in bins if one.n), default=0.0)
    axes.set(xlim=(low - 0.02, 1.02), ylim=(-0.03, 1.03), xlabel="probability of the class it says", ylabel="is right")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    if after:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower right")
    return figure


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file, on white."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # letters that matplotlib's own font does not have
        figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()


def svg(figure: Figure, name: str, about: str) -> str:
    """A figure as an SVG element for a page, whose colours are the page's variables.

    Args:
        figure: What is drawn.
        name: Another for each figure of a page, from which the identifiers in it are made.
        about: What is to be seen, for those who do not see it.
    """
    import matplotlib
    from markupsafe import escape

    buffer = io.StringIO()
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # the same in every figure, and nothing refers to them
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    width = figure.get_figwidth() * 72
    opening = f'<svg role="img" aria-label="{escape(about)}" style="--width:{width:.0f}px" '
    view = re.search(r'viewBox="[^"]*"', text)
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return opening + f"{view.group() if view else ''} {names}>" + text[text.index(">") + 1 :].strip()


def short(name: str, length: int) -> str:
    """A name of that length at most, its middle left out.

    >>> short("staffordshire_bull_terrier", 16)
    'stafford…terrier'
    """
    keep = length - 1
    return name if len(name) <= length else name[: keep - keep // 2] + "…" + name[len(name) - keep // 2 :]


def _figure(width: float, height: float, *, grid: bool = True) -> tuple[Figure, Axes]:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_visible(grid)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(color=GRID, lw=0.7)
    return figure, axes


def _timeline(records: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[int]]:
    """The records of steps and of epochs, and each stage's last step, with steps that count on over the stages."""
    steps: list[dict[str, Any]] = []
    epochs: list[dict[str, Any]] = []
    ends: list[int] = []
    before = 0
    noted = [one for one in records if one.get("kind") in ("step", "epoch") and isinstance(one.get("step"), int)]
    for stage in sorted({one.get("stage", 0) for one in noted}):
        here = [one for one in noted if one.get("stage", 0) == stage]
        own = min(one["step"] for one in here) <= before  # it counts from its own beginning
        for one in here:
            moved = {**one, "step": one["step"] + (before if own else 0)}
            (steps if one["kind"] == "step" else epochs).append(moved)
        before = max(one["step"] for one in here) + (before if own else 0)
        ends.append(before)
    return steps, epochs, ends


def _points(records: Sequence[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    pairs = ((one["step"], one.get(name)) for one in records)
    return [(step, float(y)) for step, y in pairs if isinstance(y, int | float) and np.isfinite(y)]


def _smooth(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A running mean over a fiftieth of the steps, thinned to 400 points."""
    if not points:
        return []
    x, y = np.array(points).T
    reach = max(1, len(y) // 50)
    total = np.cumsum(np.concatenate([[0.0], y]))
    last = np.arange(1, len(y) + 1)
    first = np.maximum(0, last - reach)
    mean = (total[last] - total[first]) / (last - first)
    step = max(1, len(y) // 400)
    return list(zip(x[::step].tolist(), mean[::step].tolist(), strict=True))
