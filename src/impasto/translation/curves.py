"""Curves: how the loss and the scores of a run went, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from impasto.images.replace import replace_file

SMOOTHING = 50  # steps over which the loss of single steps is averaged
LOGARITHMIC = 2.5  # times by which a loss falls that is drawn over a logarithmic axis


def draw_curves(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the records of a run: the loss over steps and its mean in each epoch, and each validation score (PNG).

    Args:
        records: As ``metrics.jsonl`` has them.
        path: Where to.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    done = [record for record in records if "loss" in record or record["kind"] == "epoch"]  # each of them is a step
    steps = [(step, record["loss"]) for step, record in enumerate(done, 1) if "loss" in record]
    means = [(step, record["train_loss"]) for step, record in enumerate(done, 1) if "train_loss" in record]
    losses = [loss for _, loss in steps]
    epochs = [record for record in records if record["kind"] == "epoch"]
    names = sorted({key for record in epochs for key in record if key.startswith("valid_")})
    figure = Figure(figsize=(4 * (1 + len(names)), 3), layout="constrained")
    axes = figure.subplots(1, 1 + len(names), squeeze=False)[0]
    smooth = [sum(part) / len(part) for part in (losses[max(0, i + 1 - SMOOTHING) : i + 1] for i in range(len(losses)))]
    axes[0].plot([step for step, _ in steps], smooth)
    axes[0].plot([step for step, _ in means], [loss for _, loss in means], ".")
    axes[0].set(title=f"loss (mean of {SMOOTHING} steps)", xlabel="step; points: means of epochs")
    shown = [loss for _, loss in means] + smooth
    if shown and 0 < LOGARITHMIC * min(shown) < max(shown):
        axes[0].set_yscale("log")
    else:
        axes[0].ticklabel_format(axis="y", useOffset=False)
    for axis, name in zip(axes[1:], names, strict=True):
        there = [(number, record[name]) for number, record in enumerate(epochs, 1) if name in record]
        axis.plot(*zip(*there, strict=True), marker=".")
        axis.set(title=name.removeprefix("valid_") + " (validation)", xlabel="epoch")
        axis.ticklabel_format(axis="y", useOffset=False)
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    replace_file(path, drawn.getvalue())
