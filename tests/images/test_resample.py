"""MATLAB's imresize: its formulas written out, torch's own kernel, and low-resolution pictures that MATLAB made."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import read
from impasto.images.resample import Kernel, imresize, round_to_8_bits


def keys(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def written_out(line: np.ndarray, scale: float, kernel: Kernel, antialias: bool) -> list[float]:
    """One line of pixels, as `contributions` of MATLAB's imresize.m says it, output by output."""
    shape = {"bicubic": keys, "bilinear": lambda x: max(0.0, 1 - abs(x)), "box": lambda x: float(-0.5 <= x < 0.5)}
    width = {"bicubic": 4, "bilinear": 2, "box": 1}[kernel]
    stretch = scale if antialias and scale < 1 else 1.0
    mirrored = [*line, *line[::-1]]
    outputs = []
    for x in range(1, math.ceil(scale * len(line)) + 1):
        u = x / scale + 0.5 * (1 - 1 / scale)
        left = math.floor(u - width / stretch / 2)
        seen = range(left, left + math.ceil(width / stretch) + 2)
        weights = [shape[kernel](stretch * (u - index)) for index in seen]
        total = sum(weight * mirrored[(index - 1) % len(mirrored)] for weight, index in zip(weights, seen))
        outputs.append(total / sum(weights))
    return outputs


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear", "box"])
@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 0.5, 0.7, 1.0, 1.3, 2, 3, 4])
@pytest.mark.parametrize("antialias", [True, False])
def test_a_line_is_as_the_formulas_say(kernel: Kernel, scale: float, antialias: bool) -> None:
    for length in (1, 2, 7, 150):
        line = np.random.default_rng(length).random(length)
        expected = written_out(line, scale, kernel, antialias)
        image = torch.from_numpy(line).view(1, 1, 1, length).expand(1, 1, 3, length)
        made = imresize(image, scale=scale, kernel=kernel, antialias=antialias)
        assert made.shape == (1, 1, math.ceil(3 * scale), len(expected))
        assert np.allclose(made[0, 0, 0], expected, atol=1e-13)
        turned = imresize(image.mT, scale=scale, kernel=kernel, antialias=antialias).mT
        assert torch.allclose(turned, made, atol=1e-13)


@pytest.mark.parametrize("size", [(20, 30), (41, 53), (160, 240)])
@pytest.mark.parametrize("kernel", ["bicubic", "bilinear"])
def test_within_the_borders_it_is_torchs_own_antialiased_kernel(size: tuple[int, int], kernel: Kernel) -> None:
    image = torch.rand(2, 3, 80, 120, generator=torch.manual_seed(0), dtype=torch.float64)
    theirs = F.interpolate(image, size=size, mode=kernel, antialias=True)
    edge = 1 + max(2, 2 * size[0] // 80)
    inside = (..., slice(edge, -edge), slice(edge, -edge))
    assert torch.allclose(imresize(image, size=size, kernel=kernel)[inside], theirs[inside], atol=1e-12)


def test_the_size_rounds_up_and_the_grid_keeps_the_scale() -> None:
    image = torch.rand(1, 1, 10, 7, generator=torch.manual_seed(0))
    assert imresize(image, scale=1 / 4).shape == (1, 1, 3, 2)
    assert imresize(image, scale=0.5).shape == (1, 1, 5, 4)
    assert not torch.allclose(imresize(image, scale=1 / 4), imresize(image, size=(3, 2)), atol=1e-3)


def test_a_grey_image_stays_grey_and_a_ramp_stays_a_ramp() -> None:
    assert torch.allclose(imresize(torch.full((1, 3, 33, 50), 0.3), scale=0.37), torch.tensor(0.3), atol=1e-6)
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    assert torch.allclose(imresize(ramp, scale=0.5)[..., 2:-2], (ramp[..., ::2, ::2] + 0.5)[..., 2:-2], atol=1e-4)


def test_at_its_own_size_the_image_is_itself() -> None:
    image = torch.rand(1, 3, 9, 11)
    assert torch.equal(imresize(image, scale=1), image) and torch.equal(imresize(image, size=(9, 11)), image)


@pytest.mark.parametrize("scale", [0.25, 3])
def test_each_image_of_a_batch_is_as_alone(scale: float) -> None:
    images = torch.rand(3, 3, 70, 90)
    together = imresize(images, scale=scale)
    for image, made in zip(images, together):
        assert torch.allclose(imresize(image[None], scale=scale)[0], made, atol=1e-6)


def test_the_precision_of_the_image_is_kept_and_no_autocast_lowers_it() -> None:
    image = torch.rand(1, 3, 40, 40, dtype=torch.float64)
    exact = imresize(image, scale=0.5)
    for dtype, tolerance in ((torch.float64, 0), (torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)):
        made = imresize(image.to(dtype), scale=0.5)
        assert made.dtype == dtype and torch.allclose(made.double(), exact, atol=tolerance)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(imresize(image.float(), scale=0.5).double(), exact, atol=1e-6)


def test_gradients_flow_through_blocks() -> None:
    image = torch.rand(1, 1, 5, 70, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: imresize(x, scale=0.6), image)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "a scale or a size"),
        ({"scale": 2.0, "size": (4, 4)}, "a scale or a size"),
        ({"scale": 0.0}, "resampled by 0.0: give a scale above 0"),
        ({"scale": float("nan")}, "give a scale above 0"),
        ({"size": (0, 3)}, "to 3×0 pixels"),
        ({"scale": 2.0, "kernel": "lanczos"}, "no kernel 'lanczos': there are bicubic, bilinear, box"),
    ],
)
def test_what_cannot_be_resampled_is_one_line(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        imresize(torch.rand(1, 1, 4, 4), **arguments)  # type: ignore[arg-type]


def test_halves_are_rounded_up() -> None:
    levels = torch.arange(256, dtype=torch.float32).view(1, 1, 16, 16) / 255
    assert torch.equal(round_to_8_bits(levels), levels)
    assert (round_to_8_bits(torch.tensor([[[[0.5, 1.5, -3.0, 300.0]]]]) / 255) * 255).tolist() == [[[[1, 2, 0, 255]]]]


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "scale"), [("Set5", 2), ("Set5", 3), ("Set5", 4), ("Set14", 4)])
def test_the_shipped_low_resolution_pictures_come_out_to_the_last_bit(shared: Path, name: str, scale: int) -> None:
    """They were made by an older imresize, of uint8: rounded after each axis, and with the border's pixel repeated."""

    def down(levels: Tensor) -> Tensor:
        """Along the height."""
        border = 4 * scale
        padded = F.pad(levels, (0, 0, border, border), mode="replicate")
        made = imresize(padded, size=(padded.shape[-2] // scale, padded.shape[-1]))
        return (made[..., 4:-4, :].clamp(0, 255) + 0.5).floor()

    files = sorted((shared / f"data/super-resolution/{name}/x{scale}").glob("*_HR.png"))
    assert len(files) == {"Set5": 5, "Set14": 14}[name]
    for file in files:
        levels = (read(file).pixels.double() * 255).round()
        height, width = (side - side % scale for side in levels.shape[-2:])
        made = down(down(levels[..., :height, :width]).mT).mT
        shipped = read(file.with_name(file.name.replace("HR", "LR"))).pixels.double() * 255
        assert torch.equal(made, shipped.round())
