"""The Markov random field loss: against matching by hand."""

import pytest
import torch
import torch.nn.functional as F

from impasto.losses.style import STYLE_LOSSES, Sketch, patches

MRF = STYLE_LOSSES["mrf"]


def unfolded(x: torch.Tensor) -> torch.Tensor:
    """All 3×3 patches of a map, as rows."""
    return F.unfold(x, 3)[0].T


def test_every_patch_is_compared_with_the_one_of_its_direction(distance):
    # one-channel patches, flat but for the centre; 3·a has the direction of a, though b is nearer
    a, b = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    a[0, 0, 1, 1], a[0, 0, 0, 0] = 1, 1
    b[0, 0, 1, 1], b[0, 0, 0, 0] = 3, 2.5
    database = torch.cat([b, a])
    statistic = MRF.statistic(Sketch(dict, lambda most: database))
    assert statistic.reach == 1
    sums = statistic.sums(3 * a, None)
    assert {name: float(value) for name, value in sums.items()} == {"count": 1, "loss": 2 * 2**2, "norm": 2 * 3**2}


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_and_its_gradient_are_those_of_matching_all_at_once(seed, features, distance, gradient):
    x, y = features(seed, height=7, width=8).requires_grad_(True), features(seed + 10, height=6, width=9)
    own, painted = unfolded(x), unfolded(y)
    match = (F.normalize(own, dim=1) @ F.normalize(painted, dim=1).T).argmax(1)
    wanted = (own - painted[match]).square().sum(1).mean()
    torch.testing.assert_close(distance("mrf", x, y), wanted, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient("mrf", x, y), torch.autograd.grad(wanted, x)[0], rtol=1e-9, atol=1e-12)


def test_the_painting_itself_costs_exactly_nothing(features, distance, gradient):
    y = features(0, channels=6, height=20, width=30)
    assert float(distance("mrf", y, y)) == 0
    assert (gradient("mrf", y, y) == 0).all()


def test_a_picture_of_the_paintings_patches_in_another_order_costs_nothing_inside(features, sketch_of):
    y = features(0, height=12, width=12)
    statistic = MRF.statistic(sketch_of(y))
    assert float(statistic.sums(y[..., 3:9, 2:7], None)["loss"]) == 0


def test_a_scaled_painting_is_matched_with_itself(features, sketch_of, distance):
    y = features(1, height=8, width=8)
    target = MRF.target(MRF.statistic(sketch_of(y)).sums(y, None))
    assert MRF.size(target) == pytest.approx(float(unfolded(y).square().sum(1).mean()))
    assert float(distance("mrf", 3 * y, y)) == pytest.approx(4 * MRF.size(target))


def test_a_large_painting_is_matched_by_at_most_so_many_patches(features, sketch_of, monkeypatch):
    asked = []
    sketch = sketch_of(features(0))
    MRF.statistic(Sketch(sketch.moments, lambda most: asked.append(most) or sketch.patches(most)))
    assert asked == [patches.MOST]


def test_no_matrix_is_larger_than_allowed(features, sketch_of):
    widest = max(patches._most(torch.empty(n, 9 * c)) * max(n, 9 * c) for n in (10, 4096) for c in (3, 64, 512))
    assert widest * 4 <= 64 * 2**20
