"""The learning-rate finder: what it finds, and that it leaves nothing behind."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy

from impasto.errors import ImpastoError, UsageError
from impasto.training.finder import Found, find_learning_rate, plot
from impasto.training.optimizers import build


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 4))


def batches():
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(4, 10, generator=generator)
    while True:
        x = torch.randn(32, 10, generator=generator)
        yield x, (x @ directions.T).argmax(1)


def loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return cross_entropy(model(batch[0]), batch[1])


def step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
    value = loss(model, batch)
    optimizer.zero_grad()
    value.backward()
    optimizer.step(lambda: value.detach())
    return value.item()


def snapshot(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict:
    return copy.deepcopy(
        {
            "tensors": dict(itertools.chain(model.named_parameters(), model.named_buffers())),
            "modes": [layer.training for layer in model.modules()],
            "trained": [parameter.requires_grad for parameter in model.parameters()],
            "gradients": [parameter.grad for parameter in model.parameters()],
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
    )


def identical(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(identical(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(identical, a, b))
    return a == b


@pytest.mark.parametrize("name", ["sgd", "adamw", "eve", "adagrad"])
@pytest.mark.parametrize("trained", [0, 3])
def test_everything_is_as_it_was_bit_for_bit(name, trained):
    model = network()
    model.register_buffer("replaced", torch.zeros(2), persistent=False)
    optimizer = build([model[:2], model[4]], name, [1e-3, 1e-2])
    for batch in itertools.islice(batches(), trained):
        step(model, optimizer, batch)
    model[1].eval()  # frozen statistics in a model that trains
    model[0].bias.requires_grad_(False)
    model[4].bias.grad = torch.full((4,), 7.0)
    before, weight = snapshot(model, optimizer), model[0].weight

    def meddling(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        model.train()
        model[0].bias.requires_grad_(True)
        model.replaced = model.replaced + torch.rand(2)
        return loss(model, batch)

    find_learning_rate(model, optimizer, batches(), meddling)
    after = snapshot(model, optimizer)
    assert [key for key in before if not identical(before[key], after[key])] == []
    assert model[0].weight is weight and optimizer.param_groups[0]["params"][0] is weight

    untouched = network()
    other = build([untouched[:2], untouched[4]], name, [1e-3, 1e-2])  # what comes after is as if it had not been
    for m, o in ((model, optimizer), (untouched, other)):
        m.load_state_dict(before["tensors"], strict=False)
        o.load_state_dict(copy.deepcopy(before["optimizer"]))
        m.train()
        torch.manual_seed(5)
        step(m, o, next(batches()))
    assert torch.equal(model[4].weight, untouched[4].weight)


@pytest.mark.parametrize("name", ["adamw", "eve"])
def test_a_model_and_an_optimizer_in_fabrics_hands_are_as_they_were_too(name):
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    model = network()
    wrapped, optimizer = fabric.setup(model, build([model], name, [1e-2]))

    def update(value: torch.Tensor) -> None:
        fabric.backward(value)
        optimizer.step(lambda: value.item())

    update(loss(wrapped, next(batches())))
    before = snapshot(wrapped, optimizer)
    found = find_learning_rate(wrapped, optimizer, batches(), loss, update=update)
    assert identical(before, snapshot(wrapped, optimizer))
    assert min(found.losses) < 0.9 * found.losses[0]


def test_an_error_undoes_it_too():
    model = network()
    optimizer = build([model], "adamw", [1e-2])
    before = snapshot(model, optimizer)
    tries = itertools.count()

    def failing(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        if next(tries) == 12:
            raise RuntimeError("out of memory")
        return loss(model, batch)

    with pytest.raises(RuntimeError, match="memory"):
        find_learning_rate(model, optimizer, batches(), failing)
    assert identical(before, snapshot(model, optimizer))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_random_generator_of_the_device_is_restored():
    model = network().cuda()
    optimizer = build([model], "adamw", [1e-2])
    before = torch.cuda.get_rng_state()
    find_learning_rate(model, optimizer, ((x.cuda(), y.cuda()) for x, y in batches()), loss)
    assert torch.equal(before, torch.cuda.get_rng_state())


@pytest.mark.parametrize("name", ["momentum", "adamw", "eve"])
def test_the_valley_trains_better_than_a_rate_far_from_it(name):
    model = network()
    optimizer = build([model], name, [1.0])
    found = find_learning_rate(model, optimizer, batches(), loss)
    assert set(found.suggestions) == {"valley", "steep", "minimum", "slide"}
    assert all(found.rates[0] <= rate <= found.rates[-1] for rate in found.suggestions.values())

    def trained(rate: float) -> float:
        model = network()
        optimizer = build([model], name, [rate])
        return float(np.mean([step(model, optimizer, batch) for batch in itertools.islice(batches(), 120)][-20:]))

    valley = trained(found.suggestions["valley"])
    assert valley < 0.6  # 1.5 at the start
    assert valley < 0.8 * trained(found.suggestions["valley"] / 300)


def test_the_rates_climb_by_one_factor_from_low_to_high_and_groups_keep_their_ratio():
    model = network()
    optimizer = build([model[:2], model[4]], "sgd", [1e-3, 1e-2])
    seen = []

    def watching(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        seen.append([group["lr"] for group in optimizer.param_groups])
        return loss(model, batch)

    found = find_learning_rate(model, optimizer, batches(), watching, low=1e-6, high=1e-2, steps=50)
    assert found.rates == pytest.approx(np.geomspace(1e-6, 1e-2, 50))
    assert [rates[-1] for rates in seen] == pytest.approx(found.rates)
    assert all(rates[0] == pytest.approx(rates[-1] / 10) for rates in seen)


def test_it_stops_at_four_times_the_best():
    model = network()
    found = find_learning_rate(model, build([model], "sgd", [1.0]), batches(), loss, low=1e-3, high=1e5)
    assert len(found.losses) < 100
    assert max(found.losses[:-1]) <= 4 * min(found.losses) < 1e6 * found.losses[-1]


def test_a_loss_that_becomes_no_number_ends_the_search():
    model = network()
    steps = itertools.count()

    def breaking(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return loss(model, batch) * (math.nan if next(steps) >= 40 else 1)

    found = find_learning_rate(model, build([model], "adamw", [1.0]), batches(), breaking)
    assert len(found.losses) == 40 and all(map(math.isfinite, found.losses))
    assert all(map(math.isfinite, found.suggestions.values()))
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_rules_on_a_curve_whose_answers_are_known(monkeypatch):
    # flat, a straight valley from 1e-4 to 1e-1 in log rate, and up again
    log_rates = np.linspace(-7, 1, 100)
    curve = np.interp(log_rates, [-7, -4, -1, 1], [2.0, 2.0, 0.5, 6.0])
    values = iter(torch.tensor(curve))
    monkeypatch.setattr("impasto.training.finder.SMOOTHING", 0.0)
    weight = nn.Parameter(torch.zeros(()))
    model = nn.Module()
    model.weight = weight
    found = find_learning_rate(model, build([[weight]], "sgd", [1.0]), values, lambda m, b: b + 0 * m.weight)
    assert found.losses == pytest.approx(curve[: len(found.losses)])
    assert math.log10(found.suggestions["valley"]) == pytest.approx(-2.5, abs=0.1)
    assert -4.1 < math.log10(found.suggestions["steep"]) < -1
    assert math.log10(found.suggestions["minimum"]) == pytest.approx(-2, abs=0.1)
    assert found.suggestions["slide"] in found.rates


@pytest.mark.parametrize("count", [0, 1, 15])
def test_too_few_batches_are_one_clear_line(count):
    model = network()
    with pytest.raises(UsageError, match="batches|first step"):
        find_learning_rate(model, build([model], "sgd", [1.0]), itertools.islice(batches(), count), loss)


def test_a_loss_that_is_never_finite_is_one_clear_line():
    model = network()
    with pytest.raises(UsageError, match="not finite at the first step"):
        find_learning_rate(model, build([model], "sgd", [1.0]), batches(), lambda m, b: loss(m, b) * math.inf)


def test_what_was_found_is_drawn(tmp_path):
    found = Found(tuple(np.geomspace(1e-7, 1, 50)), tuple(np.linspace(2, 1, 50)), {"valley": 1e-3, "steep": 1e-2})
    plot(found, tmp_path / "found.png")
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.width > 400 and len(picture.convert("RGB").getcolors(100000)) > 10
    with pytest.raises(ImpastoError, match="does not exist"):
        plot(found, tmp_path / "nowhere" / "found.png")


def test_progress_is_told():
    told = []
    model = network()
    find_learning_rate(
        model,
        build([model], "adamw", [1.0]),
        batches(),
        loss,
        high=1e-2,
        steps=30,
        progress=lambda part, what: told.append(part),
    )
    assert told == sorted(told) and told[-1] == 1
