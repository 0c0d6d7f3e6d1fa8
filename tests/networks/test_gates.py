"""Gates: the closed forms of every rule, at every way to call a ReLU, and the forward pass to the last bit."""

from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.networks import Network, Taps
from impasto.networks.gates import Gates

RULES = ("guided", "deconvnet", "open", "rescue")

X = torch.tensor([-3.0, -1.0, -0.0, 0.0, 1e-30, 0.5, 2.0, 6.0, 7.0])
G = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0, -8.0, 9.0])
OPEN = (X > 0).float()

# What comes back of G through a ReLU that was given X.
CLOSED_FORMS = {
    "guided": G * OPEN * (G > 0),
    "deconvnet": G * (G > 0),
    "open": G,
    "rescue": G * OPEN,  # some of it gets through, so nothing is rescued
}

CALLS: dict[str, Callable[[Tensor], Tensor]] = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "F.relu by name": lambda x: F.relu(input=x),
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "F.relu in place by position": lambda x: F.relu(x, True),
    "F.relu_": F.relu_,
    "torch.relu": torch.relu,
    "torch.relu by name": lambda x: torch.relu(input=x),
    "torch.relu_": torch.relu_,
    "x.relu": lambda x: x.relu(),
    "x.relu_": lambda x: x.relu_(),
    "x.clamp": lambda x: x.clamp(min=0),
    "x.clamp by position": lambda x: x.clamp(0),
    "x.clamp to 0.0": lambda x: x.clamp(0.0, None),
    "x.clamp_": lambda x: x.clamp_(min=0),
    "torch.clamp": lambda x: torch.clamp(x, min=0),
    "torch.clamp_": lambda x: torch.clamp_(x, min=0),
    "x.clamp_min": lambda x: x.clamp_min(0),
    "x.clamp_min_": lambda x: x.clamp_min_(0),
    "torch.clamp_min": lambda x: torch.clamp_min(x, 0),
    "torch.clamp_min_": lambda x: torch.clamp_min_(x, 0),
}
RELU6: dict[str, Callable[[Tensor], Tensor]] = {
    "nn.ReLU6": nn.ReLU6(),
    "nn.ReLU6 in place": nn.ReLU6(inplace=True),
    "F.relu6": F.relu6,
    "F.relu6 in place": lambda x: F.relu6(x, True),
    "F.hardtanh": lambda x: F.hardtanh(x, 0, 6),
    "F.hardtanh by name": lambda x: F.hardtanh(x, min_val=0.0, max_val=6.0),
    "nn.Hardtanh in place": nn.Hardtanh(0.0, 6.0, inplace=True),
}


def back(call: Callable[[Tensor], Tensor], rule: str, x: Tensor = X, g: Tensor = G) -> tuple[Tensor, Tensor, Gates]:
    """What the call gives, and what comes back of g."""
    leaf = x.clone().requires_grad_()
    with Gates(rule) as gates:  # type: ignore[arg-type]
        y = call(leaf * 1)  # what works in place may not on a leaf
    (slope,) = torch.autograd.grad(y, leaf, g)
    return y.detach(), slope, gates


def same_bits(one: Tensor, other: Tensor) -> None:
    assert torch.equal(one.view(torch.int32), other.view(torch.int32))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", CALLS)
def test_every_way_to_call_a_relu_follows_the_rule(name: str, rule: str) -> None:
    y, slope, gates = back(CALLS[name], rule, X[None], G[None])
    assert torch.equal(slope, CLOSED_FORMS[rule][None])
    assert torch.equal(y, X[None].relu()) and gates.met == 1


@pytest.mark.parametrize("name", RELU6)
def test_relu6_is_shut_above_six_too(name: str) -> None:
    open_ = OPEN * (X < 6)
    assert torch.equal(back(RELU6[name], "guided")[1], G * open_ * (G > 0))
    y, slope, gates = back(RELU6[name], "rescue", X[None], G[None])
    assert torch.equal(slope, (G * open_)[None]) and torch.equal(y, X[None].clamp(0, 6)) and gates.met == 1
    assert torch.equal(back(RELU6[name], "open")[1], G)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", [*CALLS, *RELU6])
def test_what_is_computed_forward_is_the_same_to_the_last_bit(name: str, rule: str) -> None:
    call = (CALLS | RELU6)[name]
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 4
    x[0, 0, 0] = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), 6.0])
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.clone(memory_format=layout)
        with Gates(rule):  # type: ignore[arg-type]
            inside = call(given.clone())
        outside = call(given.clone())
        same_bits(inside, outside)
        assert inside.stride() == outside.stride()
    spoiled = torch.full((2,), float("nan"))
    with Gates(rule):  # type: ignore[arg-type]
        assert call(spoiled.clone()).isnan().all()


@pytest.mark.parametrize("name", [name for name in [*CALLS, *RELU6] if "in place" in name or name.endswith("_")])
def test_who_else_holds_what_is_changed_in_place_sees_the_change(name: str) -> None:
    call = (CALLS | RELU6)[name]

    def shortcut(x: Tensor) -> tuple[Tensor, Tensor]:
        y = call(x)
        return y, y + 10 * x  # the shortcut has what the ReLU made of x

    leaf = X.clone().requires_grad_()
    plain, expected = shortcut(leaf * 1)
    with Gates("guided"):
        _, both = shortcut(leaf * 1)
    same_bits(both, expected)
    assert torch.equal(expected, 11 * plain)
    (slope,) = torch.autograd.grad(both, leaf, G)
    limit = 6 if name in RELU6 else torch.inf
    assert torch.allclose(slope, 11 * G * (X > 0) * (limit > X) * (G > 0))


def test_a_view_that_is_changed_in_place_changes_the_whole() -> None:
    leaf = torch.tensor([[-1.0, 2.0], [-3.0, 4.0]], requires_grad=True)
    with Gates("guided"):
        whole = leaf * 1
        whole[0].relu_()
    assert whole.tolist() == [[0, 2], [-3, 4]]
    (slope,) = torch.autograd.grad(whole, leaf, torch.tensor([[5.0, -5.0], [5.0, -5.0]]))
    assert slope.tolist() == [[0, 0], [5, -5]]


def test_a_relu_used_twice_follows_the_rule_both_times() -> None:
    relu = nn.ReLU()
    x = torch.tensor([-1.0, 1.0, 2.0], requires_grad=True)
    with Gates("guided") as gates:
        y = relu(1.5 - relu(x))
    assert gates.met == 2
    (slope,) = torch.autograd.grad(y, x, torch.ones(3))
    assert slope.tolist() == [0, 0, 0], "of what is subtracted the gradient is negative, and stops"
    with Gates("open"):
        y = relu(1.5 - relu(x))
    assert torch.autograd.grad(y, x, torch.ones(3))[0].tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.clamp(min=1e-6),
        lambda x: x.clamp(max=0),
        lambda x: x.clamp(-1, 1),
        lambda x: x.clamp(0, 1),
        lambda x: torch.clamp_min(x, 0.1),
        lambda x: F.hardtanh(x),
        lambda x: F.leaky_relu(x, 0.1),
        lambda x: F.gelu(x),
        lambda x: x.clamp(min=torch.zeros(len(x))),
    ],
)
def test_what_is_no_relu_keeps_its_own_gradient(call: Callable[[Tensor], Tensor]) -> None:
    y, slope, gates = back(call, "open")
    leaf = X.clone().requires_grad_()
    expected = call(leaf)
    assert torch.equal(y, expected) and gates.met == 0
    assert torch.equal(slope, torch.autograd.grad(expected, leaf, G)[0])


def test_whole_numbers_stay_whole_numbers() -> None:
    places = torch.arange(-2, 3)
    with Gates("guided") as gates:
        clamped, rectified = places.clamp(min=0), places.relu()
    assert clamped.dtype == rectified.dtype == torch.int64 and gates.met == 0
    assert clamped.tolist() == rectified.tolist() == [0, 0, 0, 1, 2]
    assert torch.eye(3)[clamped].shape == (5, 3), "they are places still"


# Rescue


def test_only_pictures_that_would_get_nothing_are_rescued() -> None:
    x = torch.tensor([[-1.0, 2.0, -3.0], [-1.0, -2.0, -3.0], [-1.0, 2.0, -3.0]])
    g = torch.tensor([[-5.0, -6.0, 7.0], [-5.0, -6.0, 7.0], [-5.0, 0.0, 7.0]])
    _, slope, _ = back(F.relu, "rescue", x, g)
    assert slope[0].tolist() == [0, -6, 0], "it gets something"
    assert slope[1].tolist() == [-5, -6, 0], "it gets nothing: let through what raises x"
    assert slope[2].tolist() == [-5, 0, 0], "it is open, but nothing comes there"


def test_what_is_shut_above_six_is_rescued_downward() -> None:
    x = torch.tensor([[-1.0, 8.0, 9.0]])
    _, slope, _ = back(F.relu6, "rescue", x, torch.tensor([[-5.0, -6.0, 7.0]]))
    assert slope.tolist() == [[-5.0, 0.0, 7.0]]


def test_a_picture_is_rescued_whatever_others_are_in_the_batch() -> None:
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    x[1] = -x[1].abs()
    x[3] = -x[3].abs()
    g = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    together = back(F.relu, "rescue", x, g)[1]
    alone = torch.cat([back(F.relu, "rescue", x[i : i + 1], g[i : i + 1])[1] for i in range(4)])
    assert torch.equal(together, alone) and together[1].any() and together[3].any()
    assert torch.equal(together[0], g[0] * (x[0] > 0))


# Networks


def plain_network(inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(inplace),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(inplace),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 10),
        nn.ReLU(inplace),
        nn.Linear(10, 4),
    ).eval()


class Functional(nn.Module):
    """The same without a module for its ReLUs, and one of them in place."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = plain_network()

    def forward(self, x: Tensor) -> Tensor:
        layers = self.layers
        x = layers[2](F.relu(layers[0](x), inplace=True))
        x = torch.relu(layers[4](layers[3](x)))
        return layers[10](layers[8](layers[7](layers[6](x))).clamp(min=0))


def gated_gradient(module: nn.Module, x: Tensor, rule: Any, index: int) -> Tensor:
    x = x.clone().requires_grad_()
    with Gates(rule):
        score = module(x)[:, index].sum()
    return torch.autograd.grad(score, x)[0]


@pytest.mark.parametrize(("rule", "method"), [("guided", "GuidedBackprop"), ("deconvnet", "Deconvolution")])
@pytest.mark.parametrize("module", [plain_network(), plain_network(inplace=True), Functional()], ids=lambda m: "")
@pytest.mark.filterwarnings("ignore:Setting backward hooks")
def test_captum_says_the_same_of_a_plain_network_of_modules(rule: str, method: str, module: nn.Module) -> None:
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for index in range(4):
        expected = getattr(captum.attr, method)(plain_network()).attribute(x.clone(), target=index)
        found = gated_gradient(module, x, rule, index)
        assert expected.any() and (found - expected).abs().max() <= 1e-6


def test_open_gates_make_a_network_linear() -> None:
    module = plain_network()
    relus = [layer for layer in module if isinstance(layer, nn.ReLU)]
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = gated_gradient(module, x, "open", 2)
    pooled = module[2](module[1](module[0](x)))  # which maximum is taken depends on the picture all the same
    assert relus and pooled.any()
    leaf = x.clone().requires_grad_()
    y = module[0](leaf)
    chosen = F.max_pool2d(y.relu(), 2, return_indices=True)[1]
    y = y.flatten(2).gather(2, chosen.flatten(2)).view_as(chosen)
    y = module[10](module[8](module[7](module[6](module[4](module[3](y))))))
    (expected,) = torch.autograd.grad(y[:, 2].sum(), leaf)
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_gates_reach_into_taps(rule: Any) -> None:
    """The chain's own ReLUs, which it runs in place, and those of a network that has to be hooked."""
    layers = plain_network()[:6]
    network = Network("plain", nn.Sequential(layers).requires_grad_(False))
    chained = Network("chain", network.module, trunk=tuple((f"0.{k}", layer) for k, layer in enumerate(layers)))
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = []
    for one in (network, chained):
        leaf = x.clone().requires_grad_()
        with Gates(rule) as gates:
            maps = Taps(one, ["0.3", "0.5"])(leaf)
        assert gates.met == 2
        assert torch.equal(maps["0.5"], Taps(one, ["0.5"])(x)["0.5"])
        found.append(torch.autograd.grad((maps["0.5"] * maps["0.5"].detach().cos()).sum(), leaf)[0])
    assert torch.allclose(*found, atol=1e-6) and found[0].any()


@pytest.mark.parametrize("rule", RULES)
def test_half_precision_goes_through(rule: Any) -> None:
    module = Functional()
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    full = gated_gradient(module, x, rule, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = module(x)
        with Gates(rule):
            assert torch.equal(module(x), inside)
        half = gated_gradient(module, x, rule, 1)
    assert half.dtype == torch.float32 and torch.cosine_similarity(half.flatten(), full.flatten(), dim=0) > 0.97
    y = back(F.relu, rule, X.bfloat16()[None], G.bfloat16()[None])[1]
    assert y.dtype == torch.bfloat16 and torch.equal(y.float(), CLOSED_FORMS[rule][None])


def test_the_rule_holds_where_the_relu_ran_not_where_the_gradient_is_taken() -> None:
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    with Gates("guided"):
        inside = F.relu(x)
    outside = F.relu(x)
    g = torch.tensor([1.0, -1.0])
    assert torch.autograd.grad(inside, x, g)[0].tolist() == [0, 0]
    with Gates("guided") as gates:
        assert torch.autograd.grad(outside, x, g)[0].tolist() == [0, -1]
        assert gates.met == 0
        inner = F.relu(x).sum()
        inner.backward()
    assert gates.met == 1, "what the gate itself computes on the way back is no ReLU of the network"


def test_gates_within_gates_obey_the_inner() -> None:
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    with Gates("guided") as outer:
        with Gates("open") as inner:
            y = F.relu(x)
        z = F.relu(x)
    assert torch.autograd.grad(y, x, torch.tensor([1.0, -1.0]))[0].tolist() == [1, -1]
    assert torch.autograd.grad(z, x, torch.tensor([1.0, -1.0]))[0].tolist() == [0, 0]
    assert inner.met == 1 and outer.met >= 1


def test_after_an_exception_relus_are_their_own_again() -> None:
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    with pytest.raises(ZeroDivisionError), Gates("open"):
        raise ZeroDivisionError
    assert torch.autograd.grad(F.relu(x).sum(), x)[0].tolist() == [0, 1]
