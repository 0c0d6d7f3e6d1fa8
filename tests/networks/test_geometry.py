"""Geometry: what is measured on a network is what its layers add up to."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models
from torchvision.models.squeezenet import Fire

from impasto.networks import Network, Taps, load
from impasto.networks.geometry import TapGeometry, measure

Field = tuple[int, int, int]  # stride, pixels before and after


def step(field: Field, kernel: int, stride: int, padding: int) -> Field:
    """One layer more: position o sees the positions o·stride − padding … + kernel − 1 of the one before."""
    jump, before, after = field
    return jump * stride, before + padding * jump, after + (kernel - 1 - padding) * jump


def through(layer: nn.Module, field: Field) -> Field:
    if isinstance(layer, Fire):
        return through(layer.expand3x3, field)
    if isinstance(layer, nn.Conv2d):
        return step(field, layer.kernel_size[0], layer.stride[0], layer.padding[0])
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        return step(field, layer.kernel_size, layer.stride, layer.padding)
    assert isinstance(layer, nn.ReLU | nn.BatchNorm2d)
    return field


def by_hand(network: Network) -> dict[str, TapGeometry]:
    found, field = {}, (1, 0, 0)
    for path, layer in network.trunk:
        field = through(layer, field)
        found[path] = TapGeometry(*field)
    return found


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """VGG-19 to relu4_1, weights random: geometry does not ask for more."""
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    layers = models.vgg.make_layers(models.vgg.cfgs["E"])[:21]
    save_file({f"features.{key}": value for key, value in layers.state_dict().items()}, path)
    return load("vgg19", weights=path)


def test_the_reference_knows_the_literature() -> None:
    """The theoretical receptive fields of VGG: 3, 10, 24 and, behind the four convolutions of block 3, 68."""
    layers = models.vgg.make_layers(models.vgg.cfgs["E"])
    field: Field = (1, 0, 0)
    fields = [sum((field := through(layer, field))[1:]) + 1 for layer in layers[:21]]
    assert [fields[n] for n in (1, 6, 11, 20)] == [3, 10, 24, 68]


def test_vgg_is_what_its_layers_add_up_to(vgg: Network) -> None:
    expected = by_hand(vgg)
    names = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "pool3", "conv2_2"]
    found = Taps(vgg, names).geometry()
    assert found == {name: expected[vgg.aliases[name]] for name in names}
    assert [found[name].receptive_field for name in names[:4]] == [3, 10, 24, 68]
    assert [found[name].stride for name in names[:4]] == [1, 2, 4, 8]


def test_pocket_is_what_its_layers_add_up_to() -> None:
    pocket = load("pocket")
    assert Taps(pocket, [path for path, _ in pocket.trunk]).geometry() == by_hand(pocket)


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_squeezenet_is_what_its_layers_add_up_to(name: str, tmp_path: Path) -> None:
    """Its poolings round up and its first convolution does not pad, so sizes do not divide evenly."""
    save_file(getattr(models, name)().state_dict(), tmp_path / "net.safetensors")
    network = load(name, weights=tmp_path / "net.safetensors")
    assert Taps(network, [path for path, _ in network.trunk]).geometry() == by_hand(network)


def test_a_resnet_is_what_its_layers_add_up_to(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "net.safetensors")
    network = load("timm:resnet18", weights=tmp_path / "net.safetensors")
    field = step(step((1, 0, 0), 7, 2, 3), 3, 2, 1)
    expected = {"act1": TapGeometry(*step((1, 0, 0), 7, 2, 3))}
    for stage, stride in (("layer1", 1), ("layer2", 2)):
        for kernel_stride in (stride, 1, 1, 1):
            field = step(field, 3, kernel_stride, 1)
        expected[stage] = TapGeometry(*field)
    assert Taps(network, expected).geometry() == expected


def test_a_field_that_does_not_divide_the_picture_is_measured_all_the_same() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 5, stride=3), nn.ReLU(), nn.Conv2d(4, 4, 4, stride=2, padding=2))
    network = Network("odd", layers.requires_grad_(False).eval())
    field = step(step((1, 0, 0), 5, 3, 0), 4, 2, 2)
    assert Taps(network, ["2"]).geometry() == {"2": TapGeometry(*field)}


class SqueezeExcitation(nn.Module):
    """A gate from the mean of the whole map (Hu et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()


def test_squeeze_and_excitation_sees_everywhere_and_what_is_before_it_does_not() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), SqueezeExcitation(), nn.Conv2d(4, 4, 3, padding=1))
    found = measure(Taps(Network("se", layers.requires_grad_(False).eval()), ["0", "1", "2"]), largest=256)
    assert found["0"] == TapGeometry(1, 1, 1)
    for name in ("1", "2"):
        assert found[name].everywhere and found[name].receptive_field is None


@pytest.mark.parametrize(
    ("name", "near", "far"),
    [("test_vit", [], ["blocks.1"]), ("test_efficientnet", ["blocks.2"], ["blocks.3"])],
)
def test_timms_attention_and_gates_see_everywhere(name: str, near: list[str], far: list[str], tmp_path: Path) -> None:
    save_file(timm.create_model(name).state_dict(), tmp_path / "net.safetensors")
    network = load(f"timm:{name}", weights=tmp_path / "net.safetensors")
    found = measure(Taps(network, near + far), largest=128)
    assert [found[tap].everywhere for tap in near + far] == [False] * len(near) + [True] * len(far)


def test_a_classifier_sees_everywhere(tmp_path: Path) -> None:
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "net.safetensors")
    network = load("timm:test_resnet", weights=tmp_path / "net.safetensors")
    assert measure(Taps(network, ["fc"]), largest=128)["fc"].everywhere


def test_replicated_borders_and_other_poolings_do_not_change_it(vgg: Network, tmp_path: Path) -> None:
    state = {key: value.contiguous() for key, value in vgg.module.state_dict().items()}
    save_file(state, tmp_path / "net.safetensors")
    other = load("vgg19", weights=tmp_path / "net.safetensors", padding="replicate", pooling="average")
    names = ["relu1_1", "relu2_1", "relu3_1"]
    assert Taps(other, names).geometry() == Taps(vgg, names).geometry()


def test_measuring_leaves_nothing_behind(vgg: Network) -> None:
    def state() -> list[object]:
        hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), m.training) for m in vgg.module.modules()]
        flags = [(p.requires_grad, p.grad, p._version) for p in vgg.module.parameters()]
        return [hooks, flags, torch.is_grad_enabled()]

    before, taps = state(), Taps(vgg, ["relu1_1", "relu2_1"])
    values = taps(torch.full((1, 3, 32, 32), 0.5))
    taps.geometry()
    assert state() == before
    again = taps(torch.full((1, 3, 32, 32), 0.5))
    assert all(torch.equal(again[name], value) for name, value in values.items()), "no spoilt pixel remains"


def test_every_name_is_answered_in_the_order_asked(vgg: Network) -> None:
    names = ["relu3_1", "relu1_1", "features.1"]
    found = Taps(vgg, names).geometry()
    assert list(found) == names and found["relu1_1"] == found["features.1"]


def test_a_network_remembers_what_was_measured_of_it(vgg: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    network, measured = replace(vgg, geometry={}), []

    def count(taps: Taps) -> dict[str, TapGeometry]:
        measured.append(taps.names)
        return measure(taps)

    monkeypatch.setattr("impasto.networks.taps.measure", count)
    for names in (["relu1_1"], ["relu1_1", "relu2_1"], ["relu2_1", "relu1_1"]):
        assert list(Taps(network, names).geometry()) == names
    assert Taps(network.to("cpu"), ["relu2_1"]).geometry() == {"relu2_1": network.geometry["relu2_1"]}
    assert measured == [("relu1_1",), ("relu2_1",)]
    assert measure(Taps(vgg, ["relu1_1", "relu2_1"])) == network.geometry


def test_what_is_given_out_is_not_the_networks_own(vgg: Network) -> None:
    Taps(vgg, ["relu1_1"]).geometry().clear()
    assert list(Taps(vgg, ["relu1_1"]).geometry()) == ["relu1_1"]
