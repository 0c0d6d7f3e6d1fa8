"""An atlas's layers are those with weights, in running order, and know what feeds them."""

import itertools
from dataclasses import replace

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from impasto import networks
from impasto.errors import UsageError
from impasto.inspection.atlas.layers import AtlasLayer, atlas_layers
from impasto.networks.network import Network, chain
from impasto.networks.scratch import scratch


@pytest.fixture(scope="module")
def squeezenet() -> Network:
    torch.manual_seed(0)
    module = models.squeezenet1_0().eval().requires_grad_(False)
    return Network("squeezenet1_0", module, trunk=chain(module, "features"), classes=tuple(map(str, range(1000))))


@pytest.fixture(scope="module")
def fires(squeezenet: Network) -> tuple[AtlasLayer, ...]:
    return atlas_layers(squeezenet)


def timm_network(name: str) -> Network:
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False).eval().requires_grad_(False)
    return Network(f"timm:{name}", module, classes=tuple(map(str, range(1000))))


def test_pockets_convolutions_are_shown_after_their_relus() -> None:
    layers = atlas_layers(networks.load("pocket"))
    assert [layer.tap for layer in layers] == ["relu1_1", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu4_1"]
    assert [layer.seen for layer in layers] == [layer.tap for layer in layers]
    assert [layer.inputs for layer in layers] == [(), *((layer.tap,) for layer in layers[:-1])]
    assert [layer.channels for layer in layers] == [16, 32, 48, 96, 96, 128]
    assert {layer.kind for layer in layers} == {"3×3 convolution"}


def test_squeezenets_fires_are_one_layer_each(fires: tuple[AtlasLayer, ...]) -> None:
    numbers = (0, 3, 4, 5, 7, 8, 9, 10, 12)
    assert [layer.tap for layer in fires] == [*(f"features.{number}" for number in numbers), "classifier.1"]
    assert sum(layer.channels for layer in fires) == 3656
    assert [layer.kind for layer in fires] == ["7×7 convolution", *["Fire"] * 8, "1×1 convolution"]
    assert [layer.stride for layer in fires] == [2, 4, 4, 4, 8, 8, 8, 8, 16, 16]
    assert all(later.inputs == (earlier.tap,) for earlier, later in itertools.pairwise(fires))


def test_what_only_selects_is_folded_into_the_layer_before(fires: tuple[AtlasLayer, ...]) -> None:
    by_tap = {layer.tap: layer for layer in fires}
    assert by_tap["features.0"].folded == ("features.1", "features.2")
    assert by_tap["features.12"].folded == ("classifier.0",)
    assert by_tap["features.3"].folded == ()


def test_scores_of_classes_are_rendered_before_their_relu(fires: tuple[AtlasLayer, ...]) -> None:
    assert (fires[-1].rendered, fires[-1].seen) == ("classifier.1", "classifier.2")
    assert (fires[0].rendered, fires[0].seen) == ("features.1", "features.1")


def test_a_residual_network_of_timm_is_its_blocks() -> None:
    layers = atlas_layers(timm_network("test_resnet"))
    stem, blocks = ["conv1.0", "conv1.3", "conv1.6"], [f"layer{stage}.0" for stage in (1, 2, 3, 4)]
    assert [layer.tap for layer in layers] == [*stem, *blocks, "fc"]
    assert [layer.seen for layer in layers[:3]] == ["conv1.2", "conv1.5", "act1"]
    assert [layer.kind for layer in layers[3:6]] == ["BasicBlock", "BasicBlock", "Bottleneck"]
    assert all(later.inputs == (earlier.tap,) for earlier, later in itertools.pairwise(layers))
    assert (layers[-1].stride, layers[-1].receptive_field, layers[-1].kind) == (0, None, "fully connected")


def test_a_transformer_of_timm_is_its_blocks_and_its_scores() -> None:
    module = timm.create_model("test_vit", pretrained=False, dynamic_img_size=True).eval().requires_grad_(False)
    layers = atlas_layers(Network("timm:test_vit", module))
    assert [layer.tap for layer in layers] == [*(f"blocks.{number}" for number in range(6)), "head"]
    assert [layer.channels for layer in layers] == [64] * 6 + [1000]


def test_branches_all_feed_what_joins_them() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.left = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.right, self.last = nn.Conv2d(4, 4, 1), nn.Conv2d(8, 5, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x).relu()
            return self.last(torch.cat([self.left(x), self.right(x)], dim=1))

    layers = {layer.tap: layer for layer in atlas_layers(Network("joined", Joined().eval().requires_grad_(False)))}
    assert layers["last"].inputs == ("left", "right")
    assert layers["left"].inputs == layers["right"].inputs == ("stem",)


def test_scratch_networks_and_their_norms_are_understood() -> None:
    layers = atlas_layers(scratch("residual"))
    assert layers[0].channels == 24
    assert all(layer.inputs for layer in layers[1:])


def test_taps_that_are_asked_for_are_taken_in_running_order_under_their_own_names() -> None:
    pocket = networks.load("pocket")
    layers = atlas_layers(pocket, ["relu3_1", "conv1_1", "pool2"])
    assert [layer.tap for layer in layers] == ["relu1_1", "pool2", "relu3_1"]
    assert layers[2].inputs == ("pool2",)


@pytest.mark.parametrize(
    ("taps", "said"),
    [(("relu9_1",), "pocket has no tap 'relu9_1': it has .*relu4_1"), (("pixels",), "pixels is no layer")],
)
def test_a_wrong_tap_is_said_in_a_line(taps: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        atlas_layers(networks.load("pocket"), taps)


def test_a_network_without_convolution_is_refused() -> None:
    dense = nn.Sequential(nn.Flatten(), nn.Linear(3 * 128 * 128, 4)).eval().requires_grad_(False)
    with pytest.raises(UsageError, match="dense has no convolution"):
        atlas_layers(Network("dense", dense))


def test_nothing_stays_behind_in_the_network(squeezenet: Network) -> None:
    atlas_layers(replace(squeezenet, geometry={}), ["features.3"])
    assert not any(module._forward_hooks for module in squeezenet.module.modules())
