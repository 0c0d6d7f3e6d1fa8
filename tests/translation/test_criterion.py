"""What a restoration minimises, as its options have it."""

from typing import Any

import pytest
import torch

from impasto import networks
from impasto.errors import UsageError
from impasto.losses.perceptual import FeatureLoss
from impasto.losses.pixel import PIXEL_LOSSES
from impasto.runs.options_file import validate
from impasto.translation import criterion as room
from impasto.translation.criterion import criterion
from impasto.translation.options import EnhancementOptions
from impasto.translation.training_recipe import recipe_of, settled

CPU = torch.device("cpu")


def loss_of(**fields: Any) -> tuple[Any, dict[str, str]]:
    options = validate(EnhancementOptions, fields)
    return criterion(settled(options, recipe_of(options)), CPU)


@pytest.mark.parametrize("name", PIXEL_LOSSES)
def test_pixels_alone_ask_no_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "load", None)
    assert loss_of(pixel_loss=name) == (PIXEL_LOSSES[name], {})  # type: ignore[index]


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        ("jpeg:10-60", "charbonnier"),
        ("text", "mse"),
        ("watermark jpeg:60", "mse"),
        ("one-of(noise:20 | text)", "mse"),
    ],
)
def test_where_none_is_asked_for_it_suits_the_recipe(recipe: str, name: str) -> None:
    assert loss_of(recipe=recipe)[0] is PIXEL_LOSSES[name]  # type: ignore[index]


@pytest.mark.parametrize("fields", [{"features": 0.1}, {"gram": 2.0}, {"features": 1.0, "gram": 1.0}], ids=str)
def test_activations_are_those_that_describe_styles_unless_others_are_named(fields: dict[str, float]) -> None:
    loss, hashes = loss_of(pixel_loss="l1", **fields)
    pocket = networks.load("pocket")
    assert isinstance(loss, FeatureLoss) and hashes == {"pocket": pocket.sha256}
    assert loss.taps == pocket.style_taps and loss.pixels is PIXEL_LOSSES["l1"]
    assert (loss.features, loss.gram) == (fields.get("features", 0), fields.get("gram", 0))
    named, _ = loss_of(features=1, feature_taps=["relu1_1", "features.2"])
    assert named.taps == ("relu1_1", "features.2")
    assert float(named(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))) > 0.1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"feature_network": "pokcet"}, "no network 'pokcet'"),
        ({"feature_taps": ["relu1_1", "relu9_9"]}, "pocket has no tap 'relu9_9': it has .*relu"),
        ({"feature_weights": "nowhere.pth"}, "nowhere.pth"),
    ],
    ids=str,
)
def test_a_network_or_tap_that_there_is_not_is_one_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        loss_of(features=1.0, **fields)
    assert "\n" not in str(caught.value)


def test_a_network_without_taps_of_its_own_is_asked_for_some(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    bare = replace(networks.load("pocket"), style_taps=())
    monkeypatch.setattr(room.networks, "load", lambda *_, **__: bare)
    with pytest.raises(UsageError, match="pocket has no taps of its own: name some by --feature-taps"):
        loss_of(features=1.0)
    assert loss_of(features=1.0, feature_taps=["relu1_1"])[0].taps == ("relu1_1",)
