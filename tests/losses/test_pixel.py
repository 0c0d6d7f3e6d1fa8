"""Pixel losses: known values, and a bottom that is smooth."""

from typing import get_args

import pytest
import torch

from impasto.losses.names import PixelLossName
from impasto.losses.pixel import EPSILON, PIXEL_LOSSES, charbonnier


def test_known_values() -> None:
    output, target = torch.tensor([0.0, 0.5, 1.0, 0.2]), torch.tensor([0.0, 0.2, 0.6, 0.2])
    assert float(PIXEL_LOSSES["l1"](output, target)) == pytest.approx(0.7 / 4)
    assert float(PIXEL_LOSSES["mse"](output, target)) == pytest.approx(0.25 / 4)
    by_hand = (2 * 1e-3 + (0.09 + 1e-6) ** 0.5 + (0.16 + 1e-6) ** 0.5) / 4
    assert float(PIXEL_LOSSES["charbonnier"](output, target)) == pytest.approx(by_hand, rel=1e-6)
    assert PIXEL_LOSSES.keys() == set(get_args(PixelLossName))


def test_charbonnier_is_l1_with_a_smooth_bottom() -> None:
    far = torch.rand(2, 3, 4, 4) + 1
    assert float(charbonnier(far, torch.zeros_like(far))) == pytest.approx(float(far.mean()), rel=1e-6)
    near = torch.tensor([0.0, EPSILON, -EPSILON], dtype=torch.float64, requires_grad=True)
    charbonnier(near, torch.zeros_like(near)).backward()
    assert near.grad is not None
    assert near.grad.tolist() == pytest.approx([0, 0.5**0.5 / 3, -(0.5**0.5) / 3])
