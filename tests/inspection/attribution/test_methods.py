"""What every method of attribution keeps to, whatever the network."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from impasto import networks
from impasto.errors import UsageError
from impasto.inspection.attribution.attribution import Attribution
from impasto.inspection.attribution.colours import heat_map, overlay
from impasto.inspection.attribution.grad_cam import default_tap, grad_cam
from impasto.inspection.attribution.guided import guided_backprop
from impasto.inspection.attribution.integrated_gradients import integrated_gradients
from impasto.inspection.attribution.methods import METHODS, attribute
from impasto.inspection.attribution.occlusion import occlusion
from impasto.inspection.attribution.options import ExplainOptions
from impasto.networks import Network

QUICK = ExplainOptions(steps=4, samples=2, window=24)


@pytest.mark.parametrize("method", METHODS)
def test_a_relu_may_be_a_module_a_function_or_in_place(method: str, ways: dict[str, Network], picture: Tensor) -> None:
    first, *others = [attribute(network, picture, 1, method, QUICK).values for network in ways.values()]  # type: ignore[arg-type]
    assert first.any()
    for other in others:
        torch.testing.assert_close(other, first, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_map_covers_the_picture_and_nothing_stays_behind(
    method: str, ways: dict[str, Network], picture: Tensor
) -> None:
    network = ways["in place"]
    network.module.norm.train()
    network.module.head.weight.requires_grad_(True)
    before = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    try:
        found = attribute(network, picture, 1, method, QUICK)  # type: ignore[arg-type]
        assert found.map.shape == (48, 64) and found.values.shape[1:] == (48, 64)
        assert found.signed or found.map.min() >= 0
        assert network.module.norm.training and network.module.head.weight.requires_grad
        assert network.module.head.weight.grad is None
        assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.module.modules())
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.module.state_dict().items())
    finally:
        network.module.norm.eval()
        network.module.head.weight.requires_grad_(False)


class Broken(nn.Module):
    """A network that fails behind its first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 7)

    def forward(self, x: Tensor) -> Tensor:
        self.one(x)
        raise ZeroDivisionError


@pytest.mark.parametrize("method", [name for name in METHODS if name != "edges"])
def test_nothing_stays_behind_after_an_error(method: str, picture: Tensor) -> None:
    module = Broken().train()
    network = Network("broken", module, classes=("a", "b"))
    with pytest.raises(ZeroDivisionError):
        attribute(network, picture, 1, method, QUICK)  # type: ignore[arg-type]
    assert module.training and module.one.weight.requires_grad
    assert not any(layer._forward_hooks for layer in module.modules())
    assert torch.overrides._get_current_function_mode_stack() == []


def test_the_shares_of_integrated_gradients_add_up(ways: dict[str, Network], picture: Tensor) -> None:
    gaps = []
    for steps in (4, 200):
        found = integrated_gradients(ways["module"], picture, 1, baseline="gray", steps=steps).facts
        gaps.append(abs(float(found["gap"])) / abs(float(found["score"]) - float(found["baseline_score"])))
    assert gaps[1] < 2e-3 and gaps[1] < gaps[0]


@pytest.mark.parametrize("method", ["saliency", "integrated-gradients", "smoothgrad", "occlusion", "grad-cam"])
def test_a_transformer_is_explained(method: str, vit: Network, picture: Tensor) -> None:
    found = attribute(vit, picture, 1, method, QUICK)  # type: ignore[arg-type]
    assert found.map.shape == (48, 64) and not found.empty


def test_the_last_layer_through_which_the_score_runs(
    vit: Network, residual: Network, ways: dict[str, Network], picture: Tensor
) -> None:
    assert default_tap(vit, picture, 1) == "blocks.1.norm1"  # behind it, only the class token counts
    assert default_tap(residual, picture, 1) == "layer4"
    assert default_tap(ways["functional"], picture, 1) == "norm"


def test_relus_are_needed_by_what_is_about_relus(vit: Network, picture: Tensor) -> None:
    with pytest.raises(UsageError, match="runs no ReLU.*choose saliency"):
        guided_backprop(vit, picture, 1)


def test_a_score_that_no_pixel_changes_has_empty_maps(ways: dict[str, Network], picture: Tensor) -> None:
    network = ways["module"]
    dead = small_and_dead(network)
    for method in METHODS:
        if method == "edges":
            continue
        found = attribute(dead, picture, 1, method, QUICK)
        assert found.empty
        assert torch.isfinite(heat_map(found)).all() and torch.isfinite(overlay(found, picture)).all()


def small_and_dead(network: Network) -> Network:
    import copy

    module = copy.deepcopy(network.module)
    with torch.no_grad():
        module.head.weight.zero_()
    return replace(network, module=module)


@pytest.mark.parametrize(
    ("tap", "words"),
    [
        ("head", "has no positions"),
        ("tow", "has no tap 'tow': it has one, two"),
        ("output", "choose one of .* layers"),
        ("relu", "never runs relu"),
    ],
)
def test_grad_cam_says_which_layers_it_can_show(
    tap: str, words: str, ways: dict[str, Network], picture: Tensor
) -> None:
    with pytest.raises(UsageError, match=words):
        grad_cam(ways["functional"], picture, 1, tap=tap)


def test_windows_fit_the_picture(ways: dict[str, Network], picture: Tensor) -> None:
    with pytest.raises(UsageError, match="window of 49 pixels is larger than the picture of 64×48"):
        occlusion(ways["module"], picture, 1, window=49)
    with pytest.raises(UsageError, match="stride of 9 leaves pixels between windows of 8"):
        occlusion(ways["module"], picture, 1, window=8, stride=9)


def test_a_network_that_is_no_classifier_is_told_so(picture: Tensor) -> None:
    with pytest.raises(UsageError, match="pocket is no classifier"):
        attribute(networks.load("pocket"), picture, 0, "saliency", QUICK)


def test_one_bright_pixel_does_not_darken_the_rest() -> None:
    map = torch.full((40, 50), 0.1)
    map[3, 4] = 1000.0
    assert heat_map(Attribution("x", map[None], map, signed=False)).amax(1).amin() > 0.9
