"""Looks: where in its pictures a trained classifier finds what it says."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import impasto
from impasto.learning.predictions import Predictions
from impasto.learning.report.looks import Looks, looks_of
from impasto.learning.report.thumbnails import Thumbnail


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of pictures with a bright square on the left or on the right, in noise."""
    folder = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    for name, left in (("red", 8), ("blue", 40)):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(16):
            pixels = rng.integers(90, 130, (64, 64, 3), dtype=np.uint8)
            pixels[24:40, left : left + 16] = (220, 30, 30) if name == "red" else (30, 30, 220)
            Image.fromarray(pixels).save(folder / "data" / name / f"{number}.png")
    trained = impasto.classify(
        folder / "data", run=folder / "run", network="pocket", size=64, stages=("head:6",), augment=(), batch_size=8
    )
    return Path(trained.run)


def test_a_trained_classifier_looks_at_what_tells_its_classes_apart(run: Path) -> None:
    everything = Predictions.load(run / "predictions.parquet")
    looks = looks_of(run, everything.paths)
    assert looks is not None
    there = elsewhere = 0.0
    for row, path in enumerate(everything.paths):
        shown = looks.of(row, int(everything.log_probabilities[row].argmax()), Thumbnail("", 64, 64))
        assert shown is not None
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.source.split(",")[1]))), dtype=float)
        colour = pixels.max(2) - pixels.min(2)  # the picture is gray beneath the map
        left, right = colour[:, :32].sum(), colour[:, 32:].sum()
        there += left if "/red/" in path else right
        elsewhere += right if "/red/" in path else left
    assert there > 2 * elsewhere > 0 or there > elsewhere == 0


def test_the_report_shows_them_and_says_what_they_are(run: Path) -> None:
    page = (run / "report" / "index.html").read_text()
    assert 'class="look"' in page and "Grad-CAM" in page
    assert len(re.findall('tabindex="0"', page)) == page.count('class="look"')


def test_without_the_classifier_there_are_none(tmp_path: Path) -> None:
    assert looks_of(tmp_path, ()) is None


def test_a_picture_that_is_gone_has_none(run: Path, tmp_path: Path) -> None:
    assert Looks(run, (str(tmp_path / "gone.png"),)).of(0, 0, Thumbnail("", 64, 64)) is None
