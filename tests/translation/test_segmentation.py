"""Segmentation: crops of pictures and masks that stay together, weights of classes, and the colours of labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.translation.masks import IGNORED, Masked
from impasto.translation.segmentation import (
    Example,
    SegmentationTask,
    class_weights,
    coloured,
    counted,
    palette,
    pixels_of,
    read_examples,
)

CPU = torch.device("cpu")


def columns(height: int, width: int) -> Example:
    """A picture whose red says the column, green the row, and a mask that says the column too."""
    across, down = torch.arange(width).expand(height, width), torch.arange(height)[:, None].expand(height, width)
    return torch.stack([across, down, torch.zeros(height, width)]).to(torch.uint8), across.to(torch.uint8)


def labelled(*labels: list[int]) -> list[Example]:
    return [(torch.zeros(3, 1, len(row), dtype=torch.uint8), torch.tensor([row], dtype=torch.uint8)) for row in labels]


def task(examples: list[Example], **settings: Any) -> SegmentationTask:
    return SegmentationTask(examples, [], torch.ones(64), CPU, **{"size": 16, "batch_size": 2} | settings)


def batches(task: SegmentationTask, epoch: int = 0, start: int = 0) -> tuple[Tensor, Tensor]:
    pictures, labels = zip(*task.batches(epoch, start), strict=True)
    return torch.cat(pictures), torch.cat(labels)


@pytest.fixture
def examples() -> list[Example]:
    return [columns(24 + n, 30 - n) for n in range(4)]


# Crops


def test_picture_and_mask_are_cut_and_mirrored_together(examples: list[Example]) -> None:
    pictures, labels = batches(task(examples, crops=40))
    assert pictures.shape == (160, 3, 16, 16) and labels.shape == (160, 16, 16) and labels.dtype == torch.int64
    assert torch.equal((pictures[:, 0] * 255).round().long(), labels)
    steps = labels.diff(dim=-1)
    mirrored = [bool((one == -1).all()) for one in steps]
    assert all(bool((one == 1).all()) or flipped for one, flipped in zip(steps, mirrored, strict=True))
    assert 50 <= sum(mirrored) <= 110
    assert bool(((pictures[:, 1] * 255).diff(dim=-2).round() == 1).all()), "never upside down"
    assert {int(one.min()) for one in labels} >= {0, 14}, "from border to border"


def test_zooms_keep_the_mask_on_its_picture() -> None:
    for zoom in (0.25, 0.5, 0.75, 0.6):
        pictures, labels = batches(task([columns(64, 60)], crops=8, zooms=(zoom,), size=14))
        strays = (pictures[:, 0] * 255 - labels).abs()[..., 2:-2]
        assert float(strays.max()) <= 0.51, zoom
        steps = labels.diff(dim=-1).abs().float().mean()
        assert float(steps) == pytest.approx(1 / zoom, rel=0.1)


def test_beyond_the_border_the_picture_goes_on_and_labels_are_void() -> None:
    pictures, labels = batches(task([columns(10, 40)], crops=6))
    for picture, label in zip(pictures, labels, strict=True):
        assert bool((label[10:] == IGNORED).all()) and bool((label[:10] < 40).all())
        assert torch.equal(picture[:, 10:], picture[:, 9:10].expand(-1, 6, -1))


def test_an_epoch_is_the_same_each_time_from_any_start_in_any_batch(examples: list[Example]) -> None:
    def same(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
        return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    how = {"crops": 3, "zooms": (0.75, 1.0)}
    first = batches(task(examples, **how))
    assert len(first[0]) == 12 and same(first, batches(task(examples, **how)))
    assert same(first, batches(task(examples, batch_size=4, **how)))
    assert same((first[0][8:], first[1][8:]), batches(task(examples, **how), 0, 4))
    for other in (task(examples, seed=1, **how), task(examples, first_epoch=1, **how)):
        assert not same(first, batches(other))
    assert same(batches(task(examples, first_epoch=2, **how), 1), batches(task(examples, **how), 3))


def test_every_picture_comes_before_any_comes_again(examples: list[Example]) -> None:
    for number, (pixels, _) in enumerate(examples):
        pixels[2] = number
    pictures, _ = batches(task(examples, crops=3))
    order = [round(float(one[2].max()) * 255) for one in pictures]
    assert all(sorted(order[start : start + 4]) == [0, 1, 2, 3] for start in (0, 4, 8))
    few = task(examples, crops=1, batch_size=11)
    assert few.steps == 1 and len(batches(few)[0]) == 11


# The loss


def test_void_pixels_cost_nothing() -> None:
    torch.manual_seed(0)
    scores, labels = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randint(0, 3, (2, 4, 4))
    void = torch.rand(2, 4, 4) < 0.5
    one = SegmentationTask([], [], torch.ones(3), CPU, 4)
    loss = one.loss(lambda _: scores, (labels, labels.masked_fill(void, IGNORED)))  # type: ignore[arg-type]
    flat = scores.permute(0, 2, 3, 1)[~void]
    assert loss.item() == pytest.approx(F.cross_entropy(flat, labels[~void]).item(), rel=1e-5)
    loss.backward()
    assert scores.grad is not None and not scores.grad.permute(0, 2, 3, 1)[void].any()
    nothing = one.loss(lambda _: scores, (labels, torch.full_like(labels, IGNORED)))  # type: ignore[arg-type]
    assert float(nothing) == 0


def test_weights_are_those_of_the_true_classes() -> None:
    weights = torch.tensor([0.5, 2.0])
    scores, labels = torch.randn(1, 2, 3, 3), torch.randint(0, 2, (1, 3, 3))
    one = SegmentationTask([], [], weights, CPU, 3)
    wanted = F.cross_entropy(scores, labels, weight=weights)
    assert float(one.loss(lambda _: scores, (labels, labels))) == pytest.approx(float(wanted), rel=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_class_weights_have_a_mean_of_one_over_the_pixels(balance: float) -> None:
    examples = labelled([0, 0, 0, 0, 0, 0, 1, 255], [0, 0, 0, 3, 3, 255, 255, 9])
    weights = class_weights(examples, 4, balance)
    counts = torch.tensor([9.0, 1, 0, 2])
    assert float((weights * counts).sum() / counts.sum()) == pytest.approx(1)
    assert weights[2] == 0, "what is never there weighs nothing"
    assert float(weights[1] / weights[0]) == pytest.approx(9**balance)
    assert float(weights[3] / weights[0]) == pytest.approx(4.5**balance)
    assert pixels_of(examples)[[0, 1, 2, 3, 9, 255]].tolist() == [9, 1, 0, 2, 1, 3]


def test_scores_are_over_whole_pictures_of_any_size() -> None:
    examples = [columns(5, 8), columns(9, 4)]

    class Half(nn.Module):
        """Says the column, and 0 for columns from the fourth on."""

        def forward(self, image: Tensor) -> Tensor:
            column = (image[:, 0] * 255).round().long()
            return F.one_hot(torch.where(column < 4, column, 0), 8).permute(0, 3, 1, 2).float() * 20

    counts = counted(Half(), examples, 8, CPU)
    assert counts.sum() == 5 * 8 + 9 * 4 and counts[:, 0].sum() == 5 + 9 + 4 * 5
    assert counts.diagonal().tolist() == [14, 14, 14, 14, 0, 0, 0, 0]
    one = SegmentationTask([], examples, torch.ones(8), CPU, 4)
    found = one.evaluate(Half())
    assert found["accuracy"] == pytest.approx(56 / 76) and found["miou"] == pytest.approx((14 / 34 + 3) / 8)
    losses = [float(one.loss(Half(), (p[None] / 255, m[None].long()))) for p, m in examples]
    assert found["loss"] == pytest.approx(sum(losses) / 2)
    assert task(examples).evaluate(Half()) == {}


# Files and colours


def test_void_labels_are_read_as_ignored_and_sizes_must_agree(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype("u1")
    labels = np.array([[0, 1, 2, 11, 255, 3]] * 4, dtype="u1")
    Image.fromarray(levels).save(tmp_path / "a.png")
    Image.fromarray(labels).save(tmp_path / "m.png")
    pairs = Masked((tmp_path / "a.png",), (tmp_path / "m.png",))
    ((pixels, found),) = read_examples(pairs, 11)
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), levels)
    assert found[0].tolist() == [0, 1, 2, 255, 255, 3]
    assert read_examples(pairs, None)[0][1][0].tolist() == [0, 1, 2, 11, 255, 3]
    assert read_examples(pairs, 0)[0][1][0].tolist() == [255, 1, 2, 11, 255, 3]
    Image.fromarray(labels[:, :5]).save(tmp_path / "m.png")
    with pytest.raises(UsageError, match=r"the mask .*m\.png is 5×4 and its picture 6×4: make them agree"):
        read_examples(pairs, None)


def test_colours_of_labels_are_told_apart() -> None:
    colours = palette(40)
    assert colours.shape == (40, 3) and colours.min() >= 0 and colours.max() <= 1
    distances = torch.cdist(colours, colours) + torch.eye(40)
    assert (
        distances.min() > 0.02
        and torch.cdist(colours[:12], colours[:12])[~torch.eye(12, dtype=torch.bool)].min() > 0.15
    )
    assert torch.equal(palette(12), colours[:12])


def test_a_picture_is_tinted_by_its_labels_and_void_is_dark() -> None:
    image = torch.full((1, 3, 1, 4), 0.5)
    image[..., 3] = torch.tensor([0.9, 0.3, 0.0])[:, None]  # whose mean is 0.4
    shown = coloured(image, torch.tensor([[0, 1, 255, 1]], dtype=torch.uint8), 2)
    wanted = torch.stack([0.225 + 0.55 * palette(2)[0], 0.225 + 0.55 * palette(2)[1], torch.full((3,), 0.225),
                          0.18 + 0.55 * palette(2)[1]], dim=1)  # fmt: skip
    assert torch.allclose(shown[0, :, 0], wanted, atol=1e-6)


def test_hidden_colours_are_not_learnt(tmp_path: Path) -> None:
    pixels = np.full((4, 6, 4), (200, 10, 10, 255), "u1")
    pixels[:, 3:] = (0, 0, 0, 0)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    Image.fromarray(np.zeros((4, 6), "u1")).save(tmp_path / "m.png")
    ((found, _),) = read_examples(Masked((tmp_path / "a.png",), (tmp_path / "m.png",)), None)
    assert found[:, 0].T.tolist() == [[200, 10, 10]] * 3 + [[255] * 3] * 3


def test_each_validation_picture_is_seen_once() -> None:
    class Counting(nn.Module):
        seen = 0

        def forward(self, image: Tensor) -> Tensor:
            self.seen += 1
            return torch.zeros(1, 8, *image.shape[-2:])

    model = Counting()
    found = SegmentationTask([], [columns(5, 8), columns(9, 4)], torch.ones(8), CPU, 4).evaluate(model)
    assert model.seen == 2 and found["loss"] == pytest.approx(np.log(8))
