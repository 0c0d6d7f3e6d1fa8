"""Content: what a picture has lost of its photograph."""

import torch

from impasto.losses.content import content_distance


def features(seed: int) -> torch.Tensor:
    return torch.randn(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 2


def test_content_counted_by_hand():
    here = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    target = torch.tensor([[[[1.0, 4.0]], [[0.0, 4.0]]]])
    assert content_distance(here, target) == 2**2 + 3**2


def test_nothing_is_lost_by_the_photograph_itself():
    assert content_distance(features(0), features(0)) == 0


def test_content_adds_up_over_tiles():
    here, target = features(0), features(1)
    pieces = sum(content_distance(here[..., cut, :], target[..., cut, :]) for cut in (slice(2), slice(2, None)))
    torch.testing.assert_close(pieces, content_distance(here, target), rtol=1e-12, atol=0)


def test_the_gradient_agrees_with_finite_differences():
    here, target = features(2).requires_grad_(True), features(3)
    assert torch.autograd.gradcheck(lambda x: content_distance(x, target), here, rtol=1e-6, atol=1e-6)
