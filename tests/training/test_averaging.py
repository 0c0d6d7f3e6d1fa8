"""Averaged weights: what they are the average of, and what they keep."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from impasto.errors import UsageError
from impasto.training.averaging import averaged


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))


def disturb(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
        model.train()(torch.randn(8, 3) + 1)


def test_weights_and_statistics_are_the_moving_average_and_counts_are_copied():
    model = network()
    ema = averaged(model, 0.9)
    expected = None
    for n in range(30):
        disturb(model)
        ema.update_parameters(model)
        now = {name: value.double().clone() for name, value in model.state_dict().items()}
        delta = min(0.9, (1 + n) / (10 + n))
        expected = now if expected is None else {k: delta * expected[k] + (1 - delta) * now[k] for k in now}
    for name, value in ema.module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert value.item() == model.state_dict()[name].item() == 30
        else:
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-4, atol=1e-5)


def test_it_neither_trains_nor_changes_when_it_is_used():
    model = network().train()
    ema = averaged(model)
    disturb(model)
    ema.update_parameters(model)
    before = {name: value.clone() for name, value in ema.state_dict().items()}
    a, b = ema(torch.ones(5, 3)), ema(torch.ones(5, 3))
    assert torch.equal(a, b) and not a.requires_grad  # no dropout, no gradients
    assert all(torch.equal(value, before[name]) for name, value in ema.state_dict().items())
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())


def test_its_state_is_flat_tensors_from_which_it_goes_on_bit_for_bit():
    model = network()
    whole = averaged(model, 0.99)
    torch.manual_seed(1)
    for _ in range(4):
        disturb(model)
        whole.update_parameters(model)
    state = {name: value.clone() for name, value in whole.state_dict().items()}
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    again = averaged(network(), 0.99)
    again.load_state_dict(state)
    for _ in range(3):
        disturb(model)
        whole.update_parameters(model)
        again.update_parameters(model)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_bounds_is_refused(decay):
    with pytest.raises(UsageError, match=r"\[0, 1\)"):
        averaged(network(), decay)


def test_spectral_norms_of_the_average_stay_at_one():
    torch.manual_seed(0)
    model = nn.Sequential(spectral_norm(nn.Conv2d(3, 8, 3)), nn.ReLU(), spectral_norm(nn.Conv2d(8, 8, 3))).train()
    ema = averaged(model, 0.99)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for _ in range(80):
        loss = (model(torch.randn(4, 3, 8, 8)) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update_parameters(model)
    for mine, its in ((ema.module[0], model[0]), (ema.module[2], model[2])):
        kept, now = (layer.parametrizations.weight[0] for layer in (mine, its))
        assert torch.equal(kept._u, now._u) and torch.equal(kept._v, now._v)
        assert not torch.equal(mine.parametrizations.weight.original, its.parametrizations.weight.original)
        norm = torch.linalg.matrix_norm(mine.weight.flatten(1), 2).item()
        assert norm == pytest.approx(1, abs=0.05)
