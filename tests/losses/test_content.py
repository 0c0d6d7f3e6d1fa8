"""Content: what a picture has lost of its photograph."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.losses.content import content_distance, content_size


def features(seed: int) -> torch.Tensor:
    return torch.randn(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 2


def test_content_counted_by_hand():
    here = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    target = torch.tensor([[[[1.0, 4.0]], [[0.0, 4.0]]]])
    assert content_distance(here, target) == 2**2 + 3**2
    assert content_distance(here, target, torch.tensor([[[[1.0, 0.5]]]])) == 3**2 + 0.5 * 2**2
    assert content_size(target) == 2 * 1.5**2 + 2 * 2**2


def test_nothing_is_lost_by_the_photograph_itself():
    assert content_distance(features(0), features(0)) == 0


def test_a_picture_that_shows_nothing_has_lost_everything():
    target = features(1)
    nothing = target.mean(dim=(2, 3), keepdim=True).expand_as(target)
    assert float(content_distance(nothing, target)) == pytest.approx(content_size(target), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), parts=st.integers(1, 5))
def test_content_adds_up_over_any_partition(seed, parts):
    here, target = features(seed), features(seed + 1)
    owner = torch.randint(0, parts, (1, 1, 5, 6), generator=torch.Generator().manual_seed(seed))
    pieces = sum(content_distance(here, target, (owner == part).double()) for part in range(parts))
    torch.testing.assert_close(pieces, content_distance(here, target), rtol=1e-12, atol=0)


def test_the_gradient_agrees_with_finite_differences():
    here, target = features(2).requires_grad_(True), features(3)
    mask = torch.rand(1, 1, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: content_distance(x, target, mask), here, rtol=1e-6, atol=1e-6)
