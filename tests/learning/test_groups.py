"""Layer groups: every layer below the tap once, from the lowest up, cut where a stage begins."""

from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file
from torch import nn

from impasto import networks
from impasto.errors import UsageError
from impasto.learning.classifier import default_tap
from impasto.learning.groups import Groups, from_layer, layer_groups, parameters_of
from impasto.networks import Network
from impasto.networks.scratch import scratch

# small networks of every build that timm has: stages, blocks that carry weights of their own, a transformer
TIMM = ("test_resnet", "test_convnext", "test_efficientnet", "test_vit", "mobilenetv3_small_050")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Network]:
    found = {}
    for name in TIMM:
        path = tmp_path_factory.mktemp("timm") / f"{name}.safetensors"
        save_file({k: v.contiguous() for k, v in timm.create_model(name).state_dict().items()}, path)
        found[name] = networks.load(f"timm:{name}", weights=path)
    return found


def below(network: Network, tap: str) -> set[nn.Parameter]:
    """The parameters that lie at or before a tap in running order, of a network without branches around it."""
    order = list(dict(network.module.named_modules()))
    path = network.aliases.get(tap, tap)
    last = max(place for place, name in enumerate(order) if name == path or name.startswith(f"{path}."))
    before = set(order[: last + 1])
    return {p for name, p in network.module.named_parameters() if name.rpartition(".")[0] in before}


def each_once(network: Network, groups: Groups) -> set[nn.Parameter]:
    found = [p for names in groups for p in parameters_of(network.module, names)]
    assert len({id(p) for p in found}) == len(found), "an optimizer refuses a parameter in two groups"
    return set(found)


@pytest.mark.parametrize("tap", ["relu1_1", "relu2_2", "relu3_2"])
def test_a_chain_is_cut_where_it_shrinks(tap: str) -> None:
    pocket = networks.load("pocket")
    groups = layer_groups(pocket, tap)
    assert groups == (("features.0",), ("features.3", "features.5"), ("features.8", "features.10"))[: int(tap[4])]
    assert each_once(pocket, groups) == below(pocket, tap)


@pytest.mark.realdata
def test_squeezenets_fires_are_grouped_by_its_pools(shared: Path) -> None:
    squeezenet = networks.load("squeezenet1_0", weights=shared / "weights" / "squeezenet1_0.safetensors")
    groups = layer_groups(squeezenet, default_tap(squeezenet))
    parts = [sorted({int(name.split(".")[1]) for name in names}) for names in groups]
    assert parts == [[0], [3, 4, 5], [7, 8, 9, 10], [12]]
    assert each_once(squeezenet, groups) == below(squeezenet, default_tap(squeezenet))
    upper = from_layer(squeezenet, groups, "features.9")
    assert {name.split(".")[1] for names in upper for name in names} == {"9", "10", "12"}
    within = from_layer(squeezenet, groups, "features.9.expand3x3")
    assert within[0][0] == "features.9.expand3x3" and len(each_once(squeezenet, within)) == 2 + 6 + 6


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_networks_from_scratch_have_groups(kind: str) -> None:
    network = scratch(kind)  # type: ignore[arg-type]
    groups = layer_groups(network, default_tap(network))
    assert len(groups) >= 3
    assert each_once(network, groups) == set(network.module.parameters())


@pytest.mark.parametrize("name", TIMM)
def test_timms_stages_are_groups(name: str, untrained: dict[str, Network]) -> None:
    network = untrained[name]
    groups = layer_groups(network, default_tap(network))
    assert len(groups) == len(network.style_taps)
    assert each_once(network, groups) == below(network, default_tap(network))


def test_layers_above_the_tap_are_in_no_group(untrained: dict[str, Network]) -> None:
    network = untrained["test_resnet"]
    groups = layer_groups(network, "layer2")
    assert each_once(network, groups) == below(network, "layer2")
    assert not any(name.startswith(("layer3", "layer4", "fc")) for names in groups for name in names)


def test_a_stage_begins_within_a_group_or_at_one(untrained: dict[str, Network]) -> None:
    pocket, resnet = networks.load("pocket"), untrained["test_resnet"]
    groups = layer_groups(pocket, "relu3_2")
    assert from_layer(pocket, groups, "features.5") == (("features.5",), ("features.8", "features.10"))
    assert from_layer(pocket, groups, "conv2_2") == from_layer(pocket, groups, "features.5")
    assert from_layer(pocket, groups, "relu2_2") == (("features.8", "features.10"),)
    assert from_layer(pocket, groups, "features") == groups
    deep = layer_groups(resnet, "layer4")
    assert from_layer(resnet, deep, "layer3") == deep[-2:]
    assert from_layer(resnet, deep, "layer4.0.conv2")[0][0] == "layer4.0.conv2"


@pytest.mark.parametrize(("layer", "near"), [("relu9_1", "relu2_2"), ("features.14", "features.8"), ("haed", "relu")])
def test_a_layer_that_is_not_there_is_named_with_those_that_are(layer: str, near: str) -> None:
    pocket = networks.load("pocket")
    with pytest.raises(UsageError, match=f"pocket has no layer {layer!r} to train from: .*{near}"):
        from_layer(pocket, layer_groups(pocket, "relu3_1"), layer)
