"""Baselines: the dumb alternatives, which must not be better than they are, nor worse."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.errors import UsageError
from impasto.learning.baselines import baselines, load, save, small_pixels
from impasto.learning.manifest import Manifest

CLASSES = ("a", "b", "c")


def arrays(n: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that tell the class by a straight line, most of them noise."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(3, size=n)
    x = rng.normal(0, 1, (n, 40))
    x[np.arange(n), targets] += 4
    return x.astype(np.float32), targets


def test_linear_baselines_find_a_straight_line_and_the_majority_does_not() -> None:
    (x, y), (u, v) = arrays(), arrays(seed=1)
    found = {one.name: one for one in baselines(y, v, CLASSES, pixels=(x, u), class_scores=(x[:, :3], u[:, :3]))}
    assert list(found) == ["majority", "linear on pixels", "linear on class scores"]
    accuracies = {name: one.accuracy.value for name, one in found.items() if one.accuracy}
    assert accuracies["majority"] == (v == np.bincount(y).argmax()).mean()
    assert accuracies["linear on pixels"] > 0.9 and accuracies["linear on class scores"] > 0.9
    majority, linear = found["majority"].log_loss, found["linear on pixels"].log_loss
    assert majority is not None and linear is not None and linear < 0.4 < majority < 1.2


def test_noise_is_no_better_than_the_majority() -> None:
    _, y = arrays()
    _, v = arrays(seed=1)
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(240, 300)), rng.normal(size=(240, 300))
    majority, linear = baselines(y, v, CLASSES, pixels=noise)
    assert linear.accuracy and linear.accuracy.low < 0.4
    assert linear.log_loss is not None and majority.log_loss is not None
    assert linear.log_loss < majority.log_loss + 0.15  # the penalty is chosen to do little harm


def test_unlabelled_rows_are_left_out_and_a_missing_class_is_survived() -> None:
    (x, y), (u, v) = arrays(60), arrays(60, seed=1)
    y[y == 2] = -1
    v[:5] = -1
    for one in baselines(y, v, CLASSES, pixels=(x, u), groups=["g", None] * 30):
        assert one.accuracy and 0 <= one.accuracy.value < 0.85
        assert one.log_loss is not None and np.isfinite(one.log_loss)
    with pytest.raises(UsageError, match="there are none"):
        baselines(np.full(3, -1), v, CLASSES)


def test_the_mean_box_is_scored_by_its_overlap() -> None:
    _, y = arrays(10)
    train = np.tile(np.array([0, 0, 0.5, 1.0], "f4"), (10, 1))
    train[3] = np.nan
    test = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1], [np.nan] * 4], "f4")
    found = baselines(y, y[:3], CLASSES, boxes=(train, test))[-1]
    assert found.name == "mean box" and found.accuracy is None
    assert found.iou and found.iou.value == pytest.approx(0.5)


def test_baselines_are_read_as_they_were_written(tmp_path: Path) -> None:
    (x, y), (u, v) = arrays(60), arrays(60, seed=1)
    found = baselines(y, v, CLASSES, pixels=(x, u))
    save(found, tmp_path / "baselines.json")
    assert load(tmp_path / "baselines.json") == found
    (tmp_path / "baselines.json").write_text('{"name": 1}')
    with pytest.raises(UsageError, match="holds no baselines"):
        load(tmp_path / "baselines.json")


def test_small_pictures_have_the_colours_of_the_picture(tmp_path: Path) -> None:
    Image.new("RGB", (60, 30), (255, 0, 51)).save(tmp_path / "a.png")
    Image.new("L", (9, 9), 102).save(tmp_path / "b.png")
    rows = small_pixels(Manifest.from_rows([{"path": "a.png"}, {"path": "b.png"}], tmp_path))
    assert rows.shape == (2, 768) and rows.dtype == np.float32
    assert rows[0].reshape(3, -1).mean(1) == pytest.approx([1, 0, 0.2], abs=0.01)
    assert rows[1].min() == pytest.approx(0.4, abs=0.01) == rows[1].max()
