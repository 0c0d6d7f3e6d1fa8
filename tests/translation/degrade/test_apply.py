"""Recipes applied: seeds, batches, sizes, ranges, and every operation's bounds."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from impasto.images import read
from impasto.translation.degrade import parse
from impasto.translation.degrade.apply import CHANGES
from impasto.translation.degrade.draw import plan
from impasto.translation.degrade.operations import OPERATIONS
from impasto.translation.degrade.presets import PRESETS
from impasto.translation.degrade.sizes import RESIZING

EVERY = [name + (" enlarge" if name in RESIZING else "") for name in OPERATIONS]
RECIPES = [
    *EVERY,
    "crappify-gan",
    "jpeg-denoise",
    "real-esrgan:2",
    "blur,across=1-3,angle=-180-180,profile=plateau,beta=0.5-2",
]


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Smooth pictures with some texture: (4, 3, 36, 44)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 36), torch.linspace(0, 1, 44), indexing="ij")
    smooth = torch.stack([torch.stack([x**k, y**k, 1 - x * y * k / 5]) for k in range(1, 5)])
    return (smooth + 0.1 * torch.rand(4, 3, 36, 44, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


class TestChance:
    @pytest.mark.parametrize("text", RECIPES)
    def test_a_picture_depends_on_its_own_seed_only(self, text: str, images: torch.Tensor) -> None:
        recipe, seeds = parse(text), [3, 2**63 - 1, 5, 8]
        together = recipe(images, seeds)
        for some in ([2, 0], [1], [3, 3, 1]):
            assert torch.equal(recipe(images[some], [seeds[i] for i in some]), together[some])

    @pytest.mark.parametrize("text", RECIPES)
    def test_results_are_colours_of_the_right_size_without_gradients(self, text: str, images: torch.Tensor) -> None:
        recipe, before = parse(text), images.clone()
        bad = recipe(images.clone().requires_grad_(), [0, 1, 2, 3])
        assert bad.dtype == torch.float32 and not bad.requires_grad
        assert bad.shape == (4, 3, 36 // recipe.scale, 44 // recipe.scale)
        assert bad.min() >= 0 and bad.max() <= 1 and bad.isfinite().all()
        assert torch.equal(images, before)

    @pytest.mark.parametrize("text", ["noise:20", "poisson:2", "text", "watermark", "jpeg:5-20", "blur:1-3"])
    def test_another_seed_gives_another_picture(self, text: str, images: torch.Tensor) -> None:
        one, other = parse(text)(images[:1].expand(2, -1, -1, -1), [1, 2])
        assert not torch.equal(one, other)

    def test_what_a_step_draws_does_not_depend_on_the_other_steps(self) -> None:
        alone, followed = plan(parse("noise:0-50").steps, 7), plan(parse("noise:0-50 jpeg@0.5 gray").steps, 7)
        assert alone[0].values == followed[0].values

    def test_the_same_step_twice_draws_twice(self, images: torch.Tensor) -> None:
        first, second = plan(parse("noise:0-50 noise:0-50").steps, 7)
        assert first.values != second.values

    def test_a_step_that_is_never_taken_changes_no_bit(self, images: torch.Tensor) -> None:
        assert torch.equal(parse("noise:50@0")(images, range(4)), images)

    def test_a_batch_of_none_stays_one(self) -> None:
        assert parse("down:2 jpeg")(torch.rand(0, 3, 8, 8), []).shape == (0, 3, 4, 4)

    def test_too_few_seeds_are_refused(self, images: torch.Tensor) -> None:
        with pytest.raises(ValueError, match="4 pictures need as many seeds, not 1"):
            parse("gray")(images, [0])

    def test_no_random_state_of_torch_is_touched(self, images: torch.Tensor) -> None:
        before = torch.random.get_rng_state()
        parse("real-esrgan:2")(images, range(4))
        assert torch.equal(torch.random.get_rng_state(), before)


class TestRanges:
    def drawn(self, text: str, key: str, count: int = 400) -> list[float]:
        steps = parse(text).steps
        return [plan(steps, seed)[0].values[key] for seed in range(count)]

    def test_numbers_lie_in_their_range_and_fill_it(self) -> None:
        values = self.drawn("noise:10-30", "sigma")
        assert 10 <= min(values) < 10.5 and 29.5 < max(values) < 30
        assert abs(np.mean(values) - 20) < 4 * 5.8 / 20  # four deviations of the mean of 400

    def test_whole_numbers_include_both_ends(self) -> None:
        counts = Counter(self.drawn("jpeg:3-6", "quality"))
        assert set(counts) == {3, 4, 5, 6} and min(counts.values()) > 60

    def test_ratios_are_as_likely_everywhere(self) -> None:
        values = np.array(self.drawn("noise:1~100", "sigma"))
        assert values.min() >= 1 and values.max() <= 100
        assert abs((values < 10).mean() - 0.5) < 0.1
        assert set(self.drawn("jpeg:1~4", "quality")) == {1, 2, 3, 4}

    def test_exponents_are_as_often_below_one_as_above(self) -> None:
        values = np.array(self.drawn("blur,profile=generalised,beta=0.5-4", "beta"))
        assert values.min() >= 0.5 and values.max() <= 4
        assert abs((values < 1).mean() - 0.5) < 0.1

    def test_words_and_chances_are_drawn_as_often_as_is_said(self) -> None:
        counts = Counter(self.drawn("jpeg,chroma=420/444", "chroma"))
        assert set(counts) == {"420", "444"} and min(counts.values()) > 150
        assert abs(np.mean(self.drawn("noise,gray=0.25", "gray")) - 0.25) < 0.1

    def test_steps_groups_and_their_parts_come_as_often_as_is_said(self) -> None:
        steps = parse("one-of(3 noise | 1 jpeg)@0.8 shuffle(gray | text) round@0.3").steps
        seen = Counter(" ".join(one.operation for one in plan(steps, seed)) for seed in range(800))
        share = {word: sum(n for names, n in seen.items() if word in names) / 800 for word in OPERATIONS}
        assert abs(share["noise"] - 0.6) < 0.08 and abs(share["jpeg"] - 0.2) < 0.06
        assert abs(share["round"] - 0.3) < 0.08
        assert abs(sum(n for names, n in seen.items() if "gray text" in names) / 800 - 0.5) < 0.08

    def test_fixed_numbers_are_not_drawn(self) -> None:
        assert set(self.drawn("noise:12.5", "sigma", 20)) == {12.5}

    def test_a_step_tells_what_was_drawn_for_it(self) -> None:
        (one,) = plan(parse("noise:12,gray=1").steps, 0)
        assert str(one) == "noise 12 gray"
        (one,) = plan(parse("blur:1.5,angle=0-90").steps, 0)
        assert str(one) == f"blur 1.5 angle {one.values['angle']:.3g}"


class TestSizes:
    def test_every_operation_is_either_a_change_or_a_resizing(self) -> None:
        assert set(CHANGES) | set(RESIZING) == set(OPERATIONS) and not set(CHANGES) & set(RESIZING)

    def test_area_is_the_mean_of_the_pixels(self, images: torch.Tensor) -> None:
        small = parse("down:4,kernel=area")(images, range(4))
        assert torch.allclose(small, F.avg_pool2d(images, 4), atol=1e-6)

    @pytest.mark.parametrize(("kernel", "pillow"), [("bicubic", Image.BICUBIC), ("bilinear", Image.BILINEAR)])
    def test_kernels_are_those_of_pillow_away_from_the_borders(
        self, kernel: str, pillow: Image.Resampling, images: torch.Tensor
    ) -> None:
        small = parse(f"down:2,kernel={kernel}")(images[:1], [0])[0, 0]
        reference = np.asarray(Image.fromarray(images[0, 0].numpy(), "F").resize((22, 18), pillow)).clip(0, 1)
        assert np.abs(small.numpy() - reference)[3:-3, 3:-3].max() < 1e-5

    def test_without_a_low_pass_pixels_are_taken_at_their_places(self) -> None:
        stripes = torch.tensor([0.0, 1.0, 1.0, 0.0]).repeat(8).expand(1, 3, 32, 32)
        aliased = parse("resize:0.25,kernel=bilinear,antialias=0")(stripes, [0])
        smooth = parse("resize:0.25,kernel=bilinear")(stripes, [0])
        assert torch.allclose(aliased, torch.ones(1, 3, 8, 8))
        assert torch.allclose(smooth[..., 1:-1], torch.full((1, 3, 8, 6), 0.5), atol=0.13)

    def test_the_shorter_side_becomes_so_long_and_no_longer(self, images: torch.Tensor) -> None:
        recipe = parse("min-side:9,kernel=area enlarge:area")
        small = F.avg_pool2d(images, 4).repeat_interleave(4, -1).repeat_interleave(4, -2)
        assert torch.allclose(recipe(images, range(4)), small, atol=1e-6)
        assert torch.equal(parse("min-side:300 enlarge")(images, range(4)), images)

    def test_sizes_of_pictures_in_a_batch_go_their_own_ways_and_meet_again(self, images: torch.Tensor) -> None:
        recipe = parse("resize:0.2-1.5 noise:3 jpeg:50 fit:2")
        bad = recipe(images, range(4))
        assert bad.shape == (4, 3, 18, 22)
        assert (bad - F.avg_pool2d(images, 2)).abs().mean() < 0.1

    def test_odd_sizes_come_back(self) -> None:
        assert parse("down:4 jpeg enlarge")(torch.rand(1, 3, 37, 53), [0]).shape == (1, 3, 37, 53)

    @pytest.mark.parametrize("text", [one for one in RECIPES if "esrgan" not in one])
    def test_one_pixel_is_a_picture(self, text: str) -> None:
        assert parse(text)(torch.rand(1, 3, 1, 1), [0]).shape == (1, 3, 1, 1)

    def test_scale_pixels_are_a_picture_for_the_longest_chain(self) -> None:
        recipe = parse("real-esrgan:2")
        for seed in range(8):
            assert recipe(torch.rand(1, 3, 2, 4), [seed]).shape == (1, 3, 1, 2)


def test_gray_is_luma_in_all_channels(images: torch.Tensor) -> None:
    gray = parse("gray")(images, range(4))
    wanted = images.permute(0, 2, 3, 1) @ torch.tensor([0.299, 0.587, 0.114])
    assert torch.allclose(gray, wanted[:, None].expand(-1, 3, -1, -1), atol=1e-6)
    levels = (images[0] * 255).round().to(torch.uint8)
    pillow = np.asarray(Image.fromarray(levels.permute(1, 2, 0).numpy()).convert("L"), np.float32)
    ours = parse("gray round")(levels[None].float() / 255, [0])[0, 0].numpy() * 255
    assert np.abs(ours - pillow).max() <= 1.001


def test_round_leaves_whole_levels(images: torch.Tensor) -> None:
    levels = parse("round")(images, range(4)) * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert (levels / 255 - images).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.realdata
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_photographs_worse_but_not_others(name: str, shared: Path) -> None:
    files = sorted((shared / "data" / "photos").iterdir())[1:4]
    photographs = torch.cat([read(file).pixels[:, :, 100:228, 100:228] for file in files])
    recipe = parse(name, scale=2 if PRESETS[name].reduces else None)
    bad = recipe(photographs, range(3))
    difference = (F.interpolate(bad, scale_factor=recipe.scale, mode="nearest") - photographs).abs().mean((1, 2, 3))
    assert (difference > 1e-4).any() and (difference < 0.25).all()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("text", RECIPES)
def test_a_gpu_gives_what_the_processor_gives(text: str, images: torch.Tensor) -> None:
    recipe = parse(text)
    here, there = recipe(images, range(4)), recipe(images.cuda(), range(4))
    assert there.is_cuda
    assert (here - there.cpu()).abs().mean() < 2e-3  # a level that is rounded otherwise may change a block of a JPEG
