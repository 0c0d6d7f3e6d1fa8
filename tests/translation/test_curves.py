"""Curves: a picture of how a run went, whatever has been noted by then."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from impasto.translation.curves import SMOOTHING, draw_curves

STEPS = [{"kind": "step", "step": step, "loss": 1 / step} for step in range(1, 120)]
EPOCHS = [
    {"kind": "epoch", "step": 40 * n, "train_loss": 1 / n, "valid_psnr": 30 + n, "valid_loss": 0.1 / n}
    for n in (1, 2, 3)
]


@pytest.mark.parametrize(
    ("records", "panels"),
    [
        (STEPS + EPOCHS, 3),
        (STEPS, 1),
        (EPOCHS[:1], 3),
        ([{"kind": "epoch", "step": 1, "train_loss": 0.5}], 1),
        ([{"kind": "step", "step": 1, "loss": 0.0}], 1),
        ([*STEPS[:2], {"kind": "epoch", "step": 2, "train_loss": 1.0}, *EPOCHS, {"kind": "watch", "content": 0.1}], 3),
        ([], 1),
    ],
    ids=["both", "steps", "epoch", "no-validation", "zero", "mixed", "nothing"],
)
def test_there_is_a_panel_for_the_loss_and_one_for_each_score(
    records: list[dict[str, Any]], panels: int, tmp_path: Path
) -> None:
    draw_curves(records, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG" and image.size == (360 * panels, 270)
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_what_is_drawn_is_what_was_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments: Any, **settings: Any) -> None:
        drawn.append(figure)
        save(figure, *arguments, **settings)

    monkeypatch.setattr(Figure, "savefig", keep)
    draw_curves(STEPS + EPOCHS, tmp_path / "curves.png")
    loss, *scores = drawn[0].axes
    smooth = loss.lines[0].get_ydata()
    assert len(smooth) == 119 and smooth[0] == 1 and smooth[9] == pytest.approx(sum(1 / n for n in range(1, 11)) / 10)
    assert smooth[-1] == pytest.approx(sum(1 / n for n in range(120 - SMOOTHING, 120)) / SMOOTHING)
    draw_curves([{"kind": "step", "loss": 0.0}, *STEPS], tmp_path / "curves.png")
    assert (loss.get_yscale(), drawn[1].axes[0].get_yscale()) == ("log", "linear"), "a loss of nothing has no logarithm"
    marks = [(list(line.get_xdata()), list(line.get_ydata())) for line in loss.lines]
    assert marks[1] == ([120, 121, 122], [1, 1 / 2, 1 / 3]), "the last step of an epoch is told by the epoch"
    assert [axis.get_title() for axis in scores] == ["loss (validation)", "psnr (validation)"]
    assert list(scores[1].lines[0].get_xdata()) == [1, 2, 3] and list(scores[1].lines[0].get_ydata()) == [31, 32, 33]


def test_epochs_of_a_single_step_have_a_loss_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    draw_curves(EPOCHS, tmp_path / "curves.png")
    points = drawn[0].axes[0].lines[1]
    assert list(points.get_xdata()) == [1, 2, 3] and list(points.get_ydata()) == [1, 1 / 2, 1 / 3]
    assert drawn[0].axes[0].get_yscale() == "log"
