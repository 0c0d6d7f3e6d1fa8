"""Taps: the same numbers as the layers run by hand, from as few layers as needed, and nothing left behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torchvision import models

from impasto.errors import UsageError
from impasto.networks import Network, Taps, load
from impasto.networks.geometry import TapGeometry

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
VGG_NAMES = ["conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1", "conv2_1", "relu2_1", "conv2_2", "relu2_2"]
VGG_NAMES += ["pool2", "conv3_1", "relu3_1"]


def picture(height: int = 48, width: int = 64, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def normalised(image: Tensor, mean: Tensor = MEAN, std: Tensor = STD) -> Tensor:
    return (image - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)


def alike(first: Tensor, second: Tensor, tolerance: float = 1e-5) -> None:
    assert first.shape == second.shape
    apart = (first.float() - second.float()).abs().max()
    assert apart <= tolerance * second.float().abs().max() and second.abs().max() > 0


def by_hand(layers: nn.Sequential, image: Tensor) -> list[Tensor]:
    """The output of every layer, copied before the next layer can write over it."""
    found, x = [], normalised(image)
    for layer in layers:
        x = layer(x)
        found.append(x.clone())
    return found


def untidied(module: nn.Module) -> list[Any]:
    """All that a careless tap could leave in a network."""
    layers = [
        (
            name,
            m.training,
            len(m._forward_hooks),
            len(m._forward_pre_hooks),
            len(m._backward_hooks),
            m.forward,
        )
        for name, m in module.named_modules()
    ]
    tensors = [
        (name, p.requires_grad, p.grad, p.data_ptr(), p._version)
        for name, p in [*module.named_parameters(), *module.named_buffers()]
    ]
    return [layers, tensors, module.state_dict().keys(), torch.is_grad_enabled()]


@contextmanager
def calls() -> Iterator[list[nn.Module]]:
    """Every module that runs inside the block, in order."""
    ran: list[nn.Module] = []
    handle = register_module_forward_pre_hook(lambda module, inputs: ran.append(module))
    try:
        yield ran
    finally:
        handle.remove()


@pytest.fixture(scope="module")
def vgg_layers() -> nn.Sequential:
    """torchvision's VGG-19 down to relu3_1, its weights by He et al., so that activations keep their size."""
    torch.manual_seed(0)
    layers = models.vgg.make_layers(models.vgg.cfgs["E"])[:12]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.1)
    return layers.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def vgg(vgg_layers: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> Network:
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    save_file({f"features.{key}": value for key, value in vgg_layers.state_dict().items()}, path)
    return load("vgg19", weights=path)


def timm_network(name: str, folder: Path) -> tuple[nn.Module, Network]:
    """A network of timm with random weights, and what impasto makes of its file."""
    torch.manual_seed(0)
    module = timm.create_model(name).requires_grad_(False).eval()
    path = folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in module.state_dict().items()}, path)
    return module, load(f"timm:{name}", weights=path)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Network]:
    return timm_network("test_resnet", tmp_path_factory.mktemp("resnet"))


@pytest.fixture(params=["chain", "hooks"])
def either(request: pytest.FixtureRequest, vgg: Network, resnet: tuple[nn.Module, Network]) -> Taps:
    """Taps of a plain chain of layers, and of a network that has to be hooked."""
    if request.param == "chain":
        return Taps(vgg, ["conv1_1", "relu1_1", "conv2_1", "relu3_1"])
    return Taps(resnet[1], ["conv1", "bn1", "act1", "layer1", "layer2"])


# The right numbers


def test_vgg_taps_are_the_layers_run_by_hand(vgg: Network, vgg_layers: nn.Sequential) -> None:
    found = Taps(vgg, VGG_NAMES)(picture())
    assert list(found) == VGG_NAMES
    for name, expected in zip(VGG_NAMES, by_hand(vgg_layers, picture()), strict=True):
        alike(found[name], expected)


@pytest.mark.parametrize("name", VGG_NAMES)
def test_a_tap_alone_is_what_it_is_among_others(vgg: Network, name: str) -> None:
    assert torch.equal(Taps(vgg, [name])(picture())[name], Taps(vgg, VGG_NAMES)(picture())[name])


def test_the_tap_of_a_convolution_is_not_what_the_relu_behind_makes_of_it(vgg: Network) -> None:
    for names in (["conv1_1"], ["conv1_1", "relu1_1"], ["conv1_1", "relu2_1"]):
        found = Taps(vgg, names)(picture())
        assert found["conv1_1"].min() < 0
        if "relu1_1" in found:
            assert torch.equal(found["conv1_1"].relu(), found["relu1_1"])


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_squeezenet_taps_and_classes_are_torchvisions(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = getattr(models, name)().requires_grad_(False).eval()
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    network = load(name, weights=tmp_path / "net.safetensors")
    expected = by_hand(module.features, picture(96, 96))
    found = Taps(network, [f"features.{n}" for n in range(len(expected))])(picture(96, 96))
    for tap, value in zip(found.values(), expected, strict=True):
        alike(tap, value)
    inner = "features.3.squeeze_activation"  # off the chain
    squeezed = module.features[3].squeeze(expected[2]).relu()
    alike(Taps(network, [inner])(picture(96, 96))[inner], squeezed)
    alike(network.module(network.normalise(picture(96, 96))), module(normalised(picture(96, 96))))


def test_resnet_taps_are_timms(tmp_path: Path) -> None:
    module, network = timm_network("resnet18", tmp_path)
    x = module.conv1(normalised(picture()))
    expected = {
        "conv1": x.clone(),
        "bn1": (x := module.bn1(x)).clone(),
        "act1": (x := module.act1(x)).clone(),
    }
    x = module.maxpool(x)
    for stage in ("layer1", "layer2", "layer3"):
        expected[stage] = x = getattr(module, stage)(x)
    found = Taps(network, expected)(picture())
    for name, value in expected.items():
        alike(found[name], value)
    assert expected["bn1"].min() < 0 and found["layer1"].min() >= 0
    assert network.style_taps == ("act1", "layer1", "layer2", "layer3", "layer4")


def test_a_transformers_picture_is_normalised_its_own_way(tmp_path: Path) -> None:
    module, network = timm_network("test_vit", tmp_path)
    half = torch.full((3,), 0.5)
    assert network.mean == network.std == (0.5, 0.5, 0.5)
    alike(network.normalise(picture()), normalised(picture(), half, half))
    logits = Taps(network, ["head"])(picture(160, 160))["head"]
    alike(logits, module(normalised(picture(160, 160), half, half)))


def test_every_map_of_a_transformer_has_channels_rows_and_columns(tmp_path: Path) -> None:
    module, network = timm_network("test_vit", tmp_path)
    found = Taps(network, ["blocks.0", "blocks.3"])(picture(160, 96))
    half = torch.full((3,), 0.5)
    expected = module.forward_intermediates(
        normalised(picture(160, 96), half, half), indices=[0, 3], intermediates_only=True
    )
    for tap, value in zip(found.values(), expected, strict=True):
        alike(tap, value)


def test_a_picture_that_a_transformer_cannot_take_is_refused_in_one_line(tmp_path: Path) -> None:
    module, network = timm_network("vit_tiny_patch16_224", tmp_path)
    half = torch.full((3,), 0.5)
    alike(Taps(network, ["head"])(picture(224, 224))["head"], module(normalised(picture(224, 224), half, half)))
    try:
        Taps(network, ["blocks.1"])(picture(160, 160))
    except UsageError as error:
        assert "224" in str(error) and "\n" not in str(error)


def test_pictures_of_a_batch_do_not_see_each_other(either: Taps) -> None:
    both = picture(batch=2)
    together, apart = either(both), [either(both[:1]), either(both[1:])]
    for name, value in together.items():
        alike(value, torch.cat([one[name] for one in apart]))


def test_the_layout_of_the_picture_in_memory_does_not_matter(either: Taps) -> None:
    expected = either(picture())
    cropped = torch.nn.functional.pad(picture(), (3, 5, 2, 1))[..., 2:-1, 3:-5]
    assert not cropped.is_contiguous()
    for image in (picture().contiguous(memory_format=torch.channels_last), cropped):
        for name, value in either(image).items():
            alike(value, expected[name])


def test_the_picture_is_not_touched(either: Taps) -> None:
    image = picture()
    found = either(image)
    first = {name: value.clone() for name, value in found.items()}
    either(1 - image)
    assert torch.equal(image, picture()) and image._version == 0
    assert all(torch.equal(found[name], value) for name, value in first.items())


# Only as deep as needed


@pytest.mark.parametrize(("names", "convolutions"), [(["relu1_1"], 1), (["conv2_1", "relu1_2"], 3), (["pool2"], 4)])
def test_a_chain_runs_to_its_deepest_tap_once_and_no_further(vgg: Network, names: list[str], convolutions: int) -> None:
    taps = Taps(vgg, names)
    with calls() as ran:
        taps(picture())
    assert [m for m in ran if isinstance(m, nn.Conv2d)] == [
        m for m in vgg.module.modules() if isinstance(m, nn.Conv2d)
    ][:convolutions]


def test_a_hooked_network_stops_at_its_deepest_tap(resnet: tuple[nn.Module, Network]) -> None:
    network = resnet[1]
    with calls() as ran:
        Taps(network, ["layer1", "act1"])(picture())
    deeper = {*network.module.layer2.modules(), *network.module.fc.modules()}
    assert network.module.layer1 in ran and not deeper & set(ran)
    assert len(ran) == len(set(ran))


# Nothing is left behind


def test_nothing_stays_in_the_network(either: Taps) -> None:
    before = untidied(either.network.module)
    either(picture())
    image = picture().requires_grad_()
    either(image)[either.names[-1]].sum().backward()
    with torch.no_grad():
        either(picture())
    assert untidied(either.network.module) == before
    assert not any(m.training for m in either.network.module.modules())
    assert not any(p.requires_grad for p in either.network.module.parameters())


@pytest.mark.parametrize("error", [RuntimeError("no luck"), KeyboardInterrupt(), MemoryError()])
def test_nothing_stays_after_an_exception(either: Taps, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    before = untidied(either.network.module)
    layers = [m for m in either.network.module.modules() if isinstance(m, nn.Conv2d)]

    def fail(*arguments: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(layers[2], "forward", fail)
        with pytest.raises(type(error)) as caught:
            either(picture())
    assert caught.value is error, "it comes through as it was"
    assert untidied(either.network.module) == before
    assert set(either(picture())) == set(either.names), "and it works again"


# Autograd, autocast, compile


def gradient(run: Callable[[Tensor], dict[str, Tensor]], image: Tensor) -> Tensor:
    image = image.clone().requires_grad_()
    total = sum((value * value.detach().cos()).sum() for value in run(image).values())
    return torch.autograd.grad(total, image)[0]


def test_the_gradient_of_a_chain_is_the_one_by_hand(vgg: Network, vgg_layers: nn.Sequential) -> None:
    for names in (VGG_NAMES, ["relu3_1"], ["conv1_1", "pool1", "conv3_1"]):

        def hand(image: Tensor, names: list[str] = names) -> dict[str, Tensor]:
            return {n: by_hand(vgg_layers, image)[VGG_NAMES.index(n)] for n in names}

        alike(gradient(Taps(vgg, names), picture()), gradient(hand, picture()))


def test_the_gradient_of_a_hooked_network_is_the_one_by_hand(resnet: tuple[nn.Module, Network]) -> None:
    module, network = resnet
    mean, std = torch.tensor(network.mean), torch.tensor(network.std)

    def hand(image: Tensor) -> dict[str, Tensor]:
        bn1 = module.bn1(module.conv1(normalised(image, mean, std)))
        act1 = bn1.relu()
        return {"bn1": bn1, "act1": act1, "layer1": module.layer1(module.maxpool(act1))}

    alike(gradient(Taps(network, ["bn1", "act1", "layer1"]), picture()), gradient(hand, picture()))


def test_autocast_computes_in_half_and_gives_nearly_the_same(either: Taps) -> None:
    expected = either(picture())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = either(picture())
        slope = gradient(either, picture())
    assert found[either.names[0]].dtype == torch.bfloat16, "the first tap is a convolution"
    for name, value in found.items():
        alike(value, expected[name], tolerance=0.05)
    assert slope.dtype == torch.float32 and slope.isfinite().all()


def test_a_network_in_double_precision_stays_in_it(either: Taps) -> None:
    expected = either(picture())
    try:
        either.network.to("cpu", torch.float64)
        for name, value in either(picture().double()).items():
            assert value.dtype == torch.float64
            alike(value, expected[name], tolerance=1e-4)
    finally:
        either.network.to("cpu", torch.float32)


def test_compiled_taps_give_the_same(either: Taps) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(lambda image: either(image), backend="aot_eager")  # needs no compiler
    for name, value in either(picture()).items():
        alike(compiled(picture())[name], value)
    alike(gradient(compiled, picture()), gradient(either, picture()))


# Names


def test_a_name_given_twice_comes_once(vgg: Network) -> None:
    taps = Taps(vgg, ["relu2_1", "relu1_1", "relu2_1"])
    assert taps.names == ("relu2_1", "relu1_1") == tuple(taps(picture()))


def test_two_names_of_one_layer_are_both_there(vgg: Network) -> None:
    found = Taps(vgg, ["relu1_1", "features.1", "features.3", "relu1_2"])(picture())
    assert list(found) == ["relu1_1", "features.1", "features.3", "relu1_2"]
    assert torch.equal(found["relu1_1"], found["features.1"])
    assert torch.equal(found["relu1_2"], found["features.3"])


def test_the_order_asked_for_is_the_order_given(either: Taps) -> None:
    backwards = either.names[::-1]
    assert tuple(Taps(either.network, backwards)(picture())) == backwards


def test_names_may_come_from_a_generator(vgg: Network) -> None:
    assert list(Taps(vgg, (name for name in ["relu1_1"]))(picture())) == ["relu1_1"]


@pytest.mark.parametrize("wrong", ["relu1_9", "relu5_1", "", "features.", "features.99", "relu1_1 "])
def test_a_wrong_name_lists_right_ones(vgg: Network, wrong: str) -> None:
    with pytest.raises(UsageError) as caught:
        Taps(vgg, ["relu1_1", wrong])
    said = str(caught.value)
    assert repr(wrong) in said and "vgg19" in said and "\n" not in said
    listed = said.split("it has ")[1].split(" … ")[0].split(", ")
    assert listed and set(listed) <= set(vgg.tap_names())


def test_a_mistyped_name_lists_the_one_that_was_meant_first(vgg: Network) -> None:
    with pytest.raises(UsageError, match="it has relu2_1"):
        Taps(vgg, ["relu2-1"])


def test_a_group_of_layers_is_tapped_like_its_last(vgg: Network) -> None:
    for network, last in ((vgg, "relu3_1"), (load("pocket"), "relu4_1")):
        found = Taps(network, ["features", last])(picture())
        assert torch.equal(found["features"], found[last])


def test_a_layer_that_never_runs_is_refused() -> None:
    unused = nn.ModuleDict({"used": nn.Conv2d(3, 4, 3), "unused": nn.Conv2d(3, 4, 3)})
    unused.forward = lambda image: unused["used"](image)  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="never runs unused"):
        Taps(Network("odd", unused), ["used", "unused"])(picture())


# The picture itself


def test_pixels_are_the_picture_itself(either: Taps) -> None:
    found = Taps(either.network, [either.names[0], "pixels", either.names[-1]])(picture())
    assert set(found) == {either.names[0], "pixels", either.names[-1]}
    assert torch.equal(found["pixels"], picture())
    assert torch.equal(found[either.names[-1]], either(picture())[either.names[-1]])
    image = picture().requires_grad_()
    (slope,) = torch.autograd.grad(Taps(either.network, ["pixels"])(image)["pixels"].square().sum(), image)
    assert torch.equal(slope, 2 * picture())


def test_the_geometry_of_pixels_is_that_of_a_pixel(vgg: Network) -> None:
    for names in (["pixels"], ["pixels", "relu2_1"], ["relu1_1", "pixels"]):
        geometry = Taps(vgg, names).geometry()
        assert list(geometry) == names
        assert geometry["pixels"] == TapGeometry(1, 0, 0) and geometry["pixels"].receptive_field == 1


def test_pixels_alone_run_no_network(either: Taps) -> None:
    with calls() as ran:
        found = Taps(either.network, ["pixels"])(picture(1, 1))
    assert ran == [] and list(found) == ["pixels"]


# Pictures too small


@pytest.mark.parametrize("names", [["relu1_1", "relu3_1"], ["relu3_1", "relu1_1"]])
def test_a_picture_too_small_is_refused_and_the_tap_out_of_reach_is_named(vgg: Network, names: list[str]) -> None:
    before = untidied(vgg.module)
    with pytest.raises(UsageError, match=r"3×2 pixels.*too small for vgg19 to relu3_1"):
        Taps(vgg, names)(picture(2, 3))
    assert untidied(vgg.module) == before
    assert Taps(vgg, ["relu3_1"])(picture(4, 4))["relu3_1"].shape[-2:] == (1, 1)


def test_a_picture_too_small_for_a_hooked_network_is_refused(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 7), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3)).requires_grad_(False)
    with pytest.raises(UsageError, match="8×8 pixels is too small for odd"):
        Taps(Network("odd", module), ["2"])(picture(8, 8))


def test_other_errors_are_not_mistaken_for_a_small_picture(vgg: Network) -> None:
    with pytest.raises(RuntimeError):
        Taps(vgg, ["relu1_1"])(torch.rand(1, 4, 16, 16))


# Real weights


@pytest.mark.realdata
def test_a_shortened_file_gives_the_network_down_to_where_it_ends(shared: Path) -> None:
    network = load("vgg19", weights=shared / "weights" / "vgg19_to_conv3_4.safetensors")
    assert network.style_taps == ("relu1_1", "relu2_1", "relu3_1")
    assert set(network.content_taps) <= set(network.aliases)
    found = Taps(network, ["conv3_4", "relu3_4"])(picture())
    assert found["relu3_4"].shape == (1, 256, 12, 16) and torch.equal(found["conv3_4"].relu(), found["relu3_4"])
    with pytest.raises(UsageError, match=r"no tap 'relu4_1'.*relu3_4"):
        Taps(network, ["relu4_1"])


@pytest.mark.realdata
def test_squeezenet_knows_the_classes_of_imagenet(shared: Path) -> None:
    from torchvision.transforms.v2.functional import center_crop, resize

    from impasto.images import read

    network = load("squeezenet1_0", weights=shared / "weights" / "squeezenet1_0.safetensors")
    files = sorted(path for path in (shared / "data" / "imagenet-1k-samples").rglob("*") if path.is_file())
    assert len(files) == 1000
    right = 0
    with torch.no_grad():
        for number in range(0, 1000, 25):
            image = center_crop(resize(read(files[number]).pixels, [224], antialias=True), [224, 224])
            right += int(network.module(network.normalise(image)).argmax()) == number
    assert right / 40 > 0.4


# The output of a classifier


class Classifying(nn.Module):
    """A small classifier whose ReLUs work in place, one of them in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.first(x)))
        x = self.act(self.second(x) + x)
        return self.head(x.mean((2, 3)))


@pytest.fixture
def classifying() -> Network:
    torch.manual_seed(0)
    module = Classifying().eval().requires_grad_(False)
    return Network("small", module, classes=("a", "b", "c", "d"))


@pytest.fixture
def squeezenet(tmp_path: Path) -> Network:
    torch.manual_seed(0)
    save_file(models.squeezenet1_1().state_dict(), tmp_path / "net.safetensors")
    return load("squeezenet1_1", weights=tmp_path / "net.safetensors")


def test_the_output_is_what_the_whole_network_says(classifying: Network, squeezenet: Network) -> None:
    for network in (classifying, squeezenet):
        expected = network.module(network.normalise(picture()))
        alone = Taps(network, ["output"])(picture())
        assert list(alone) == ["output"] and torch.equal(alone["output"], expected)
        deepest = network.tap_names()[0]
        among = Taps(network, [deepest, "output", "pixels"])(picture())
        alike(among["output"], expected)
        assert set(among) == {deepest, "output", "pixels"}
        alike(among[deepest], Taps(network, [deepest])(picture())[deepest])


def test_the_output_comes_for_every_picture_of_a_batch(classifying: Network) -> None:
    assert Taps(classifying, ["output"])(picture(batch=3))["output"].shape == (3, 4)


def test_the_output_of_what_is_no_classifier_is_refused(vgg: Network) -> None:
    for network in (vgg, load("pocket")):
        with pytest.raises(UsageError, match=f"{network.name} is no classifier"):
            Taps(network, ["output"])
        assert "output" not in network.tap_names()


def test_the_output_is_among_the_names_of_a_classifier(classifying: Network) -> None:
    assert classifying.tap_names()[-1] == "output"
    with pytest.raises(UsageError, match=r"no tap 'outptu': it has .*output"):
        Taps(classifying, ["outptu"])


@pytest.mark.parametrize("tap", ["first", "norm", "second"])
def test_the_scores_gradient_at_a_tap_is_the_one_by_hand(classifying: Network, tap: str) -> None:
    module = classifying.module
    assert isinstance(module, Classifying)
    found = Taps(classifying, [tap, "output"])(picture().requires_grad_())
    (slope,) = torch.autograd.grad(found["output"][:, 2].sum(), found[tap])
    steps = {"first": module.first, "norm": module.norm, "second": module.second}
    x = normalised(picture()).requires_grad_()
    by_name: dict[str, Tensor] = {}
    by_name["first"] = steps["first"](x)
    by_name["norm"] = steps["norm"](by_name["first"])
    shortcut = by_name["norm"].relu()
    by_name["second"] = steps["second"](shortcut)
    scores = module.head((by_name["second"] + shortcut).relu().mean((2, 3)))
    (expected,) = torch.autograd.grad(scores[:, 2].sum(), by_name[tap])
    alike(slope, expected)
    alike(found[tap], by_name[tap])


def test_the_gradient_runs_through_every_tap_of_a_chain(vgg: Network) -> None:
    found = Taps(vgg, VGG_NAMES)(picture().requires_grad_())
    weight = found["relu3_1"].detach().cos()
    slopes = torch.autograd.grad((found["relu3_1"] * weight).sum(), [found[name] for name in VGG_NAMES])
    for name, slope in zip(VGG_NAMES, slopes, strict=True):
        assert slope.shape == found[name].shape and slope.any(), name
    relu = VGG_NAMES.index("relu2_1")
    assert torch.equal(slopes[relu - 1], slopes[relu] * (found["conv2_1"] > 0))


def test_the_gradient_runs_through_every_tap_of_a_hooked_network(resnet: tuple[nn.Module, Network]) -> None:
    names = ["conv1", "bn1", "act1", "layer1", "layer2", "layer3", "layer4"]
    network = resnet[1]
    found = Taps(network, [*names, "output"])(picture().requires_grad_())
    slopes = torch.autograd.grad(found["output"][:, 1].sum(), [found[name] for name in names])
    assert all(slope.any() for slope in slopes)
    assert torch.equal(slopes[1], slopes[2] * (found["bn1"] > 0))


def test_a_value_in_place_of_a_taps_changes_what_comes_after(classifying: Network) -> None:
    """What occlusion of channels, or a patched activation, relies on."""
    from impasto.networks.hooks import hooked

    with hooked(classifying.module, {"second": lambda layer, inputs, output: torch.zeros_like(output)}):
        found = Taps(classifying, ["second", "output"])(picture())
    assert not found["second"].any()
    module = classifying.module
    assert isinstance(module, Classifying)
    shortcut = module.norm(module.first(normalised(picture()))).relu()
    alike(found["output"], module.head(shortcut.mean((2, 3))))


def test_a_relu_in_place_behind_a_tap_leaves_its_value_alone(classifying: Network) -> None:
    module = classifying.module
    assert isinstance(module, Classifying)
    expected = module.norm(module.first(normalised(picture()))).clone()
    for names in (["norm"], ["norm", "second"], ["norm", "output"], ["first", "norm", "head", "output"]):
        found = Taps(classifying, names)(picture())
        alike(found["norm"], expected)
        assert found["norm"].min() < 0
        first = found["norm"].clone()
        Taps(classifying, names)(1 - picture())
        assert torch.equal(found["norm"], first)


def test_a_layer_that_runs_twice_is_tapped_the_same_whatever_else_is_tapped(classifying: Network) -> None:
    alone = Taps(classifying, ["act"])(picture())["act"]
    for others in (["second"], ["head"], ["output"], ["first", "head", "output"]):
        assert torch.equal(Taps(classifying, ["act", *others])(picture())["act"], alone), others


# Hooks, and taps, around taps


def test_hooks_around_a_chain_see_its_layers_too(vgg: Network) -> None:
    from impasto.networks.hooks import hooked

    seen: dict[str, Tensor] = {}

    def note(path: str) -> Callable[..., None]:
        return lambda layer, inputs, output: seen.update({path: output})

    with hooked(vgg.module, {path: note(path) for path, _ in vgg.trunk}):
        Taps(vgg, ["conv2_1"])(picture())
    expected = Taps(vgg, [path for path, _ in vgg.trunk[:6]])(picture())
    assert list(seen) == [path for path, _ in vgg.trunk[:6]]
    for path, value in expected.items():
        alike(seen[path], value)


class Within(nn.Module):
    """A network that taps another, as a trained classifier does."""

    def __init__(self, network: Network, tap: str) -> None:
        super().__init__()
        self.body = network.module
        self._taps = (Taps(network, [tap]), tap)

    def forward(self, x: Tensor) -> Tensor:
        taps, tap = self._taps
        return 2 * taps(x)[tap].mean((2, 3))


def test_taps_run_within_taps(resnet: tuple[nn.Module, Network]) -> None:
    inner = resnet[1]
    outer = Network("outer", Within(inner, "layer2"), mean=(0.0,) * 3, std=(1.0,) * 3, classes=("a", "b"))
    before = untidied(inner.module)
    expected = Taps(inner, ["bn1", "layer1", "layer2"])(picture())
    for names in (["bn1"], ["bn1", "layer1"], ["bn1", "layer1", "layer2"]):
        found = Taps(outer, [f"body.{name}" for name in names])(picture())
        for name in names:
            alike(found[f"body.{name}"], expected[name])
        whole = Taps(outer, [*(f"body.{name}" for name in names), "output"])(picture().requires_grad_())
        alike(whole["output"], 2 * expected["layer2"].mean((2, 3)))
        (slope,) = torch.autograd.grad(whole["output"].sum(), whole["body.bn1"])
        assert slope.any()
    assert untidied(inner.module) == before
    with pytest.raises(UsageError, match=r"outer never runs body\.layer3"):
        Taps(outer, ["body.layer3"])(picture())
    assert untidied(inner.module) == before


def test_activations_go_when_they_are_let_go(either: Taps) -> None:
    """A cycle of references would keep them until the collector comes by, which no GPU can wait for."""
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        found = either(picture().requires_grad_())
        held = [weakref.ref(value) for value in found.values()]
        del found
        assert [ref() for ref in held] == [None] * len(held)
    finally:
        gc.enable()
