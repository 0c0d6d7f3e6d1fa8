"""The catalogue: complete, true to torchvision, and its taps exist."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from impasto.errors import UsageError
from impasto.networks import Taps, load
from impasto.networks.catalogue import ENTRIES, Entry, entry

DOWNLOADED = [e for e in ENTRIES.values() if e.weights]


@pytest.mark.parametrize("one", ENTRIES.values(), ids=str)
def test_every_entry_is_complete(one: Entry) -> None:
    assert ENTRIES[one.name] is one
    assert one.about and one.licence and one.style_taps and one.content_taps
    assert "\n" not in one.about + one.licence
    assert len(set(one.style_taps)) == len(one.style_taps)
    assert (one.weights is None) == (one.name == "pocket"), "only pocket is in the package"


@pytest.mark.parametrize("one", DOWNLOADED, ids=lambda one: one.name)
def test_weights_are_those_that_torchvision_publishes(one: Entry) -> None:
    published = models.get_model_weights(one.name).IMAGENET1K_V1
    assert one.weights is not None and one.weights.url == published.url
    assert one.weights.name == published.url.rsplit("/", 1)[1]
    prefix = re.search(r"-([0-9a-f]{8,})\.pth$", published.url)
    assert prefix and one.weights.sha256.startswith(prefix[1])
    if one.weights.size is not None:
        assert one.weights.size / 2**20 == pytest.approx(published.meta["_file_size"], abs=0.001)


@pytest.mark.parametrize("one", DOWNLOADED, ids=lambda one: one.name)
def test_every_tap_is_in_the_architecture(one: Entry, tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = getattr(models, one.name)().state_dict()
    path = tmp_path / "net.safetensors"
    save_file({key: torch.zeros(t.shape) for key, t in shapes.items() if key.startswith("features.")}, path)
    network = load(one.name, weights=path)
    path.unlink()
    assert (network.style_taps, network.content_taps) == (one.style_taps, one.content_taps), "none was dropped"
    found = Taps(network, one.style_taps + one.content_taps)(torch.rand(1, 3, 32, 32))
    widths = [found[tap].shape[-1] for tap in one.style_taps]
    assert widths == sorted(widths, reverse=True), "from fine to coarse"


def test_pockets_taps_are_in_its_architecture() -> None:
    network = load("pocket")
    Taps(network, ENTRIES["pocket"].style_taps + ENTRIES["pocket"].content_taps)(torch.rand(1, 3, 32, 32))


@pytest.mark.parametrize("wrong", ["vgg99", "", "VGG19", "timm", "resnet18"])
def test_an_unknown_name_lists_those_there_are(wrong: str) -> None:
    for ask in (entry, load):
        with pytest.raises(UsageError) as caught:
            ask(wrong)
        said = str(caught.value)
        assert repr(wrong) in said and "\n" not in said
        assert all(name in said for name in [*ENTRIES, "timm:NAME"])
