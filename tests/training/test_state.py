"""The state of an optimizer: through a file and back, so that it goes on as if nothing had been."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from impasto.runs import checkpoint as checkpoints
from impasto.runs.checkpoint import Checkpoint
from impasto.training.eve import Eve
from impasto.training.names import OptimizerName
from impasto.training.optimizers import build, set_rates
from impasto.training.state import optimizer_state, restore_optimizer


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def made(model: nn.Sequential, name: str) -> torch.optim.Optimizer:
    return build([model[:2], model[2:]], name, (1e-3, 1e-2), weight_decay=0.1)  # type: ignore[arg-type]


def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    chance = torch.Generator().manual_seed(number)
    loss = model(torch.rand(8, 3, generator=chance)).square().mean() + 0.5
    optimizer.zero_grad()
    loss.backward()
    set_rates(optimizer, 1 / (1 + number), 0.8 + 0.01 * number)
    if isinstance(optimizer, Eve):
        optimizer.step(loss=loss)
    else:
        optimizer.step()


@pytest.mark.parametrize("name", get_args(OptimizerName))
def test_an_optimizer_goes_on_from_a_file(name: str, tmp_path: Path) -> None:
    model = network()
    optimizer = made(model, name)
    for number in range(3):
        step(model, optimizer, number)
    tensors, facts = optimizer_state(optimizer)
    checkpoints.save(tmp_path / "c", Checkpoint(tensors, facts))
    saved = checkpoints.load(tmp_path / "c")
    other = network()
    other.load_state_dict(model.state_dict())
    again = made(other, name)
    restore_optimizer(again, saved.tensors, saved.facts)
    assert [type(group.get("betas")) for group in again.param_groups] == [
        type(group.get("betas")) for group in optimizer.param_groups
    ]
    for number in range(3, 6):
        step(model, optimizer, number)
        step(other, again, number)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    one, two = optimizer_state(optimizer), optimizer_state(again)
    assert one[1] == two[1] and one[0].keys() == two[0].keys()
    assert all(torch.equal(one[0][key], two[0][key]) for key in one[0])


@pytest.mark.parametrize("name", sorted(set(get_args(OptimizerName)) - {"sgd"}))  # which has no state
def test_without_its_state_it_would_go_on_otherwise(name: str) -> None:
    """Else the test above could not fail."""
    model = network()
    optimizer = made(model, name)
    for number in range(3):
        step(model, optimizer, number)
    other = network()
    other.load_state_dict(model.state_dict())
    again = made(other, name)
    step(model, optimizer, 3)
    step(other, again, 3)
    assert not all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_new_optimizer_has_a_state_too() -> None:
    model = network()
    tensors, facts = optimizer_state(made(model, "adamw"))
    assert tensors == {} and [group["peak_lr"] for group in facts["groups"]] == [1e-3, 1e-3, 1e-2, 1e-2]
    restore_optimizer(made(model, "adamw"), tensors, facts)


def test_what_is_neither_tensor_nor_number_is_refused() -> None:
    model = network()
    optimizer = made(model, "adam")
    step(model, optimizer, 0)
    optimizer.state[model[0].weight]["memory"] = [torch.zeros(1)]
    with pytest.raises(TypeError, match="Adam keeps memory, a list: not to be saved"):
        optimizer_state(optimizer)


def test_a_state_of_other_groups_is_refused() -> None:
    model = network()
    tensors, facts = optimizer_state(build([model], "adam", (1e-3,)))
    with pytest.raises(ValueError):
        restore_optimizer(made(model, "adam"), tensors, facts)
