"""Metrics: values worked out by hand, other people's code, and the published rows of bicubic and JPEG."""

import importlib.util
import io
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from skimage.metrics import structural_similarity
from torch import Tensor

from impasto import networks
from impasto.errors import UsageError
from impasto.images import read
from impasto.images.resample import imresize, round_to_8_bits
from impasto.translation.metrics import colourfulness, feature_distance, lpips, psnr, psnr_b, ssim, y_channel

Metric = Callable[..., Tensor]


def noisy_pair(*shape: int, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    generator = torch.manual_seed(0)
    target = torch.rand(*shape, generator=generator)
    return (target + noise * torch.randn(*shape, generator=generator)).clamp(0, 1), target


def gray(levels: object) -> Tensor:
    return torch.as_tensor(levels, dtype=torch.float32)[None, None] / 255


def test_y_is_matlabs() -> None:
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    expected = torch.tensor([16, 235, 81.481, 144.553, 40.966])
    assert torch.allclose(y_channel(colours.view(5, 3, 1, 1)).flatten(), expected)


def test_psnr_by_hand() -> None:
    target = torch.full((2, 1, 4, 4), 100 / 255)
    output = target.clone()
    output[0] += 10 / 255
    found = psnr(output, target, colour="gray")
    assert found[0].item() == pytest.approx(10 * math.log10(255**2 / 100)) and found[1] == torch.inf


def test_a_gray_picture_has_a_narrower_y() -> None:
    """The trap of Set14's gray picture: taken for RGB, it seems 1.3 dB better."""
    output, target = (image.expand(1, 3, 32, 32) for image in noisy_pair(1, 1, 32, 32))
    narrower = psnr(output, target, rounded=False) - psnr(output, target, colour="gray", rounded=False)
    assert narrower.item() == pytest.approx(20 * math.log10(255 / 219), abs=1e-4)
    assert torch.allclose(psnr(output, target, colour="gray"), psnr(output[:, :1], target[:, :1], colour="gray"))


def test_what_is_rounded_is_what_a_file_would_hold() -> None:
    output, target = noisy_pair(2, 3, 20, 20, noise=0.01)
    wild = output * 3 - 1
    filed, true = round_to_8_bits(wild).double(), round_to_8_bits(target).double()
    assert torch.equal(psnr(wild, target, colour="rgb"), psnr(filed, true, colour="rgb"))
    error = ((y_channel(filed) + 0.5).floor() - (y_channel(true) + 0.5).floor()).square().mean((1, 2, 3))
    assert torch.allclose(psnr(wild, target), 10 * torch.log10(255**2 / error))
    error = (y_channel(filed) - y_channel(true)).square().mean((1, 2, 3))
    assert torch.allclose(psnr(wild, target, rounded="image"), 10 * torch.log10(255**2 / error))
    error = (wild.double() - target.double()).square().mean((1, 2, 3))
    assert torch.allclose(psnr(wild, target, colour="rgb", rounded=False), -10 * torch.log10(error))


@pytest.mark.parametrize("metric", [psnr, ssim, psnr_b])
def test_the_border_does_not_count_and_each_image_is_judged_alone(metric: Metric) -> None:
    output, target = noisy_pair(3, 3, 30, 40)
    spoilt = torch.ones_like(output)
    spoilt[..., 4:-4, 4:-4] = output[..., 4:-4, 4:-4]
    together = metric(spoilt, target, border=4)
    assert together.shape == (3,) and torch.equal(together, metric(output, target, border=4))
    assert not torch.allclose(together, metric(spoilt, target))
    for index in range(3):
        assert torch.allclose(metric(output[index, None], target[index, None], border=4), together[index])


@pytest.mark.parametrize("colour", ["y", "rgb", "gray"])
def test_ssim_is_scikit_images(colour: str) -> None:
    output, target = noisy_pair(1, 3, 40, 53, noise=0.2)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1) * 255
    planes = {"y": y_channel, "rgb": lambda x: 255 * x, "gray": lambda x: (x * weights).sum(1, keepdim=True)}[colour]
    first, second = (planes(image.double())[0].numpy() for image in (output, target))
    theirs = structural_similarity(
        first,
        second,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=0,
    )
    assert ssim(output, target, colour=colour, rounded=False).item() == pytest.approx(theirs, abs=1e-6)
    assert ssim(target, target, colour=colour).item() == pytest.approx(1)


def test_psnr_b_by_hand() -> None:
    """16×16, left half 100 and right half 104 against 102: error 4, steps of 16 at the block's vertical border alone."""
    levels = torch.full((16, 16), 100.0)
    levels[:, 8:] = 104
    at_border = 16 * 16 / (16 + 16)  # of the 16 pairs over each of the two inner borders, those over one differ
    expected = 10 * math.log10(255**2 / (4 + math.log2(8) / math.log2(16) * at_border))
    target = torch.full((16, 16), 102)
    assert psnr_b(gray(levels), gray(target)).item() == pytest.approx(expected)
    # steps within blocks are no blocks: then it is the PSNR
    moved = gray(levels).roll(4, -1)
    assert psnr_b(moved, gray(target)).item() == psnr(moved, gray(target), colour="gray").item()
    # and the grid stays that of the whole picture when its border is left out
    shaved = psnr_b(gray(levels), gray(target), border=3).item()
    assert shaved < psnr(gray(levels), gray(target), border=3, colour="gray").item()


def test_without_a_border_between_blocks_psnr_b_is_psnr() -> None:
    output, target = noisy_pair(2, 1, 8, 8)
    assert torch.equal(psnr_b(output, target), psnr(output, target, colour="gray"))


def test_colourfulness_by_hand() -> None:
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    both = red.clone()
    both[..., 2:] = torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1)  # half blue: rg 255 or 0, yb 127.5 or −255
    deviation = math.hypot(127.5, 191.25)
    expected = [0.3 * math.hypot(255, 127.5), deviation + 0.3 * math.hypot(127.5, -63.75)]
    assert torch.allclose(colourfulness(torch.cat([red, both])), torch.tensor(expected, dtype=torch.float64))
    assert colourfulness(torch.rand(1, 1, 9, 9).expand(1, 3, 9, 9)).item() == pytest.approx(0, abs=1e-4)


def test_chroma_does_not_see_lightness() -> None:
    _, target = noisy_pair(1, 3, 16, 16)
    assert psnr(target * 0.5 + 0.2, target * 0.5, colour="chroma", rounded=False).item() > 120
    assert psnr(target.flip(1), target, colour="chroma").item() < 20


@pytest.mark.parametrize(
    ("metric", "output", "target", "arguments", "words"),
    [
        (psnr, (1, 3, 8, 8), (1, 3, 8, 9), {}, "1×3×8×8 and 1×3×8×9 cannot be compared"),
        (psnr, (1, 3, 8, 8), (1, 3, 8, 8), {"border": 4}, "nothing is left of 8×8 pixels"),
        (psnr, (1, 1, 8, 8), (1, 1, 8, 8), {}, "the colour y is made of three channels, and these images have 1"),
        (psnr, (1, 3, 8, 8), (1, 3, 8, 8), {"colour": "red"}, "no colour 'red'"),
        (ssim, (1, 3, 10, 30), (1, 3, 10, 30), {}, "window of 11×11"),
        (psnr_b, (1, 1, 1, 30), (1, 1, 1, 30), {}, "a single row"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    metric: Metric, output: tuple[int, ...], target: tuple[int, ...], arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        metric(torch.rand(output), torch.rand(target), **arguments)


@pytest.fixture(scope="module")
def torchmetrics_lpips() -> ModuleType:
    """The one file of torchmetrics; to import the package takes seconds."""
    origin = importlib.util.find_spec("torchmetrics").origin  # type: ignore[union-attr]
    path = Path(origin).parent / "functional/image/lpips.py"  # type: ignore[arg-type]
    spec = importlib.util.spec_from_file_location("torchmetrics_lpips", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    stand_ins = {name: ModuleType(name) for name in ("torchmetrics", "torchmetrics.utilities")}
    stand_ins["torchmetrics.utilities.imports"] = ModuleType("imports")
    stand_ins["torchmetrics.utilities.imports"]._TORCHVISION_AVAILABLE = True  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in stand_ins.items():
            patch.setitem(sys.modules, name, stand_in)
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


@pytest.mark.parametrize(("network", "theirs"), [("squeezenet1_1", "squeeze"), ("vgg16", "vgg")])
def test_lpips_is_torchmetrics_on_the_same_weights(
    network: str, theirs: str, torchmetrics_lpips: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("meta"):
        backbone = getattr(torchvision.models, network)().features
    backbone.to_empty(device="cpu")
    generator = torch.manual_seed(1)
    for parameter in backbone.parameters():
        parameter.data.normal_(
            std=(2 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.1, generator=generator
        )
    monkeypatch.setattr(torchmetrics_lpips, "_get_tv_model_features", lambda name, pretrained: backbone)
    reference = torchmetrics_lpips._LPIPS(net=theirs)
    weights = tmp_path / "weights.safetensors"
    save_file({f"features.{name}": value for name, value in backbone.state_dict().items()}, weights)
    output, target = noisy_pair(2, 3, 48, 70)
    ours = lpips(output, target, network=network, weights=weights, rounded=False)
    expected = reference(output, target, normalize=True).flatten()
    assert torch.allclose(ours, expected, rtol=1e-4) and (ours > 0.001).all()
    assert lpips(target, target, network=network, weights=weights).tolist() == [0, 0]


def test_lpips_of_a_network_without_heads_is_one_line() -> None:
    with pytest.raises(UsageError, match="no heads for 'pocket': it has some for squeezenet1_1, vgg16"):
        lpips(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), network="pocket")


def test_lpips_without_torchmetrics_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install torchmetrics"):
        lpips(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), weights="nowhere")


def test_feature_distance_is_zero_of_equal_ones_and_grows_with_noise_and_with_blur() -> None:
    pocket = networks.load("pocket")
    target = torch.rand(1, 3, 12, 12, generator=torch.manual_seed(0))
    target = imresize(target, scale=6).clamp(0, 1)
    noise = torch.randn(target.shape, generator=torch.manual_seed(1))
    assert feature_distance(target, target, pocket).item() == 0
    noisy = [feature_distance((target + s * noise).clamp(0, 1), target, pocket).item() for s in (0.02, 0.1, 0.3)]
    assert 0 < noisy[0] < noisy[1] < noisy[2] < 4 * len(pocket.style_taps)
    blurred = imresize(imresize(target, scale=0.1), size=(72, 72))
    assert feature_distance(blurred, target, pocket).item() > noisy[0]


def test_feature_distance_takes_taps_and_judges_each_image_alone() -> None:
    pocket = networks.load("pocket")
    output, target = noisy_pair(2, 3, 40, 40)
    one, other = (feature_distance(output, target, pocket, taps=(tap,)) for tap in ("relu1_1", "relu2_1"))
    assert torch.allclose(one + other, feature_distance(output, target, pocket, taps=("relu1_1", "relu2_1")))
    assert torch.allclose(feature_distance(output[1:], target[1:], pocket, taps=("relu1_1",)), one[1:])


BICUBIC = [
    ("Set5", 2, 33.66, 0.9299),
    ("Set5", 3, 30.39, 0.8682),
    ("Set5", 4, 28.42, 0.8104),
    ("Set14", 4, 26.00, 0.7027),
]


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "scale", "decibels", "similarity"), BICUBIC)
def test_the_published_rows_of_bicubic(shared: Path, name: str, scale: int, decibels: float, similarity: float) -> None:
    by_colour, by_y = [], []
    for file in sorted((shared / f"data/super-resolution/{name}/x{scale}").glob("*_HR.png")):
        picture = read(file)
        true = picture.pixels[..., : picture.height // scale * scale, : picture.width // scale * scale].double()
        up = imresize(round_to_8_bits(imresize(true, scale=1 / scale)), scale=scale)
        how = {"border": scale, "colour": "gray" if picture.mode == "L" else "y"}
        by_colour.append([psnr(up, true, **how).item(), ssim(up, true, **how).item()])
        # as SRCNN's code has it, whose table it was first: Y alone, and nothing rounded between
        plane = ((true[:, :1] * 255 if picture.mode == "L" else y_channel(true)) + 0.5).floor() / 255
        made = imresize(imresize(plane, scale=1 / scale), scale=scale)
        by_y.append(psnr(made, plane, border=scale, colour="gray").item())
    found = np.mean(by_colour, axis=0)
    assert found[0] == pytest.approx(decibels, abs=0.02)
    assert found[1] == pytest.approx(similarity, abs=0.0005)
    assert np.mean(by_y) == pytest.approx(decibels, abs=0.006)


@pytest.mark.realdata
def test_the_published_row_of_jpeg(shared: Path) -> None:
    rows = []
    for file in sorted((shared / "data/jpeg/classic5").iterdir()):
        with Image.open(file) as true:
            held = io.BytesIO()
            true.save(held, "JPEG", quality=10)
            output, target = gray(np.asarray(Image.open(held)).copy()), gray(np.asarray(true).copy())
        rows.append([metric(output, target, colour="gray").item() for metric in (psnr, ssim, psnr_b)])
    assert len(rows) == 5
    assert np.mean(rows, axis=0) == pytest.approx([27.82, 0.7595, 25.21], abs=0.006)
