"""Our attributions are captum's, to 1e-5, wherever captum is right."""

from collections.abc import Callable

import pytest
import torch
from captum import attr
from torch import Tensor, nn

from impasto.inspection.attribution.grad_cam import grad_cam
from impasto.inspection.attribution.guided import deconvnet, guided_backprop
from impasto.inspection.attribution.integrated_gradients import integrated_gradients
from impasto.inspection.attribution.occlusion import occlusion
from impasto.inspection.attribution.saliency import gradient, saliency
from impasto.inspection.attribution.smoothgrad import smoothgrad
from impasto.networks import Network
from impasto.networks.surgery.proof import copied

pytestmark = pytest.mark.filterwarnings("ignore")


class Normalised(nn.Module):
    """A network with its normalisation, for pictures in [0, 1]: what captum is given."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module, self.normalise = network.module, network.normalise

    def forward(self, x: Tensor) -> Tensor:
        return self.module(self.normalise(x))


def near(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours - theirs[0].detach()).abs().max() <= 1e-5 * theirs.abs().max()) and bool(theirs.any())


@pytest.fixture(params=["residual", "vit"])
def network(request: pytest.FixtureRequest) -> Network:
    return request.getfixturevalue(request.param)


def test_gradients(network: Network, picture: Tensor) -> None:
    model = Normalised(network)
    assert near(saliency(network, picture, 2).values.abs(), attr.Saliency(model).attribute(picture, 2))
    assert near(gradient(network, picture, 2).values, attr.Saliency(model).attribute(picture, 2, abs=False))


@pytest.mark.parametrize("steps", [20, 23])
def test_integrated_gradients(network: Network, picture: Tensor, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.inspection.attribution.gradients.AT_ONCE", 5 * 48 * 64)
    theirs = attr.IntegratedGradients(Normalised(network)).attribute(picture, 0 * picture, 1, n_steps=steps)
    assert near(integrated_gradients(network, picture, 1, steps=steps).values, theirs)


@pytest.mark.parametrize("squared", [False, True])
def test_smoothgrad(network: Network, picture: Tensor, squared: bool) -> None:
    tunnel = attr.NoiseTunnel(attr.Saliency(Normalised(network)))
    sigma = 0.1 * float(picture.max() - picture.min())
    torch.manual_seed(5)
    kind = "smoothgrad_sq" if squared else "smoothgrad"
    theirs = tunnel.attribute(
        picture, nt_type=kind, nt_samples=4, nt_samples_batch_size=1, stdevs=sigma, target=3, abs=False
    )
    assert near(smoothgrad(network, picture, 3, samples=4, noise=0.1, seed=5, squared=squared).values, theirs)


@pytest.mark.parametrize(("window", "stride"), [(16, 8), (13, 7), (48, 48)])
def test_occlusion(network: Network, picture: Tensor, window: int, stride: int) -> None:
    network, picture = copied(network).to("cpu", torch.float64), picture.double()  # differences of like scores
    theirs = attr.Occlusion(Normalised(network)).attribute(
        picture, (3, window, window), (3, stride, stride), baselines=0.5, target=4
    )
    assert near(occlusion(network, picture, 4, window=window, stride=stride).values, theirs[:, :1])


def test_grad_cam(residual: Network, picture: Tensor) -> None:
    theirs = attr.LayerGradCam(Normalised(residual), residual.module.layer3).attribute(
        picture, 0, relu_attributions=True
    )
    theirs = attr.LayerAttribution.interpolate(theirs, (48, 64), "bilinear")
    assert near(grad_cam(residual, picture, 0, tap="layer3").values, theirs)


@pytest.mark.parametrize(("ours", "theirs"), [(guided_backprop, "GuidedBackprop"), (deconvnet, "Deconvolution")])
def test_guided(ours: Callable[..., object], theirs: str, picture: Tensor, ways: dict[str, Network]) -> None:
    network = ways["module"]
    assert near(ours(network, picture, 1).values, getattr(attr, theirs)(Normalised(network)).attribute(picture, 1))  # type: ignore[attr-defined]
