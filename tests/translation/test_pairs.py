"""Pairs: the same each time whatever the batch and the start, and what they are judged by."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.losses.pixel import PIXEL_LOSSES
from impasto.translation import degrade
from impasto.translation import pairs as room
from impasto.translation.degrade.gray import luma
from impasto.translation.metrics import psnr, ssim
from impasto.translation.pairs import VALID_SIDE, Batch, PairTask, validation_pairs
from impasto.translation.pictures import Pictures

CPU = torch.device("cpu")
L1 = PIXEL_LOSSES["l1"]
NOISY = degrade.parse("noise:5-20 jpeg:30-90@0.7")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """Five pictures; the mean of each tells which it is."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(5):
        levels = np.random.default_rng(number).integers(0, 20, (36 + number, 44, 3)) + 45 * number
        Image.fromarray(levels.astype("u1")).save(folder / f"{number}.png")
    return Pictures(sorted(folder.iterdir()), memory=2**24)


def task(pictures: Pictures, **settings: Any) -> PairTask:
    return PairTask(
        pictures, settings.pop("recipe", NOISY), L1, CPU, **{"size": 16, "crops": 2, "batch_size": 2} | settings
    )


def joined(task: PairTask, epoch: int = 0, start: int = 0) -> Batch:
    bad, good = zip(*task.batches(epoch, start), strict=True)
    return torch.cat(bad), torch.cat(good)


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def which(good: Tensor) -> list[int]:
    """The numbers of the pictures that crops are of."""
    return [round((float(crop.mean()) * 255 - 9.5) / 45) for crop in good]


# What is learnt


def test_an_epoch_is_the_same_each_time_and_other_ones_are_others(pictures: Pictures) -> None:
    first = joined(task(pictures))
    assert first[0].shape == first[1].shape == (10, 3, 16, 16)
    assert same(first, joined(task(pictures)))
    for other in (joined(task(pictures), 1), joined(task(pictures, seed=1)), joined(task(pictures, first_epoch=1))):
        assert not any(torch.equal(a, b) for a, b in zip(first[1], other[1], strict=True))
    assert same(joined(task(pictures, first_epoch=3), 1), joined(task(pictures), 4)), "each stage goes on with epochs"
    single = Pictures(pictures.paths[:1], memory=2**24)
    one, other = (joined(task(single, crops=4, seed=seed))[1] for seed in (0, 1))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_epoch_goes_on_from_any_start(pictures: Pictures) -> None:
    one = task(pictures)
    whole = list(one.batches(2, 0))
    assert len(whole) == one.steps == 5
    for start in range(6):
        assert all(same(a, b) for a, b in zip(one.batches(2, start), whole[start:], strict=True))
    for number, batch in enumerate(whole):
        assert same(one.batch(2 * 5 + number), batch)


def test_a_crop_does_not_depend_on_the_batch_it_is_in(pictures: Pictures) -> None:
    alone = joined(task(pictures, batch_size=1))
    for size in (2, 5, 10):
        assert same(joined(task(pictures, batch_size=size)), alone)
    uneven = joined(task(pictures, batch_size=4))
    assert same(uneven, (alone[0][:8], alone[1][:8])), "what fills no batch is left out"


def test_every_picture_comes_before_any_comes_again(pictures: Pictures) -> None:
    orders = []
    for epoch in range(3):
        numbers = which(joined(task(pictures, crops=4), epoch)[1])
        assert len(numbers) == 20
        for start in range(0, 20, 5):
            assert sorted(numbers[start : start + 5]) == list(range(5))
        assert len({tuple(numbers[start : start + 5]) for start in range(0, 20, 5)}) > 1, "in ever new orders"
        orders.append(tuple(numbers))
    assert len(set(orders)) == 3


def test_few_pictures_fill_a_large_batch(pictures: Pictures) -> None:
    few = task(pictures, crops=1, batch_size=12)
    assert few.steps == 1 and sorted(which(joined(few)[1])) == sorted(
        [*range(5), *range(5), *which(joined(few)[1])[10:]]
    )
    assert len({crop.numpy().tobytes() for crop in joined(few)[1]}) == 12


def test_the_bad_one_is_the_recipe_s_of_the_good_one(pictures: Pictures) -> None:
    small = joined(task(pictures, recipe=degrade.parse("bicubic:4"), size=32))
    assert small[0].shape == (10, 3, 8, 8)
    assert torch.equal(small[0], degrade.parse("bicubic:4")(small[1], list(range(10))))
    noisy = joined(task(pictures, recipe=degrade.parse("noise:10")))
    strays = (noisy[0] - noisy[1]).flatten(1)
    assert (torch.corrcoef(strays) - torch.eye(10)).abs().max() < 0.3, "noise of each crop's own"


def test_some_crops_are_gray_and_else_the_same(pictures: Pictures) -> None:
    plain, colour = joined(task(pictures, crops=8))[1], joined(task(pictures, crops=8, gray=0.5))
    gray = [bool((one == one[:1]).all()) for one in colour[1]]
    assert 8 <= sum(gray) <= 32
    for is_gray, one, before in zip(gray, colour[1], plain, strict=True):
        assert torch.equal(one, luma(before[None])[0].expand(3, -1, -1) if is_gray else before)
    assert (joined(task(pictures, gray=1.0))[1].std(1) == 0).all()
    assert same(joined(task(pictures, gray=0.5, batch_size=1)), joined(task(pictures, gray=0.5)))


def test_crops_are_turned_only_where_it_may_be(pictures: Pictures) -> None:
    for turns in (True, False):
        wanted = [pictures.crop(0, 16, seed, turns=turns) for seed in range(8)]
        assert same(
            (torch.stack(wanted),), (torch.stack([pictures.crop(0, 16, seed, turns=turns) for seed in range(8)]),)
        )  # type: ignore[arg-type]
    assert not same(joined(task(pictures)), joined(task(pictures, turns=False)))


def test_more_threads_make_the_same_batches_in_the_same_order(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = Pictures(pictures.paths, memory=3 * 40 * 44 * 2, zooms=(1.0, 0.75))
    how: dict[str, Any] = {"batch_size": 1, "crops": 4}
    alone = joined(task(tight, **how))
    monkeypatch.setattr(room, "_makers", lambda: 4)
    assert same(joined(task(tight, **how)), alone)
    assert tight._used == sum(one.numel() for one in tight._kept.values())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_where_there_is_a_gpu_pictures_are_made_bad_on_it_by_the_same_seeds(pictures: Pictures) -> None:
    asked: list[str] = []

    class Heard:
        scale, multiple, steps = NOISY.scale, NOISY.multiple, NOISY.steps

        def __call__(self, images: Tensor, seeds: Any) -> Tensor:
            asked.append(images.device.type)
            return NOISY(images, seeds)

    there = replace(task(pictures, recipe=Heard()), device=torch.device("cuda"))
    bad, good = joined(there)
    own = joined(task(pictures))
    assert set(asked) == {"cuda"} and bad.is_cuda and torch.equal(good.cpu(), own[1])
    assert (bad.cpu() - own[0]).abs().mean() < 1e-3


def test_batches_that_are_not_asked_for_leave_no_thread_behind(pictures: Pictures) -> None:
    before = threading.active_count()
    batches = task(pictures).batches(0, 0)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_picture_that_cannot_be_read_stops_the_training_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(UsageError, match=r"bad\.png"):
        list(task(Pictures([tmp_path / "bad.png"], memory=1)).batches(0, 0))


def test_the_loss_is_the_criterion_s_in_single_precision(pictures: Pictures) -> None:
    one = task(pictures)
    bad, good = one.batch(0)
    assert torch.equal(one.loss(nn.Identity(), (bad, good)), L1(bad, good))
    heard: list[torch.dtype] = []
    listening = replace(one, criterion=lambda output, target: heard.append(output.dtype) or L1(output, target))
    listening.loss(lambda image: image.half(), (bad, good))  # type: ignore[arg-type]
    assert heard == [torch.float32]
    assert bad.is_contiguous(memory_format=torch.channels_last)


# What is judged by


def test_validation_pairs_are_always_the_same_middles(pictures: Pictures) -> None:
    pairs = validation_pairs(pictures, NOISY, seed=3)
    again = validation_pairs(pictures, NOISY, seed=3)
    assert len(pairs) == 5 and all(same(a, b) for a, b in zip(pairs, again, strict=True))
    assert not torch.equal(pairs[0][0], validation_pairs(pictures, NOISY, seed=4)[0][0])
    assert torch.equal(pairs[0][1], validation_pairs(pictures, NOISY, seed=4)[0][1]), (
        "chance spoils, it does not choose"
    )
    assert len(validation_pairs(pictures, NOISY, seed=3, most=2)) == 2
    fewer = validation_pairs(pictures, NOISY, seed=3, most=2)
    assert all(same(a, b) for a, b in zip(pairs, fewer, strict=False))
    assert not pairs[0][1].requires_grad
    noise = [(bad - good).flatten()[:2000] for bad, good in validation_pairs(pictures, degrade.parse("noise:10"), 0)]
    assert (torch.corrcoef(torch.stack(noise)) - torch.eye(5)).abs().max() < 0.3, "noise of each picture's own"


def test_large_pictures_are_cut_to_their_middle_and_to_multiples(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (300, 70, 3)).astype("u1")
    Image.fromarray(levels).save(tmp_path / "tall.png")
    ((bad, good),) = validation_pairs(Pictures([tmp_path / "tall.png"], memory=1), degrade.parse("bicubic:3"), 0)
    assert good.shape == (1, 3, 255, 69) and bad.shape == (1, 3, 85, 23) and VALID_SIDE == 256
    whole = torch.from_numpy(levels).permute(2, 0, 1)[None] / 255
    assert torch.equal(good, whole[..., 22 : 22 + 255, 0:69])


@pytest.mark.parametrize("size", [(1, 1), (9, 9), (3, 80)])
@pytest.mark.parametrize("scale", [1, 8])
def test_the_smallest_pictures_can_be_judged_by(size: tuple[int, int], scale: int, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3)).astype("u1")).save(tmp_path / "small.png")
    recipe = degrade.parse("noise:20" if scale == 1 else f"bicubic:{scale}")
    small = Pictures([tmp_path / "small.png"], memory=1)
    one = task(small, recipe=recipe, valid=validation_pairs(small, recipe, 0))
    found = one.evaluate(nn.Upsample(scale_factor=scale, mode="nearest"))
    assert found.keys() == {"loss", "psnr", "ssim"} and found["psnr"] > 0


def test_scores_are_means_over_pictures_by_the_published_protocol(pictures: Pictures) -> None:
    recipe = degrade.parse("bicubic:2")
    pairs = validation_pairs(pictures, recipe, 0)
    enlarge = nn.Upsample(scale_factor=2, mode="bilinear")
    found = task(pictures, recipe=recipe, valid=pairs).evaluate(enlarge)
    rows = [(enlarge(bad), good) for bad, good in pairs]
    assert found["psnr"] == pytest.approx(np.mean([float(psnr(a, b, border=2)[0]) for a, b in rows]))
    assert found["ssim"] == pytest.approx(np.mean([float(ssim(a, b, border=2)[0]) for a, b in rows]))
    assert found["loss"] == pytest.approx(np.mean([float(L1(a, b)) for a, b in rows]))
    assert found["psnr"] != pytest.approx(np.mean([float(psnr(a, b)[0]) for a, b in rows]), abs=1e-6)


def test_a_picture_of_the_same_size_is_judged_to_its_border(pictures: Pictures) -> None:
    pairs = validation_pairs(pictures, NOISY, 0, most=1)
    found = task(pictures, valid=pairs).evaluate(nn.Identity())
    assert found["psnr"] == pytest.approx(float(psnr(*pairs[0])[0]))


def test_what_judges_is_not_rounded_where_the_network_is(pictures: Pictures) -> None:
    heard: list[bool] = []
    pairs = validation_pairs(pictures, NOISY, 0, most=1)

    def listening(output: Tensor, target: Tensor) -> Tensor:
        heard.append(torch.is_autocast_enabled("cpu"))
        return L1(output, target)

    with torch.autocast("cpu", torch.bfloat16):
        replace(task(pictures, valid=pairs), criterion=listening).evaluate(nn.Conv2d(3, 3, 1))
    assert heard == [False]


def test_a_colorization_is_judged_by_its_colours(pictures: Pictures) -> None:
    recipe = degrade.parse("colorize")
    one = task(pictures, recipe=recipe, valid=validation_pairs(pictures, recipe, 0), colours=True)
    assert one.evaluate(nn.Identity()).keys() == {"loss", "psnr_chroma", "colourfulness"}


def test_without_validation_pictures_there_are_no_scores(pictures: Pictures) -> None:
    assert task(pictures).evaluate(nn.Identity()) == {}
