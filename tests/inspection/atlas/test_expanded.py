"""Expanded weights are the weights where they can be read off, and derivatives of the linear path elsewhere."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.squeezenet import Fire

from impasto import networks
from impasto.inspection.atlas.content import Link
from impasto.inspection.atlas.expanded import expanded_weights, strongest
from impasto.inspection.atlas.layers import AtlasLayer, atlas_layers
from impasto.networks.network import Network, chain


@pytest.fixture(scope="module")
def squeezenet() -> Network:
    torch.manual_seed(0)
    module = models.squeezenet1_0().eval().requires_grad_(False)
    return Network("squeezenet1_0", module, trunk=chain(module, "features"), classes=tuple(map(str, range(1000))))


@pytest.fixture(scope="module")
def layers(squeezenet: Network) -> dict[str, AtlasLayer]:
    return {layer.tap: layer for layer in atlas_layers(squeezenet)}


def test_of_a_plain_convolution_they_are_its_kernel_summed_over_places() -> None:
    pocket = networks.load("pocket")
    by_tap = {layer.tap: layer for layer in atlas_layers(pocket)}
    found = expanded_weights(pocket, by_tap["relu3_2"], [by_tap["relu3_1"]])["relu3_1"]
    torch.testing.assert_close(found, pocket.module.features[10].weight.sum((2, 3)))


def test_pooling_between_changes_no_sum() -> None:
    pocket = networks.load("pocket")
    by_tap = {layer.tap: layer for layer in atlas_layers(pocket)}
    found = expanded_weights(pocket, by_tap["relu3_1"], [by_tap["relu2_2"]])["relu2_2"]
    torch.testing.assert_close(found, pocket.module.features[8].weight.sum((2, 3)))


@pytest.mark.parametrize(("tap", "before"), [("features.4", "features.3"), ("features.12", "features.10")])
def test_of_a_fire_they_are_the_product_of_its_layers_through_max_pooling_too(
    squeezenet: Network, layers: dict[str, AtlasLayer], tap: str, before: str
) -> None:
    fire = squeezenet.module.get_submodule(tap)
    assert isinstance(fire, Fire)
    expand = torch.cat([fire.expand1x1.weight.sum((2, 3)), fire.expand3x3.weight.sum((2, 3))])
    found = expanded_weights(squeezenet, layers[tap], [layers[before]])[before]
    torch.testing.assert_close(found, expand @ fire.squeeze.weight.sum((2, 3)), rtol=1e-4, atol=1e-5)


def test_they_are_finite_differences_of_a_fire_whose_relus_are_open(
    squeezenet: Network, layers: dict[str, AtlasLayer]
) -> None:
    units = [0, 5, 200]
    found = expanded_weights(squeezenet, layers["features.5"], [layers["features.4"]], units)["features.4"]
    linear = models.squeezenet1_0().features[5].eval()
    linear.load_state_dict(squeezenet.module.features[5].state_dict())
    for name in ("squeeze_activation", "expand1x1_activation", "expand3x3_activation"):
        setattr(linear, name, nn.Identity())
    linear.double()
    base = torch.zeros(1, 128, 7, 7, dtype=torch.float64)
    for channel in (0, 17, 127):
        moved = base.clone()
        moved[:, channel] += 1e-3  # at all places: the sum over them
        slope = (linear(moved) - linear(base))[0, units, 3, 3] / 1e-3
        torch.testing.assert_close(found[:, channel].double(), slope, rtol=1e-3, atol=1e-5)


def test_classes_are_made_from_the_last_fire(squeezenet: Network, layers: dict[str, AtlasLayer]) -> None:
    found = expanded_weights(squeezenet, layers["classifier.1"], [layers["features.12"]], [1, 999])["features.12"]
    torch.testing.assert_close(found, squeezenet.module.classifier[1].weight[[1, 999], :, 0, 0])


def test_the_strongest_are_named_relative_to_the_largest_of_all_layers() -> None:
    weights = {"a": np.array([[0.5, -2.0, 0.0]]), "b": np.array([[1.0]])}
    assert strongest(weights, 2, 1) == [(Link("b", 0, 0.5), Link("a", 0, 0.25))]
    assert strongest(weights, 9, -1) == [(Link("a", 1, -1.0),)]
    assert strongest({}, 3, 1) == []
