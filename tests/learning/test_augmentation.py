"""Augmentation: each picture by its own seed, resampled once, its box going along."""

import numpy as np
import pytest
import torch

from impasto.errors import UsageError
from impasto.learning.augmentation import NAMES, augment, parse

STRONG = ("flip", "rotate:30", "zoom:0.3", "shift", "shear", "squeeze", "perspective", "crop")
COLOURS = ("brightness", "contrast", "saturation", "hue", "channel-shift")


@pytest.fixture
def images() -> torch.Tensor:
    """Smooth pictures with no symmetry: (5, 3, 41, 53)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 41), torch.linspace(0, 1, 53), indexing="ij")
    each = [torch.stack([x**k, y**k, 1 - x * y * k / 5]) for k in range(1, 6)]
    return torch.stack(each)


class TestWords:
    def test_a_name_alone_has_the_usual_magnitude(self) -> None:
        assert parse(["rotate"])[0].magnitude == NAMES["rotate"].magnitude

    def test_words_come_back_as_they_were(self) -> None:
        assert [str(one) for one in parse(["flip:0.25", "rotate:7.5"])] == ["flip:0.25", "rotate:7.5"]

    def test_what_is_parsed_may_be_parsed_again(self) -> None:
        once = parse(["flip", "hue:5"])
        assert parse(once) == once

    @pytest.mark.parametrize(
        ("word", "said"),
        [
            ("rotat", "rotate"),
            ("flip:2", "0 to 1"),
            ("flip:-1", "0 to 1"),
            ("rotate:much", "rotate:15"),
            ("rotate:nan", "rotate"),
        ],
    )
    def test_a_wrong_word_is_refused_with_the_right_ones(self, word: str, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            parse([word])

    def test_the_same_twice_is_refused(self) -> None:
        with pytest.raises(UsageError, match="twice"):
            parse(["flip", "flip:0.1"])


class TestChance:
    @pytest.mark.parametrize("names", [[name] for name in NAMES] + [list(NAMES)])
    def test_a_picture_depends_on_its_own_seed_only(self, images: torch.Tensor, names: list[str]) -> None:
        chosen = parse(names)
        seeds = [11, 22, 33, 44, 2**64 - 1]
        together, _ = augment(images, chosen, seeds)
        for order in ([4, 2, 0, 1, 3], [3], [1, 1, 0]):
            some, _ = augment(images[order], chosen, [seeds[place] for place in order])
            assert torch.equal(some, together[order])

    def test_other_seeds_give_other_pictures(self, images: torch.Tensor) -> None:
        same = images[:1].expand(5, -1, -1, -1)
        made, _ = augment(same, parse(["rotate"]), range(5))
        assert len({picture.sum().item() for picture in made}) == 5

    def test_one_augmentation_does_the_same_beside_others(self, images: torch.Tensor) -> None:
        alone = augment(images, parse(["hue"]), range(5))[0]
        beside = augment(images, parse(["erase:0", "hue", "rotate:0"]), range(5))[0]
        assert torch.equal(alone, beside)

    def test_the_global_random_numbers_are_left_alone(self, images: torch.Tensor) -> None:
        torch.manual_seed(5)
        before = torch.get_rng_state()
        augment(images, parse(list(NAMES)), range(5))
        assert torch.equal(torch.get_rng_state(), before)

    def test_half_of_the_pictures_are_mirrored(self) -> None:
        image = torch.tensor([0.0, 1.0]).expand(400, 3, 2, 2)
        mirrored = augment(image, parse(["flip"]), range(400))[0][:, 0, 0, 0]
        assert 160 < mirrored.sum() < 240


class TestPixels:
    @pytest.mark.parametrize("name", list(NAMES))
    def test_magnitude_0_changes_no_bit(self, images: torch.Tensor, name: str) -> None:
        before = images.clone()
        made, _ = augment(images, parse([f"{name}:0"]), range(5))
        assert torch.equal(made, images)
        assert torch.equal(images, before)

    @pytest.mark.parametrize("name", list(NAMES))
    def test_each_changes_pictures_and_stays_in_range(self, images: torch.Tensor, name: str) -> None:
        before = images.clone()
        made, _ = augment(images, parse([f"{name}:{NAMES[name].limit:g}"]), range(5))
        assert not torch.equal(made, images)
        assert made.min() >= 0
        assert made.max() <= 1
        assert bool(torch.isfinite(made).all())
        assert torch.equal(images, before)

    def test_all_at_their_limits_are_still_pictures(self, images: torch.Tensor) -> None:
        words = [f"{name}:{kind.limit:g}" for name, kind in NAMES.items()]
        made, boxes = augment(images, parse(words), range(5), torch.tensor([[0.1, 0.2, 0.8, 0.9]]).repeat(5, 1))
        assert bool(torch.isfinite(made).all())
        assert boxes is not None
        assert bool(((boxes >= 0) & (boxes <= 1)).all())

    def test_a_mirrored_picture_keeps_its_values(self, images: torch.Tensor) -> None:
        assert torch.equal(augment(images, parse(["flip:1"]), range(5))[0], images.flip(-1))
        assert torch.equal(augment(images, parse(["flip-vertical:1"]), range(5))[0], images.flip(-2))
        both = augment(images, parse(["flip:1", "flip-vertical:1"]), range(5))[0]
        assert torch.equal(both, images.flip(-1, -2))

    def test_a_mirrored_and_turned_picture_is_resampled_as_one(self, images: torch.Tensor) -> None:
        once = augment(images, parse(["flip:1", "rotate"]), range(5))[0]
        twice = augment(images.flip(-1), parse(["rotate"]), range(5))[0]
        assert torch.allclose(once, twice, atol=1e-5)

    def test_a_rotation_keeps_shapes_in_a_picture_that_is_not_square(self) -> None:
        y, x = torch.meshgrid(torch.arange(60) - 29.5, torch.arange(100) - 49.5, indexing="ij")
        disc = ((x**2 + y**2) < 20**2).float().expand(1, 3, 60, 100)
        turned = augment(disc, parse(["rotate:90"]), [3])[0]
        assert (turned - disc)[..., 25:75].abs().mean() < 0.02

    def test_saturation_and_hue_keep_gray_gray(self) -> None:
        gray = torch.linspace(0, 1, 64).view(1, 1, 8, 8).expand(1, 3, 8, 8)
        assert torch.allclose(augment(gray, parse(["saturation:1", "hue:90"]), [7])[0], gray, atol=1e-6)

    def test_colours_are_composed_in_the_order_given(self, images: torch.Tensor) -> None:
        middle = images * 0.2 + 0.4  # so that nothing is clipped between the two
        first, then = parse(["contrast"]), parse(["channel-shift:0.05"])
        one_by_one = augment(augment(middle, first, range(5))[0], then, range(5))[0]
        assert torch.allclose(augment(middle, first + then, range(5))[0], one_by_one, atol=1e-6)

    def test_half_precision_stays_half_precision(self, images: torch.Tensor) -> None:
        assert augment(images.half(), parse(["hue", "flip"]), range(5))[0].dtype == torch.float16

    def test_no_augmentation_is_nothing(self, images: torch.Tensor) -> None:
        assert augment(images, (), range(5))[0] is images


class TestBoxes:
    @pytest.mark.parametrize("name", [*STRONG, "all"])
    def test_a_box_goes_where_its_pixels_go(self, name: str) -> None:
        images = torch.zeros(8, 3, 90, 120)
        images[:, :, 30:60, 40:80] = 1
        boxes = torch.tensor([[40 / 120, 30 / 90, 80 / 120, 60 / 90]]).repeat(8, 1)
        made, moved = augment(images, parse(STRONG if name == "all" else [name]), range(8), boxes)
        assert moved is not None
        for picture, box in zip(made[:, 0].numpy(), moved.numpy(), strict=True):
            y, x = np.nonzero(picture > 0.5)
            inside = (x > 2) & (x < 117) & (y > 2) & (y < 87)
            assert inside.any()
            seen = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
            assert abs(box * [120, 90, 120, 90] - seen).max() < 2.5

    def test_colours_leave_boxes_alone(self, images: torch.Tensor) -> None:
        boxes = torch.rand(5, 2).sort().values.repeat(1, 2)
        moved = augment(images, parse(COLOURS), range(5), boxes)[1]
        assert moved is not None
        assert torch.allclose(moved, boxes, atol=1e-6)

    def test_no_box_stays_none(self, images: torch.Tensor) -> None:
        boxes = torch.full((5, 4), torch.nan)
        moved = augment(images, parse(["rotate"]), range(5), boxes)[1]
        assert moved is not None
        assert bool(moved.isnan().all())

    def test_a_box_is_cut_at_the_border(self) -> None:
        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(20, 1)
        moved = augment(torch.rand(20, 3, 8, 8), parse(["shift:0.5"]), range(20), boxes)[1]
        assert moved is not None
        assert bool(((moved >= 0) & (moved <= 1)).all())
        assert bool((moved != boxes).any())
