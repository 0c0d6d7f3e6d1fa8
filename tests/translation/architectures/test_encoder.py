"""Encoders: a map at every scale, the pretrained network's own activations, and sizes that fit."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from impasto import networks
from impasto.errors import UsageError
from impasto.translation.architectures.encoder import ChainEncoder, TimmEncoder, depth_of, encoder, fill


def picture(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def squeezenet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.safetensors"
    save_file(models.squeezenet1_1().state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "layers", "strides", "channels"),
    [
        ("pocket", None, [1, 2, 4, 8], [16, 48, 96, 128]),
        ("vgg16", 10, [1, 2, 4], [64, 128, 128]),
        ("squeezenet1_0", None, [2, 4, 8, 16], [96, 256, 512, 512]),
        ("squeezenet1_1", None, [2, 4, 8, 16], [64, 128, 256, 512]),
        ("timm:test_resnet", None, [2, 4, 8, 16, 32], [32, 32, 48, 192, 96]),
    ],
)
def test_there_is_a_map_at_every_scale_of_exactly_that_size(
    name: str, layers: int | None, strides: list[int], channels: list[int]
) -> None:
    made = encoder(name, layers).eval()
    assert (made.strides, made.channels) == (strides, channels)
    side = 2 * strides[-1]
    with torch.no_grad():
        maps = made(picture(1, 3, side, 3 * side))
    assert [one.shape for one in maps] == [
        (1, c, side // s, 3 * side // s) for s, c in zip(strides, channels, strict=True)
    ]


def test_pocket_s_maps_are_the_network_s_activations() -> None:
    network = networks.load("pocket")
    own = encoder("pocket", depth_of(network)).eval()
    fill(own, network)
    image = picture(2, 3, 40, 24)
    taps = ("relu1_1", "relu2_2", "relu3_2", "relu4_1")
    found = networks.Taps(network, taps)(image)
    with torch.no_grad():
        for name, one in zip(taps, own(image), strict=True):
            assert one.any() and (one - found[name]).abs().max() < 1e-5 * found[name].abs().max(), name


def test_a_network_that_is_cut_makes_an_encoder_that_is_cut(tmp_path: Path) -> None:
    chance = torch.Generator().manual_seed(0)
    shapes = {"features.0": (64, 3), "features.2": (64, 64), "features.5": (128, 64)}
    state = {f"{name}.weight": torch.randn(*shape, 3, 3, generator=chance) for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.randn(shape[0], generator=chance) for name, shape in shapes.items()}
    path = tmp_path / "vgg.safetensors"
    save_file(state, path)
    network = networks.load("vgg16", weights=path)
    own = encoder("vgg16", depth_of(network))
    fill(own, network)
    assert own.strides == [1, 2] and own.channels == [64, 128]
    assert torch.equal(own.stages[1][1].weight, state["features.5.weight"])  # type: ignore[index]
    with pytest.raises(UsageError, match="vgg16 has 6 tensors of weights and the encoder 8"):
        fill(encoder("vgg16", depth_of(network) + 2), network)  # type: ignore[operator]


def test_squeezenet_s_weights_are_the_network_s_though_its_borders_are_padded(squeezenet_weights: Path) -> None:
    network = networks.load("squeezenet1_1", weights=squeezenet_weights)
    own = encoder("squeezenet1_1", depth_of(network)).eval()
    fill(own, network)
    for mine, its in zip(own.stages.state_dict().values(), network.module.features.state_dict().values(), strict=True):
        assert torch.equal(mine, its)
    image = picture(1, 3, 64, 64)
    framed = torch.nn.functional.pad(network.normalise(image), (1, 1, 1, 1))
    with torch.no_grad():
        first = own(image)[0]
        wanted = network.module.features[:2](framed)
    assert (first - wanted[..., :32, :32]).abs().max() < 1e-5
    bright = torch.zeros(1, 1, 16, 16)
    bright[..., 8, 8] = 1
    (place,) = own.stages[1][0](bright).nonzero()  # type: ignore[index, operator]
    assert place.tolist() == [0, 0, 4, 4], "position o is centred on pixels 2·o"
    # the network itself is as it was
    assert network.module.features[0].padding == (0, 0) and network.module.features[2].ceil_mode


def test_a_new_network_of_timm_remembers_no_picture() -> None:
    norms = [layer for layer in encoder("timm:test_resnet").modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms and all(layer.training and not layer.num_batches_tracked for layer in norms)


def test_a_network_of_timm_is_filled_and_normalised_its_own_way(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "resnet.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    network = networks.load("timm:test_resnet", weights=path)
    own = encoder("timm:test_resnet", depth_of(network)).eval()
    assert isinstance(own, TimmEncoder)
    image = picture(1, 3, 64, 64)
    wanted = networks.Taps(network, ["layer1", "layer4"])(image)
    with torch.no_grad():
        assert not torch.allclose(own(image)[-1], wanted["layer4"], rtol=1e-3)
        fill(own, network)
        maps = own(image)
    assert (maps[-1] - wanted["layer4"]).abs().max() < 1e-5 * wanted["layer4"].abs().max()
    assert (maps[1] - wanted["layer1"]).abs().max() < 1e-5 * wanted["layer1"].abs().max()


def test_a_map_is_the_last_before_the_next_halving() -> None:
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 1), nn.Conv2d(5, 6, 3, 2, 1)]
    made = ChainEncoder(layers, (0.0,) * 3, (1.0,) * 3)
    assert [len(stage) for stage in made.stages] == [2, 2, 1]  # type: ignore[arg-type]
    assert (made.strides, made.channels) == ([1, 2, 4], [4, 5, 6])


def test_an_encoder_has_no_hooks_and_saves_no_normalisation() -> None:
    made = encoder("pocket")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in made.modules())
    assert all(key.startswith("stages.") for key in made.state_dict())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pokcet", "no network 'pokcet'.*pocket"),
        ("timm:resnot", "timm has no model 'resnot'"),
        ("timm:vit_tiny_patch16_224", "VisionTransformer takes pictures of one size: choose a resnet"),
    ],
)
def test_an_encoder_that_there_is_not_is_one_line(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        encoder(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sides", "words"), [((64, 31), "does not halve its maps exactly"), (None, "does not give its")]
)
def test_a_network_of_timm_that_does_not_halve_is_one_line(sides: tuple[int, ...] | None, words: str) -> None:
    module = nn.Module()
    if sides:
        maps = [torch.zeros(1, 4, side, side) for side in sides]
        module.forward_intermediates = lambda image, **_: maps  # type: ignore[assignment]
    with pytest.raises(UsageError, match=words):
        TimmEncoder(module, (0.5,) * 3, (0.5,) * 3)


def test_of_maps_of_a_scale_the_deepest_is_chosen_and_weights_must_be_there() -> None:
    module = nn.Conv2d(3, 4, 1)
    maps = [torch.full((1, number, 128 // side, 128 // side), number) for number, side in enumerate((2, 2, 4, 4, 4), 1)]
    module.forward_intermediates = lambda image, **_: maps  # type: ignore[assignment, attr-defined]
    made = TimmEncoder(module, (0.5,) * 3, (0.5,) * 3)
    assert (made.strides, made.channels) == ([2, 4], [2, 5])
    assert [int(one.max()) for one in made(picture(1, 3, 128, 128))] == [2, 5]
    with pytest.raises(UsageError, match="pocket has no weights for weight: is it another network's file"):
        fill(made, networks.load("pocket"))


def test_an_encoder_begins_with_random_weights_that_pass_the_picture_on() -> None:
    torch.manual_seed(0)
    for name in ("vgg16", "squeezenet1_1"):
        made, image = encoder(name, 10).eval(), torch.rand(2, 3, 32, 32)
        with torch.no_grad():
            *_, deepest = made(image)
        assert all(p.is_cpu for p in made.parameters())
        assert deepest.isfinite().all() and 0.01 < deepest.std() < 100 and (deepest[0] - deepest[1]).abs().max() > 0.01
