"""Trained networks: what a run has made, looked into like any other network."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from impasto import networks
from impasto.errors import UsageError
from impasto.inspection.dream import default_tap
from impasto.inspection.objectives import channel, class_score
from impasto.inspection.render import Rendering, render
from impasto.inspection.units import Unit, name_of, parse_units
from impasto.learning.classifier import Classifier, classifier
from impasto.learning.classify import classify
from impasto.learning.predict import classifier_of
from impasto.learning.trained_network import as_network, trained_network
from impasto.networks import Taps
from impasto.runs.directory import RunDirectory

CLASSES = ("lying", "spots", "standing")


def weights_of(name: str, folder: Path) -> Path:
    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in timm.create_model(name).state_dict().items()}, path)
    return path


def moved(model: Classifier) -> Classifier:
    """The same after something like a training: no weight and no statistic is what it was."""
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            if value.is_floating_point():
                value.add_(torch.rand(value.shape, generator=chance) * 0.05)
    return model.eval()


PARTS = [
    {"network": "pocket"},
    {"network": "pocket", "tap": "relu2_1", "head": "pooled"},
    {"network": "pocket", "input_batch_norm": True},
    {"network": "pocket", "boxes": True},
    {"network": "scratch:plain"},
    {"network": "scratch:residual", "input_batch_norm": True},
    {"network": "timm:test_resnet"},
    {"network": "timm:test_resnet", "tap": "layer2", "input_batch_norm": True},
    {"network": "timm:test_vit"},
    {"network": "timm:test_vit", "tap": "blocks.1", "head": "pooled"},
]


@pytest.fixture(params=PARTS, ids=lambda parts: "-".join(map(str, parts.values())))
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Classifier:
    name = str(request.param["network"])
    weights = weights_of(name.removeprefix("timm:"), tmp_path) if name.startswith("timm") else None
    size = 64 if name.startswith("timm") else 32
    return moved(classifier(CLASSES, weights=weights, size=size, seed=4, **request.param))


def pictures(model: Classifier, batch: int = 3) -> Tensor:
    size = model.description.size
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(2))


def test_its_scores_are_the_classifiers(model: Classifier) -> None:
    network = as_network(model)
    with torch.no_grad():
        expected = model(pictures(model)).logits
        found = Taps(network, ["output"])(pictures(model))["output"]
        assert torch.allclose(found, expected, atol=1e-4, rtol=1e-4) and expected.std() > 0
        assert torch.allclose(network.module(network.normalise(pictures(model))), expected, atol=1e-4, rtol=1e-4)
    assert network.classes == CLASSES


def test_its_layers_have_their_old_names_and_values(model: Classifier) -> None:
    network, old = as_network(model), model.network
    tap = model.description.tap
    paths = {path for path, _ in old.module.named_modules() if path}
    assert paths - {path for path in paths if path.split(".")[0] in ("head", "input_norm")} <= set(network.tap_names())
    assert network.aliases.items() <= old.aliases.items()
    with torch.no_grad():
        seen = model.input_norm(pictures(model))
        expected = Taps(replace(old, trunk=()), [tap])(seen)[tap]
        found = Taps(network, [tap])(pictures(model))[tap]
    assert found.shape == expected.shape and found.ndim == 4, "a map, of tokens too"
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-4)


def test_its_head_is_a_tap_and_its_scores_are_those_of_the_classes(model: Classifier) -> None:
    network = as_network(model)
    found = Taps(network, ["head", "output", model.description.tap])(pictures(model).requires_grad_())
    assert torch.equal(found["head"], found["output"])
    (slope,) = torch.autograd.grad(found["output"][:, 1].sum(), found["head"], retain_graph=True)
    assert torch.equal(slope, torch.tensor([0.0, 1.0, 0.0]).expand(3, 3))
    assert [str(unit) for unit in parse_units("head", network)] == ["head:0", "head:1", "head:2"]
    assert [str(unit) for unit in parse_units("class:spots", network)] == ["output:1"]
    assert name_of(network, Unit("head", 1)) == name_of(network, Unit("output", 1)) == "spots"
    assert name_of(network, Unit(model.description.tap, 1)) == ""


def test_gradients_reach_the_picture(model: Classifier) -> None:
    image = pictures(model).requires_grad_()
    (slope,) = torch.autograd.grad(Taps(as_network(model), ["output"])(image)["output"][:, 0].sum(), image)
    assert all(one.any() for one in slope) and slope.isfinite().all()


def test_every_tap_that_it_names_runs(model: Classifier) -> None:
    """What lay behind the head's tap is gone, and is not offered to style, content or dreams."""
    network = as_network(model)
    names = {*network.style_taps, *network.content_taps, default_tap(network)}
    found = Taps(network, names)(pictures(model, 1))
    assert set(found) == names and names
    assert all(maps.ndim == 4 for maps in found.values())


def test_it_is_at_rest_and_stays_so(model: Classifier) -> None:
    network = as_network(model.train())
    assert not any(layer.training for layer in network.module.modules())
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    made = render(network, [class_score(0), class_score(1)], Rendering(size=(64, 64), steps=2, robustness="none"))
    assert made.pictures.isfinite().all()
    assert all(torch.equal(before[name], now) for name, now in network.module.state_dict().items())
    assert not any(p.requires_grad for p in network.module.parameters())


def test_all_of_it_moves_together(model: Classifier) -> None:
    """Its layers and what it holds beside them: to another precision here, to another device elsewhere."""
    network = as_network(model)
    expected = Taps(network, ["output"])(pictures(model))["output"]
    wide = network.to("cpu", torch.float64)
    found = Taps(wide, ["output"])(pictures(model).double())["output"]
    assert found.dtype == torch.float64 and torch.allclose(found.float(), expected, atol=1e-4, rtol=1e-4)
    kept = [p for name, p in model.body.named_parameters() if not name.startswith("head.")]  # its own head is gone
    assert {p.dtype for p in kept} == {torch.float64}


def test_what_lies_behind_the_heads_tap_is_not_run_and_says_so() -> None:
    network = as_network(moved(classifier(CLASSES, network="pocket", tap="relu2_1", size=32)))
    with pytest.raises(UsageError, match=r"never runs features\.8"):
        Taps(network, ["features.8"])(torch.rand(1, 3, 32, 32))
    with pytest.raises(UsageError, match="no tap 'relu4_1'"):
        Taps(network, ["relu4_1"])
    assert network.style_taps == ("relu1_1",) and list(network.aliases)[-1] == "relu2_1"


def test_its_geometry_is_that_of_its_layers() -> None:
    network = as_network(moved(classifier(CLASSES, network="pocket", size=32)))
    assert Taps(network, ["relu2_1"]).geometry() == Taps(networks.load("pocket"), ["relu2_1"]).geometry()


# Runs


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"network": "pocket", "size": 32, "stages": ("head:3", "all:1"), "device": "cpu"}
    return classify(shapes, run=tmp_path_factory.mktemp("runs") / "one", **options).run


def test_a_run_is_a_network_whose_units_differ_from_those_before(run: Path) -> None:
    network = trained_network(run)
    assert network.name == str(run) and network.classes == CLASSES and len(network.sha256) == 64
    assert trained_network(str(run)).sha256 == network.sha256 != networks.load("pocket").sha256
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = classifier_of(run)(image).logits
        assert torch.allclose(Taps(network, ["output"])(image)["output"], expected, atol=1e-5)
        before, after = (Taps(one, ["relu2_1"])(image)["relu2_1"] for one in (networks.load("pocket"), network))
    assert before.shape == after.shape and not torch.equal(before, after)


def test_units_of_a_run_can_be_rendered(run: Path) -> None:
    network = trained_network(run)
    how = Rendering(size=(32, 32), steps=20, robustness="jitter")
    made = render(network, [class_score(0), class_score(2), channel("head", 1), channel("relu2_1", 3)], how)
    scores = Taps(network, ["output"])(made.pictures[:3])["output"]
    assert scores.argmax(dim=1).tolist() == [0, 2, 1]


def test_what_is_no_finished_run_of_a_classifier_is_told(run: Path, tmp_path: Path) -> None:
    painting = RunDirectory.create(tmp_path / "painting", verb="stylize", options={}, manifest={})
    for path, words in (
        (tmp_path / "nowhere", "no run in"),
        (painting.path, "is a run of `impasto stylize`"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            trained_network(path)
        assert "\n" not in str(caught.value)
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    (damaged / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"model\.safetensors"):
        trained_network(damaged)
