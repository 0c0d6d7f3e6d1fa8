"""Self-attention: it begins as nothing, learns to be something, and is what the paper says."""

import torch
from torch import Tensor

from impasto.translation.architectures.attention import SelfAttention


def attending(channels: int = 16) -> tuple[SelfAttention, Tensor]:
    torch.manual_seed(0)
    return SelfAttention(channels), torch.randn(2, channels, 3, 5)


def test_it_begins_as_the_identity_and_its_weight_is_learnt() -> None:
    layer, x = attending()
    made = layer(x)
    assert torch.equal(made, x)
    (made * torch.randn_like(made)).sum().backward()
    assert layer.gamma.grad is not None and layer.gamma.grad.abs() > 1e-3
    value = layer.value.parametrizations.weight.original
    assert value.grad is None or not value.grad.any(), "nothing else can move before γ has"


def test_it_is_a_mean_of_values_by_the_softmax_over_all_positions() -> None:
    layer, x = attending()
    layer.eval()
    with torch.no_grad():
        layer.gamma.fill_(0.7)
        query, key, value = (part.weight[..., 0] for part in (layer.query, layer.key, layer.value))
        assert query.shape == key.shape == (2, 16) and value.shape == (16, 16)
        for picture, made in zip(x.flatten(2), layer(x).flatten(2), strict=True):
            q, k, v = query @ picture, key @ picture, value @ picture
            wanted = torch.empty_like(picture)
            for i in range(15):
                scores = torch.stack([(q[:, i] * k[:, j]).sum() for j in range(15)])
                wanted[:, i] = picture[:, i] + 0.7 * v @ (scores.exp() / scores.exp().sum())
            assert (made - wanted).abs().max() < 1e-5


def test_its_convolutions_are_under_spectral_norm() -> None:
    layer, x = attending(32)
    for _ in range(20):
        layer(x)
    layer.eval().requires_grad_(False)
    for part in (layer.query, layer.key, layer.value):
        assert abs(float(torch.linalg.matrix_norm(part.weight[..., 0], 2)) - 1) < 0.02


def test_few_channels_are_enough() -> None:
    layer, x = attending(3)
    assert layer(x).shape == x.shape and layer.query.weight.shape[0] == 1
