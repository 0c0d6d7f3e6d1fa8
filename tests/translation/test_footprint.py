"""The memory that a network holds is counted, not guessed."""

import pytest
import torch
from torch import Tensor, nn

from impasto.translation.footprint import WORKSPACE, footprint


def test_a_chain_holds_two_maps_at_once() -> None:
    chain = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 3, 3, padding=1)
    )
    takes = footprint(chain.requires_grad_(False))
    assert takes.quadratic == 0 and takes.linear / WORKSPACE == pytest.approx(4 * (3 + 16 + 16))


def test_maps_at_half_the_size_take_a_quarter() -> None:
    small = nn.Sequential(nn.Conv2d(3, 16, 2, stride=2), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1))
    assert footprint(small).linear / WORKSPACE == pytest.approx(4 * (3 + 32 / 4))


def test_attention_that_is_written_out_grows_with_the_square() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            flat = x[..., ::4, ::4].flatten(2)
            return x + torch.softmax(flat.transpose(1, 2) @ flat, -1).mean()

    takes = footprint(Attention())
    assert takes.quadratic / WORKSPACE == pytest.approx(2 * 4 / 16**2, rel=0.05)
    for pixels in (10_000, 1_000_000):
        assert takes.pixels(takes.bytes(pixels)) == pytest.approx(pixels, abs=2)


def test_weights_of_whatever_size_are_not_counted_for_each_pixel() -> None:
    large = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 65, padding=32))
    assert footprint(large.requires_grad_(False)).linear / WORKSPACE < 60
