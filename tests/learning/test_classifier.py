"""Classifiers: the same in a file and out of it, whatever they are made of."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from impasto import networks
from impasto.errors import UsageError
from impasto.learning.classifier import Classifier, Description, classifier, default_tap, read, save
from impasto.learning.pictures import Preprocessing
from impasto.runs import checkpoint as checkpoints
from impasto.runs.checkpoint import Checkpoint

CLASSES = ("lying", "spots", "standing")


@pytest.fixture(scope="module")
def timm_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("timm") / "resnet.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    return path


def moved(model: Classifier) -> Classifier:
    """The same after something like a training: no weight and no statistic is what it was."""
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            if value.is_floating_point():
                value.add_(torch.rand(value.shape, generator=chance) * 0.05)
    return model.eval()


@pytest.mark.parametrize(
    "parts",
    [
        {"network": "pocket"},
        {"network": "pocket", "tap": "relu2_1", "head": "pooled", "dropout": 0.4, "fit": "crop"},
        {"network": "pocket", "input_batch_norm": True, "boxes": True},
        {"network": "scratch:plain", "batch_norm": False},
        {"network": "scratch:residual", "boxes": True},
        {"network": "timm:test_resnet"},
        {"network": "timm:test_resnet", "tap": "layer2", "input_batch_norm": True},
    ],
    ids=lambda parts: "-".join(map(str, parts.values())),
)
def test_a_file_gives_back_what_went_into_it(parts: dict[str, object], timm_weights: Path, tmp_path: Path) -> None:
    weights = timm_weights if str(parts["network"]).startswith("timm") else None
    model = moved(classifier(CLASSES, weights=weights, size=48, seed=4, **parts))  # type: ignore[arg-type]
    save(model, tmp_path / "model.safetensors")
    again = read(tmp_path / "model.safetensors")
    assert again.description == model.description and not again.training
    pictures = torch.rand(3, 3, 48, 48)
    with torch.no_grad():
        said, repeated = model(pictures), again(pictures)
    assert torch.equal(said.logits, repeated.logits) and said.logits.std() > 0
    assert (said.boxes is None) == ("boxes" not in parts)
    if said.boxes is not None:
        assert torch.equal(said.boxes, repeated.boxes)
    one, other = model.state_dict(), again.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_description_stands_in_the_file(tmp_path: Path) -> None:
    model = classifier(CLASSES, network="pocket", size=40, fit="pad", head="pooled")
    save(model, tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        facts = json.loads(file.metadata()["facts"])["classifier"]
    assert facts == {
        "network": "pocket", "tap": model.description.tap, "classes": list(CLASSES), "head": "pooled", "dropout": 0.25,
        "boxes": False, "batch_norm": True, "input_batch_norm": False, "size": 40, "fit": "pad",
    }  # fmt: skip
    assert Description.model_validate(facts).preprocessing == Preprocessing(40, "pad")


def test_the_networks_weights_keep_their_names(tmp_path: Path) -> None:
    save(classifier(CLASSES, network="pocket", size=32), tmp_path / "m.safetensors")
    names = set(load_file(tmp_path / "m.safetensors"))
    assert set(networks.load("pocket").module.state_dict()) < names
    assert {name for name in names if name.startswith("impasto.")} == {
        "impasto.head.0.weight", "impasto.head.0.bias", "impasto.head.0.running_mean", "impasto.head.0.running_var",
        "impasto.head.0.num_batches_tracked", "impasto.head.2.weight", "impasto.head.2.bias",
    }  # fmt: skip


def test_batch_norm_of_the_pictures_changes_nothing_at_first() -> None:
    pictures = torch.rand(4, 3, 32, 32)
    plain = classifier(CLASSES, network="pocket", size=32).eval()
    normed = classifier(CLASSES, network="pocket", size=32, input_batch_norm=True).eval()
    with torch.no_grad():
        assert torch.allclose(normed.input_norm(pictures), pictures, atol=1e-6)
        assert torch.allclose(normed.activations(pictures), plain.activations(pictures), atol=1e-4)
    assert normed.heads() == [normed.input_norm, normed.head]
    assert plain.heads() == [plain.head]


def test_a_new_classifier_leaves_the_worlds_chance_alone_and_follows_its_seed() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, same, other = (classifier(CLASSES, network="scratch:plain", size=32, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [next(iter(model.body.parameters())) for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_the_default_tap_is_the_last_before_the_networks_own_classifier(timm_weights: Path) -> None:
    assert default_tap(networks.load("pocket")) == "relu4_1"
    assert default_tap(networks.load("timm:test_resnet", weights=timm_weights)) == "layer4"
    scratch = classifier(CLASSES, network="scratch:residual", size=32)
    assert scratch.description.tap == scratch.network.trunk[-1][0]


@pytest.mark.realdata
def test_the_default_taps_of_the_published_networks(shared: Path) -> None:
    weights = shared / "weights"
    squeezenet = networks.load("squeezenet1_0", weights=weights / "squeezenet1_0.safetensors")
    assert default_tap(squeezenet) == "features.12"
    vgg = networks.load("vgg19", weights=weights / "vgg19_to_conv3_4.safetensors")
    assert default_tap(vgg) in ("conv3_4", "relu3_4")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"network": "resnet9"}, "no network 'resnet9'"),
        ({"network": "scratch:deep"}, "no network scratch:deep: there are scratch:plain, scratch:residual"),
        ({"network": "pocket", "tap": "relu9_1"}, "pocket has no tap 'relu9_1'"),
    ],
)
def test_what_there_is_not_is_told_in_a_line(parts: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        classifier(CLASSES, **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other", "none"])
def test_a_damaged_file_is_told_in_a_line(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(classifier(CLASSES, network="pocket", size=32), path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-40])
    elif damage == "changed":
        content[-100] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        checkpoints.save(path, Checkpoint({"a": torch.zeros(1)}, {"stage": 1}))
    else:
        path.unlink()
    with pytest.raises(UsageError, match="model.safetensors") as caught:
        read(path)
    assert "\n" not in str(caught.value)
