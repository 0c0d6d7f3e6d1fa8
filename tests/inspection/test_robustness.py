"""Robustness: what the network sees is always the canvas, never what lies beyond it."""

import math

import pytest
import torch

from impasto.inspection.robustness import MOTIONS, Motion, middle, window

SIZES = ((24, 24), (16, 40), (40, 16), (17, 30), (9, 9))

EXTREME = {
    **MOTIONS,
    "turned much": Motion(0, degrees=(45.0, -45.0, 30.0)),
    "turned over": Motion(3, degrees=(80.0, 135.0, -170.0)),
    "small and turned": Motion(2, scales=(0.3, 1.0), degrees=(-20.0, 20.0)),
    "turned a little": Motion(0, degrees=(20.0, -20.0)),
    "large only": Motion(0, scales=(1.5, 3.0)),
    "large and turned": Motion(1, scales=(1.2,), degrees=(5.0, -5.0)),
}


def canvas_for(size, motion, channels=3, count=1):
    """Noise as large as it must be."""
    margin = motion.margin(size)
    shape = (count, channels, size[0] + 2 * margin, size[1] + 2 * margin)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) + 1  # nothing of it is zero


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EXTREME)
def test_a_window_never_looks_beyond_the_canvas(name, size):
    """Not a number all around the canvas spoils nothing, and the gradient is spread over the canvas alone."""
    motion = EXTREME[name]
    canvas = canvas_for(size, motion)
    h, w = canvas.shape[-2:]
    ringed = torch.full((1, 3, h + 6, w + 6), float("nan"))
    ringed[..., 3:-3, 3:-3] = canvas
    for seed in range(60):
        inside = window(canvas, size, motion, torch.Generator().manual_seed(seed))
        # the same window, of a canvas on which what lies beyond is spoiled
        outside = window(ringed, size, motion, torch.Generator().manual_seed(seed))
        assert inside.shape == outside.shape == (1, 3, *size)
        assert outside.isfinite().all(), f"seed {seed} looks beyond"
        assert torch.allclose(inside, outside, atol=1e-4)
        assert inside.min() >= 1, "no zero is filled in"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EXTREME)
def test_the_margin_is_no_larger_than_it_has_to_be(name, size):
    """The window of one place or another comes within two pixels of the border of the canvas."""
    motion = EXTREME[name]
    canvas = canvas_for(size, motion, channels=1).requires_grad_()
    touched = torch.zeros_like(canvas)
    for seed in range(400 if motion.margin(size) else 1):
        seen = window(canvas, size, motion, torch.Generator().manual_seed(seed))
        touched += torch.autograd.grad(seen.sum(), canvas)[0].abs()
    if name not in ("large only", "large and turned"):
        rows, columns = (touched[0, 0].any(dim=axis).nonzero().flatten() for axis in (1, 0))
        longer = rows if size[0] >= size[1] else columns
        slack = min(int(longer[0]), canvas.shape[2 if size[0] >= size[1] else 3] - 1 - int(longer[-1]))
        shorter = columns if size[0] >= size[1] else rows
        slack = min(slack, int(shorter[0]))
        assert slack <= 2
    assert touched.any()


@pytest.mark.parametrize("size", SIZES)
def test_jitter_is_an_exact_crop(size):
    motion = MOTIONS["jitter"]
    assert motion.margin(size) == motion.jitter == 8
    canvas = canvas_for(size, motion)
    places = set()
    for seed in range(150):
        seen = window(canvas, size, motion, torch.Generator().manual_seed(seed))
        matches = [
            (top, left)
            for top in range(17)
            for left in range(17)
            if torch.equal(seen[0, 0, 0], canvas[0, 0, top, left : left + size[1]])
        ]
        assert len(matches) == 1
        ((top, left),) = matches
        assert torch.equal(seen, canvas[..., top : top + size[0], left : left + size[1]])
        places.add((top, left))
    rows, columns = zip(*places, strict=True)
    assert {min(rows), min(columns)} == {0} and {max(rows), max(columns)} == {16}, "to both sides, and all the way"


def test_without_robustness_the_picture_itself_is_seen():
    canvas = torch.rand(2, 3, 10, 12)
    assert MOTIONS["none"].margin((10, 12)) == 0
    assert torch.equal(window(canvas, (10, 12), MOTIONS["none"], torch.Generator()), canvas)


@pytest.mark.parametrize("size", [(24, 24), (9, 12)])
def test_no_turn_and_no_zoom_is_exact_though_others_are_sampled(size):
    motion = MOTIONS["full"]
    assert 1.0 in motion.scales and motion.degrees.count(0.0) >= 6
    still = Motion(motion.jitter)
    canvas = canvas_for(size, motion)
    seen = window(canvas, size, still, torch.Generator().manual_seed(1))
    down, right = (int(torch.randint(-12, 13, (), generator=g)) for g in [torch.Generator().manual_seed(1)] * 2)
    assert torch.equal(seen, middle(canvas, size, down, right))


def test_a_turn_of_nothing_sampled_is_the_crop_too():
    """The way through sampling agrees with the way through cropping where both can be taken."""
    canvas = canvas_for((20, 24), Motion(3, degrees=(0.0, 10.0)))
    for seed in range(20):
        crop = window(canvas, (20, 24), Motion(3), torch.Generator().manual_seed(seed))
        sampled = window(canvas, (20, 24), Motion(3, degrees=(1e-9,)), torch.Generator().manual_seed(seed))
        assert torch.allclose(crop, sampled, atol=1e-4)


def test_a_quarter_turn_is_one():
    canvas = torch.rand(1, 1, 16, 16)
    seen = window(canvas, (16, 16), Motion(0, degrees=(90.0,)), torch.Generator())
    turned = [torch.rot90(canvas, k, (2, 3)) for k in (1, 3)]
    assert any(torch.allclose(seen, one, atol=1e-4) for one in turned)


def test_a_zoom_enlarges_what_is_in_the_middle():
    """Of a cone, a zoom of 2 is a cone of half the slope."""
    y, x = torch.meshgrid(torch.arange(33.0) - 16, torch.arange(33.0) - 16, indexing="ij")
    cone = torch.hypot(x, y)[None, None]
    seen = window(cone, (17, 17), Motion(0, scales=(2.0,)), torch.Generator())
    expected = torch.hypot(x, y)[8:25, 8:25] / 2
    assert (seen[0, 0] - expected).abs().max() < 0.3 and (seen[0, 0] - expected).abs().mean() < 0.05


def test_all_pictures_of_a_batch_are_seen_through_the_same_window():
    canvas = canvas_for((16, 16), MOTIONS["full"]).expand(3, -1, -1, -1)
    for seed in range(10):
        seen = window(canvas, (16, 16), MOTIONS["full"], torch.Generator().manual_seed(seed))
        assert torch.equal(seen[0], seen[1]) and torch.equal(seen[0], seen[2])


def test_a_window_depends_on_its_seed_and_not_on_the_batch():
    one = canvas_for((16, 16), MOTIONS["full"])
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    for _ in range(5):
        alone = window(one, (16, 16), MOTIONS["full"], generators[0])
        among = window(one.expand(4, -1, -1, -1), (16, 16), MOTIONS["full"], generators[1])
        assert torch.allclose(alone[0], among[3], atol=1e-6)


def test_the_middle_is_the_picture_without_its_margin():
    canvas = torch.arange(6 * 8).view(1, 1, 6, 8).float()
    assert torch.equal(middle(canvas, (2, 4)), canvas[..., 2:4, 2:6])
    assert torch.equal(middle(canvas, (2, 4), -2, 1), canvas[..., 0:2, 3:7])
    assert torch.equal(middle(canvas, (6, 8)), canvas)


def test_full_motion_is_lucids_in_size():
    full = MOTIONS["full"]
    assert math.isclose(min(full.scales), 0.9) and math.isclose(max(full.scales), 1.1)
    assert max(full.degrees) == 10 == -min(full.degrees)
    assert full.margin((128, 128)) < 64, "a canvas not wastefully larger than the picture"
