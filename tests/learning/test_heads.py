"""Heads: what they compute, and how they begin."""

import math

import pytest
import torch
from torch import nn

from impasto.learning.heads import head, last
from impasto.learning.pooling import pooled


def test_pooling_is_average_and_maximum_of_each_channel() -> None:
    activations = torch.randn(2, 3, 4, 5)
    found = pooled(activations)
    assert found.shape == (2, 6)
    assert torch.allclose(found[1, 2], activations[1, 2].mean())
    assert torch.equal(found[1, 5], activations[1, 2].max())


@pytest.mark.parametrize("name", ["linear", "pooled"])
def test_a_new_head_has_no_opinion(name: str) -> None:
    layers = head(name, 16, 5, dropout=0.5)  # type: ignore[arg-type]
    logits = layers(torch.randn(32, 16) * 100)
    assert torch.equal(logits, torch.zeros(32, 5))
    loss = nn.functional.cross_entropy(logits, torch.randint(5, (32,)))
    assert float(loss.detach()) == pytest.approx(math.log(5))


@pytest.mark.parametrize("name", ["linear", "pooled"])
def test_a_head_can_begin_to_learn(name: str) -> None:
    layers = head(name, 16, 3, dropout=0.0)  # type: ignore[arg-type]
    nn.functional.cross_entropy(layers(torch.randn(16, 16)), torch.arange(16) % 3).backward()
    final = [module for module in layers if isinstance(module, nn.Linear)][-1]
    assert final.weight.grad is not None and final.weight.grad.abs().max() > 0


def test_the_linear_head_is_one_layer_on_standardised_activations() -> None:
    layers = head("linear", 8, 2, dropout=0.0)
    values = torch.randn(500, 8) * torch.logspace(-1, 3, 8) + 7
    layers.train()
    for _ in range(100):
        layers(values)
    layers.eval()
    nn.init.eye_(layers[2].weight)
    standard = (values - values.mean(0)) / values.std(0)
    assert torch.allclose(layers(values)[:, 1], standard[:, 1], atol=2e-2)


def test_the_pooled_head_is_fastais() -> None:
    kinds = [type(layer).__name__ for layer in head("pooled", 8, 2, dropout=0.4)]
    assert kinds == ["BatchNorm1d", "Dropout", "Linear", "ReLU", "BatchNorm1d", "Dropout", "Linear"]
    drops = [layer.p for layer in head("pooled", 8, 2, dropout=0.4) if isinstance(layer, nn.Dropout)]
    assert drops == [0.2, 0.4]
    hidden = head("pooled", 8, 2)[2]
    assert (hidden.out_features, hidden.bias) == (512, None)
    assert last(512, 2).bias is not None
