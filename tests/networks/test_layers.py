"""Layers exchanged: other poolings and borders, and the trained ones left alone."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from impasto.networks import Network, Taps, load
from impasto.networks.layers import AVERAGE_SCALE, L2_SCALE, Padding, Pooling, exchange

FACTOR = {"average": AVERAGE_SCALE / 4, "l2": L2_SCALE}


def pooled(x: torch.Tensor, kind: Pooling, pool: nn.MaxPool2d | None = None) -> torch.Tensor:
    layers = nn.Sequential(pool or nn.MaxPool2d(2))
    exchange(layers, pooling=kind)
    return layers(x)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    layers = models.vgg.make_layers(models.vgg.cfgs["E"])[:12]
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    save_file({f"features.{key}": value for key, value in layers.state_dict().items()}, path)
    return path


def vgg(file: Path, pooling: Pooling = "max", padding: Padding = "zeros") -> Network:
    return load("vgg19", weights=file, pooling=pooling, padding=padding)


# Pooling


@pytest.mark.parametrize("kind", ["average", "l2"])
@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.MaxPool2d((2, 3), stride=(1, 2)),
    ],
)
@pytest.mark.parametrize("size", [(8, 8), (9, 12), (7, 11)])
def test_the_size_is_that_of_max_pooling(kind: Pooling, pool: nn.MaxPool2d, size: tuple[int, int]) -> None:
    x = torch.rand(2, 5, *size)
    assert pooled(x, kind, pool).shape == pool(x).shape


def test_average_pooling_is_twice_the_mean() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert pooled(x, "average").flatten().tolist() == [5, 9, 21, 25]


def test_l2_pooling_is_the_root_of_the_sum_of_squares() -> None:
    x = torch.tensor([[3.0, 0, 1, 1], [0, 4, 1, 1]]).view(1, 1, 2, 4)
    torch.testing.assert_close(pooled(x, "l2").flatten(), L2_SCALE * torch.tensor([5.0, 2.0]))


@pytest.mark.parametrize(("kind", "reached"), [("max", 16), ("average", 64), ("l2", 64)])
def test_every_pixel_gets_a_gradient_except_from_maxima(kind: Pooling, reached: int) -> None:
    x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    pooled(x, kind).sum().backward()
    assert x.grad is not None and int((x.grad != 0).sum()) == reached


def test_the_gradient_of_an_empty_window_is_finite() -> None:
    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    pooled(x, "l2").sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["average", "l2"])
def test_the_pooling_asked_for_is_the_one_that_runs(file: Path, kind: Pooling) -> None:
    names = ["relu1_2", "pool1", "relu3_1"]
    trained, other = (Taps(vgg(file, pooling=one), names)(torch.rand(1, 3, 32, 32)) for one in ("max", kind))
    assert {n: f.shape for n, f in other.items()} == {n: f.shape for n, f in trained.items()}
    torch.testing.assert_close(other["pool1"], pooled(other["relu1_2"], kind))
    assert not torch.allclose(other["pool1"], nn.functional.max_pool2d(other["relu1_2"], 2))


@pytest.mark.parametrize("kind", ["average", "l2"])
def test_the_network_as_a_module_and_its_taps_agree(file: Path, kind: Pooling) -> None:
    network, image = vgg(file, pooling=kind, padding="replicate"), torch.rand(1, 3, 32, 32)
    tapped = Taps(network, ["relu3_1"])(image)["relu3_1"]
    torch.testing.assert_close(network.module.features(network.normalise(image)), tapped)


# Borders


def constant(network: Network, color: tuple[float, ...] = (0.2, 0.5, 0.9)) -> dict[str, torch.Tensor]:
    image = torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    return Taps(network, ["conv1_1", "relu1_1", "relu2_1", "relu3_1"])(image)


def test_replicated_borders_keep_a_plain_picture_plain(file: Path) -> None:
    for name, found in constant(vgg(file, padding="replicate")).items():
        spread = found.amax((2, 3)) - found.amin((2, 3))
        assert spread.max() < 1e-5 * found.abs().max(), name


def test_zero_borders_do_not(file: Path) -> None:
    for name, found in constant(vgg(file)).items():
        spread = found.amax((2, 3)) - found.amin((2, 3))
        assert spread.max() > 1e-2 * found.abs().max(), name


def test_borders_change_nothing_far_from_them(file: Path) -> None:
    image = torch.rand(1, 3, 64, 64)
    one, other = (Taps(vgg(file, padding=p), ["relu3_1"])(image)["relu3_1"] for p in ("zeros", "replicate"))
    inside = (..., slice(4, -4), slice(4, -4))  # the field is 24 wide, the stride 4
    torch.testing.assert_close(one[inside], other[inside])
    assert not torch.allclose(one, other)


def test_uneven_padding_is_replicated_on_the_right_sides() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 1, (3, 5), padding=(1, 2)))
    x = torch.rand(1, 1, 6, 7)
    exchange(layers, padding="replicate")
    wide = nn.functional.pad(x, (2, 2, 1, 1), mode="replicate")
    torch.testing.assert_close(layers(x), nn.functional.conv2d(wide, layers[0].weight, layers[0].bias))


# Left alone


def test_the_trained_layers_are_left_alone() -> None:
    module = models.squeezenet1_1()
    before = [(name, id(layer), getattr(layer, "padding_mode", None)) for name, layer in module.named_modules()]
    exchange(module)
    assert before == [(name, id(layer), getattr(layer, "padding_mode", None)) for name, layer in module.named_modules()]


def test_exchanging_moves_no_weights(file: Path) -> None:
    plain, other = vgg(file), vgg(file, pooling="l2", padding="replicate")
    assert plain.module.state_dict().keys() == other.module.state_dict().keys()
    for one, two in zip(plain.module.parameters(), other.module.parameters(), strict=True):
        assert torch.equal(one, two)
