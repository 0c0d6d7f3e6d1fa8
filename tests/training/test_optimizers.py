"""Optimizers by name: layer groups, decay, rates and momentum."""

from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from impasto.errors import UsageError
from impasto.training.names import OptimizerName
from impasto.training.optimizers import METHODS, build, discriminative, last_faster, set_rates

NAMES = get_args(OptimizerName)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))


def train(optimizer: torch.optim.Optimizer, model: nn.Module, steps: int) -> list[float]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(48, 3, 8, 8, generator=generator)
    y = x.mean((2, 3)).argmax(1)
    losses = []
    for _ in range(steps):
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(lambda loss=loss: loss.detach())
        losses.append(loss.item())
    return losses


def test_every_name_is_there():
    assert tuple(METHODS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_one_trains(name):
    model = network()
    rate = 0.05 if name in ("sgd", "momentum") else 0.01
    losses = train(build([model[:2], model[4]], name, [rate / 10, rate]), model, 25)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_gradient_of_zero_shrinks_weights_and_nothing_else(name):
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    optimizer = build([model], name, [0.1], weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(lambda: torch.tensor(1.0))
    for parameter in model.parameters():
        assert (parameter < 1).all() if parameter.ndim > 1 else (parameter == 1).all()


def test_groups_carry_their_rates_their_number_and_whether_they_decay():
    model = network()
    optimizer = build([model[:2], list(model[4].parameters())], "adamw", [1e-4, 1e-3])
    assert [
        (g["layer_group"], g["peak_lr"], g["lr"], g["weight_decay"], len(g["params"])) for g in optimizer.param_groups
    ] == [
        (0, 1e-4, 1e-4, 0.01, 1),
        (0, 1e-4, 1e-4, 0.0, 3),
        (1, 1e-3, 1e-3, 0.01, 1),
        (1, 1e-3, 1e-3, 0.0, 1),
    ]
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.99) and optimizer.param_groups[0]["eps"] == 1e-5
    assert sum(p.numel() for g in optimizer.param_groups for p in g["params"]) == sum(
        p.numel() for p in model.parameters()
    )


def test_frozen_parameters_are_left_out():
    model = network()
    model[:2].requires_grad_(False)
    optimizer = build([model[:2], model[4]], "sgd", [0.1])
    assert {g["layer_group"] for g in optimizer.param_groups} == {1}
    model.requires_grad_(False)
    with pytest.raises(UsageError, match="frozen"):
        build([model], "sgd", [0.1])


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_sets_rates_and_momentum_where_there_is_one(name):
    optimizer = build([network()[:2], network()[4]], name, [0.01, 0.1])
    for multiplier in (0.5, 0.25):
        set_rates(optimizer, multiplier, 0.85)
    assert sorted({g["lr"] for g in optimizer.param_groups}) == pytest.approx([0.0025, 0.025])
    for group in optimizer.param_groups:
        if "betas" in group:
            assert group["betas"] == (
                0.85,
                *METHODS[name].settings.get("betas", (0.9, 0.999, 0.999))[1:][: len(group["betas"]) - 1],
            )
        else:
            assert group.get("momentum", 0) == (0.85 if name == "momentum" else 0)
    set_rates(optimizer, 1.0)
    assert sorted({g["lr"] for g in optimizer.param_groups}) == pytest.approx([0.01, 0.1])


def test_momentum_and_its_look_ahead_are_set():
    assert build([network()], "momentum", [0.1], momentum=0.8, nesterov=True).param_groups[0]["momentum"] == 0.8
    assert build([network()], "momentum", [0.1], nesterov=True).param_groups[0]["nesterov"]
    assert build([network()], "eve", [0.1], momentum=0.8).param_groups[0]["betas"] == (0.8, 0.999, 0.999)


def test_set_rates_survives_a_checkpoint():
    model = network()
    saved = build([model], "adamw", [0.1]).state_dict()
    again = build([model], "adamw", [1.0])
    again.load_state_dict(saved)
    set_rates(again, 0.5)
    assert again.param_groups[0]["lr"] == 0.05


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("adamx", [0.1]), "'adamx'.*adamw"),
        (("sgd", [0.1, 0.2, 0.3]), "3 learning rates for 2 layer groups"),
        (("rmsprop", [0.1], None, 0.9), "rmsprop has no momentum"),
    ],
)
def test_what_cannot_be_built_is_one_clear_line(arguments, what):
    model = network()
    with pytest.raises(UsageError, match=what):
        build([model[:2], model[4]], *arguments)
    with pytest.raises(UsageError, match="Nesterov"):
        build([model], "adam", [0.1], nesterov=True)


def test_discriminative_rates_are_fastais_slices():
    assert discriminative(1e-6, 1e-2, 5) == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    assert discriminative(1e-6, 1e-2, 1) == [1e-2]
    assert last_faster(0.1, 1) == [0.1]
    assert last_faster(0.1, 4) == pytest.approx([0.01, 0.01, 0.01, 0.1])
