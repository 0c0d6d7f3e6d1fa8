"""Plots: figures that are right, in files and on pages."""

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from impasto.learning import plots
from impasto.learning.calibration import reliability
from impasto.learning.intervals import Interval
from impasto.learning.predictions import Predictions
from impasto.learning.scores import Part, score

RECORDS = [
    {"kind": "step", "stage": stage, "step": step, "loss": 1.0, "learning_rate": 1e-3}
    for stage in (0, 1)
    for step in range(1, 11)
] + [{"kind": "epoch", "stage": 1, "step": 10, "valid_loss": 0.5, "valid_accuracy": 0.9}]


def test_steps_count_on_over_stages_that_begin_anew() -> None:
    figures = plots.curves(RECORDS)
    assert set(figures) == {"loss", "accuracy", "learning rate"}
    x = figures["learning rate"].axes[0].lines[0].get_xdata()
    assert list(x) == list(range(1, 21))
    assert list(figures["accuracy"].axes[0].lines[0].get_xdata()) == [20]


def test_losses_that_are_no_numbers_are_left_out() -> None:
    records = [{"kind": "step", "step": i, "loss": float("nan")} for i in range(3)]
    assert plots.curves(records) == {} == plots.curves([])


@pytest.mark.parametrize("k", [2, 37])
def test_a_drawing_is_well_formed_and_has_no_colours_of_its_own(k: int) -> None:
    names = ('<b> & "q" $x$', *(f"class {i}" for i in range(1, k)))
    rng = np.random.default_rng(0)
    logs = np.log(rng.dirichlet(np.ones(k), 200)).astype("f4")
    one = Predictions(names, logs, ("",) * 200, rng.integers(k, size=200), (None,) * 200, ("test",) * 200)
    text = plots.svg(plots.confusion(score(one)), "confusion", 'about "<this>"')
    root = ET.fromstring(text)
    assert root.attrib["aria-label"] == 'about "<this>"'
    words = {"".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")}
    assert '<b> & "q" $x$' in words
    assert "var(--blue)" in text and plots.BLUE not in text and plots.INK not in text


def test_the_two_drawings_of_a_page_share_no_identifier() -> None:
    figure = plots.dots([Part("a", 3, Interval(0.5, 0.2, 0.8))], Interval(0.5, 0.4, 0.6))
    ids = [
        {node.attrib["id"] for node in ET.fromstring(plots.svg(figure, name, "")).iter() if "id" in node.attrib}
        for name in ("one", "two")
    ]
    assert ids[0] and not ids[0] & ids[1]


def test_png_files_are_pictures_and_the_same_each_time() -> None:
    p = np.random.default_rng(0).dirichlet((1, 1, 1), 50)
    first, again = (
        plots.png(plots.diagram(reliability(p, p.argmax(1)), reliability(p, p.argmax(1)))) for _ in range(2)
    )
    assert Image.open(io.BytesIO(first)).size[0] > 400
    assert again == first
