"""Points: any differentiable function can be gone down."""

import torch

from impasto.synthesis.point import with_autograd


def test_terms_are_added_and_differentiated():
    x = torch.tensor([1.0, 2.0, 3.0])
    point = with_autograd(lambda x: {"square": x.square().sum(), "sum": 2 * x.sum()})(x)
    assert point.loss == 26 and point.terms == {"square": 14, "sum": 12}
    assert torch.equal(point.gradient, 2 * x + 2) and torch.equal(point.x, x)


def test_nothing_hangs_on_to_the_graph():
    x = torch.ones(3, requires_grad=True)
    with torch.no_grad():
        point = with_autograd(lambda x: {"loss": x.pow(3).sum()})(x)
    assert not point.x.requires_grad and not point.gradient.requires_grad
    assert x.grad is None and point.gradient.tolist() == [3, 3, 3]


def test_gradients_are_contiguous():
    x = torch.rand(1, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert with_autograd(lambda x: {"loss": x.square().sum()})(x).gradient.is_contiguous()
