"""Hooks: what they see and replace, and that nothing stays behind, whatever looks into a network, however it ends."""

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import _get_current_function_mode_stack

from impasto.inspection.attribution.methods import METHODS, attribute
from impasto.inspection.attribution.options import ExplainOptions
from impasto.inspection.folder.scan import scan
from impasto.inspection.objectives import channel, class_score, diverse
from impasto.inspection.render import Rendering, render
from impasto.networks import Network, Taps, load
from impasto.networks.gates import Gates
from impasto.networks.hooks import at_rest, hooked

CALLS = 200
CLASSES = ("lying", "spots", "standing")


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)))


class Judge(nn.Module):
    """pocket, and a classifier on it that begins with a ReLU in place."""

    def __init__(self) -> None:
        super().__init__()
        self.features = load("pocket").module.features
        self.last = nn.Conv2d(128, 16, 1)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(16, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.last(self.features(x))).mean((2, 3)))


@pytest.fixture(scope="module", autouse=True)
def what_is_there_already() -> Iterator[None]:
    """Is left out of the counts: the collector takes a second to go through all that has been imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def judge() -> Network:
    torch.manual_seed(0)
    module = Judge().eval().requires_grad_(False)
    return Network("judge", module, classes=CLASSES, style_taps=("features.8", "features.11"))


@pytest.fixture(scope="module")
def resnet() -> Network:
    torch.manual_seed(0)
    module = timm.create_model("test_resnet", num_classes=3).eval().requires_grad_(False)
    return Network("resnet", module, classes=CLASSES, style_taps=("layer1", "layer2"))


def hooks_of(module: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
    everywhere = [
        getattr(torch_module, name) for name in dir(torch_module) if name.startswith("_global_") and "hooks" in name
    ]
    there = sum(len(getattr(layer, kind)) for layer in module.modules() for kind in kinds)
    return there + sum(len(one) for one in everywhere if hasattr(one, "__len__"))


def state_of(module: nn.Module) -> list[Any]:
    """All that looking into a network could change of it, and of the world around it."""
    return [
        hooks_of(module),
        [layer.training for layer in module.modules()],
        [(p.requires_grad, p.grad is None, p._version, p.data_ptr()) for p in module.parameters()],
        [(b._version, b.data_ptr()) for b in module.buffers()],
        [layer.__dict__.get("forward") for layer in module.modules()],
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        len(_get_current_function_mode_stack()),
    ]


def live_tensors() -> int:
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


# What hooks do


def test_functions_see_what_goes_in_and_what_comes_out_in_the_order_of_the_layers() -> None:
    module, seen = small(), []
    x = torch.randn(4, 2)
    with hooked(
        module,
        after={"1": lambda layer, inputs, output: seen.append(("out", layer, inputs[0].min() < 0, output.min() >= 0))},
        before={"2.0": lambda layer, inputs: seen.append(("in", layer, tuple(inputs[0].shape)))},
    ):
        module(x)
    assert [(kind, layer) for kind, layer, *_ in seen] == [("out", module[1]), ("in", module[2][0])]
    assert seen[0][2:] == (True, True) and seen[1][2] == (4, 3)


def test_what_they_return_stands_in_the_place() -> None:
    module, x = small().eval(), torch.randn(4, 2)
    with hooked(module, after={"1": lambda layer, inputs, output: torch.zeros_like(output)}):
        zeroed = module(x)
    assert torch.equal(zeroed, module[2][0].bias.expand(4, 2))
    with hooked(module, before={"2": lambda layer, inputs: (2 * inputs[0],)}):
        doubled = module(x)
    assert torch.allclose(doubled, module[2][0](2 * module[1](module[0](x))))


def test_the_network_itself_can_be_hooked() -> None:
    module, seen = small(), []
    with hooked(module, after={"": lambda layer, inputs, output: seen.append(layer)}):
        module(torch.randn(1, 2))
    assert seen == [module]


def test_hooks_within_hooks_are_removed_each_at_its_own_end() -> None:
    module, seen = small(), []

    def note(word: str) -> Callable[..., None]:
        return lambda layer, inputs, output: seen.append(word)

    with hooked(module, {"0": note("outer")}):
        with hooked(module, {"0": note("inner")}):
            module(torch.randn(1, 2))
        module(torch.randn(1, 2))
    module(torch.randn(1, 2))
    assert seen == ["outer", "inner", "outer"] and hooks_of(module) == 0


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_hooks_are_removed_after_an_exception_which_comes_through(error: BaseException) -> None:
    module = small()

    def fail(*arguments: object) -> None:
        raise error

    with pytest.raises(type(error)) as caught, hooked(module, {"0": fail, "2.0": fail}, {"1": fail}):
        module(torch.randn(1, 2))
    assert caught.value is error and hooks_of(module) == 0


def test_a_path_that_is_none_leaves_no_hook_on_the_others() -> None:
    module = small()
    with (
        pytest.raises(AttributeError),
        hooked(module, {"0": lambda *a: None, "2.0": lambda *a: None}, {"1": lambda *a: None, "9": lambda *a: None}),
    ):
        pytest.fail("it must not begin")
    assert hooks_of(module) == 0


# At rest


def mixed() -> nn.Sequential:
    """A network every part of which is another way: who restores by ``train(True)`` makes them all alike."""
    module = small().train()
    module[0].eval()
    module[2][1].eval()
    module[0].weight.requires_grad_(False)
    return module


@pytest.mark.parametrize("error", [None, ValueError("no"), KeyboardInterrupt()])
def test_modes_and_flags_are_exactly_what_they_were(error: BaseException | None) -> None:
    module = mixed()
    before = state_of(module)
    with suppress(ValueError, KeyboardInterrupt), at_rest(module):
        assert not any(layer.training for layer in module.modules())
        assert not any(p.requires_grad for p in module.parameters())
        if error:
            raise error
    assert state_of(module) == before
    assert [layer.training for layer in module.modules()] == [True, False, True, True, True, False]


def test_gradients_gathered_before_are_not_touched() -> None:
    module = small().eval()
    module(torch.randn(3, 2)).sum().backward()
    before = [p.grad.clone() for p in module.parameters()]
    x = torch.randn(3, 2, requires_grad=True)
    with at_rest(module):
        module(x).sum().backward()
    assert all(torch.equal(p.grad, old) for p, old in zip(module.parameters(), before, strict=True))
    assert x.grad is not None


def test_rest_within_rest_ends_at_its_own_end() -> None:
    module = mixed()
    before = state_of(module)
    with at_rest(module):
        with at_rest(module):
            pass
        assert not module.training and not module[2][0].weight.requires_grad
    assert state_of(module) == before


def test_batch_norm_learns_nothing_at_rest() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    with at_rest(module):
        module(torch.randn(2, 3, 8, 8))
    assert module[1].num_batches_tracked == 0 and module.training and module[1].training


# Nothing stays behind


def picture(side: int = 32) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def looks(name: str, judge: Network, resnet: Network, folder: Path) -> Iterator[Callable[[], object]]:
    """One way of looking into a network, again and again with other parts of it."""
    pocket, image = load("pocket"), picture()
    number = 0
    how = ExplainOptions(network="pocket", steps=2, samples=2, window=16, stride=16)
    while True:
        number += 1
        match name:
            case "taps of a chain":
                yield lambda: Taps(pocket, ["relu2_1", "relu4_1"])(image)
            case "taps, stopped on the way":
                yield lambda: Taps(resnet, ["act1", "layer2"])(image)
            case "taps and output":
                yield lambda: Taps(judge, ["features.3", "act", "output"])(image)
            case "gradients through taps":
                x = image.clone().requires_grad_()
                yield lambda x=x: torch.autograd.grad(Taps(resnet, ["layer1", "output"])(x)["output"].sum(), x)
            case "gates":
                x, rule = image.clone().requires_grad_(), ("guided", "deconvnet", "open", "rescue")[number % 4]

                def gated(x: Tensor = x, rule: Any = rule) -> None:
                    with at_rest(judge.module), Gates(rule):
                        found = Taps(judge, ["output"])(x)["output"]
                        torch.autograd.grad(found[:, 0].sum(), x)

                yield gated
            case "render":
                one = diverse(channel("features.6", number % 48), "features.3", 1.0) if number % 2 else class_score(1)
                kind = "cppn" if number % 10 == 0 else ("fourier", "pixels")[number % 2]
                rendering = Rendering(
                    (16, 16),
                    1,
                    rescue=number // 2 % 2,
                    alpha=number % 4 == 0,
                    parameterisation=kind,
                    robustness="jitter",
                )
                yield lambda u=one, h=rendering: render(judge, [u], h, per=2)
            case "attribution":
                method = [*METHODS][number % len(METHODS)]
                yield lambda m=method: attribute(judge, image, 1, m, how)
            case "scan":
                yield lambda: scan(pocket, [folder / "a.png"], ["relu1_1", "relu2_1"], size=16, top=1, bins=4)


LOOKS = (
    "taps of a chain",
    "taps, stopped on the way",
    "taps and output",
    "gradients through taps",
    "gates",
    "render",
    "attribution",
    "scan",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.effect_noise((16, 16), 90).convert("RGB").save(tmp_path / "a.png")
    return tmp_path


@pytest.mark.parametrize("name", LOOKS)
def test_after_two_hundred_looks_all_is_as_it_was(name: str, judge: Network, resnet: Network, folder: Path) -> None:
    ways = looks(name, judge, resnet, folder)
    for _ in range(20):
        next(ways)()
    gc.collect()
    before, tensors = [state_of(one.module) for one in (judge, resnet)], live_tensors()
    resident = psutil.Process().memory_info().rss
    gc.disable()  # what only the collector would find is memory that stays for a while, and on a GPU it is scarce
    try:
        for _ in range(CALLS):
            next(ways)()
        uncollected = live_tensors() - tensors
    finally:
        gc.enable()
    assert [state_of(one.module) for one in (judge, resnet)] == before
    assert uncollected <= 20
    gc.collect()
    assert live_tensors() - tensors <= 5
    assert psutil.Process().memory_info().rss - resident < 30e6, "one call's activations are 0.2 MB and more"


class Broken(Exception):
    """What goes wrong inside the network."""


@pytest.mark.parametrize("error", [Broken, KeyboardInterrupt])
@pytest.mark.parametrize("name", [name for name in LOOKS if name != "scan"])
def test_after_exceptions_all_is_as_it_was(
    name: str,
    error: type[BaseException],
    judge: Network,
    resnet: Network,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways = looks(name, judge, resnet, folder)
    next(ways)()
    gc.collect()
    before, tensors = [state_of(one.module) for one in (judge, resnet)], live_tensors()
    whole = nn.Conv2d.forward
    calls = 0

    def fail(self: nn.Conv2d, x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise error
        return whole(self, x)

    monkeypatch.setattr(nn.Conv2d, "forward", fail)
    failed = 0
    for _ in range(12):
        try:
            next(ways)()
        except error:
            failed += 1
    monkeypatch.undo()
    assert failed >= (8 if name == "attribution" else 11), "edges do not ask the network"
    assert [state_of(one.module) for one in (judge, resnet)] == before
    gc.collect()
    assert live_tensors() - tensors <= 5
    next(ways)()


def test_a_scan_that_is_interrupted_leaves_nothing(folder: Path) -> None:
    pocket = load("pocket")
    before = state_of(pocket.module)

    def stop(done: float, words: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(pocket, [folder / "a.png"], ["relu1_1"], size=16, progress=stop)
    assert state_of(pocket.module) == before
    assert tuple(Taps(pocket, ["relu1_1"])(picture())) == ("relu1_1",)


def test_nobody_hooks_by_itself() -> None:
    source = Path(__file__).parents[2] / "src" / "impasto"
    guilty = [
        path.relative_to(source)
        for path in source.rglob("*.py")
        if any(word in path.read_text() for word in ("register_forward", "register_full_backward", "register_module_"))
    ]
    assert guilty == [Path("networks/hooks.py")]
