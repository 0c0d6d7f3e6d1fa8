"""The U-Net: any size and encoder, its parts as asked for, and gradients through every skip."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from impasto.translation.architectures.attention import SelfAttention
from impasto.translation.architectures.encoder import Encoder
from impasto.translation.architectures.unet import UNet, unet
from impasto.translation.names import Norm

SIZES = [(1, 1), (1, 9), (9, 1), (8, 8), (19, 34)]


def picture(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


class Given(Encoder):
    """Maps that are given, whatever the picture."""

    def __init__(self, strides: list[int], channels: list[int], side: int) -> None:
        super().__init__((0.0,) * 3, (1.0,) * 3)
        self.strides, self.channels = strides, channels
        self.given = [
            torch.randn(2, c, side // s, side // s, requires_grad=True) for s, c in zip(strides, channels, strict=True)
        ]

    def maps(self, image: Tensor) -> list[Tensor]:
        return self.given


@pytest.mark.parametrize(
    "settings",
    [
        {"out": 3},
        {"out": 12},
        {"encoder_name": "vgg16", "layers": 5},
        {"encoder_name": "squeezenet1_1", "layers": 6},
        {"encoder_name": "timm:test_resnet"},
        {"blur": False, "icnr": False, "cross": False},
        {"attention": True, "norm": "none"},
        {"norm": "weight"},
        {"norm": "spectral", "residual": False},
    ],
    ids=str,
)
def test_any_size_comes_out_as_it_went_in(settings: dict[str, Any]) -> None:
    network = unet(width=8, **settings).eval()
    for height, width in SIZES:
        with torch.no_grad():
            made = network(picture(1, 3, height, width))
        assert made.shape == (1, settings.get("out", 3), height, width) and made.isfinite().all()


@pytest.mark.parametrize(("strides", "channels"), [([1, 2, 4], [5, 6, 8]), ([2, 4, 16], [5, 6, 8])])
def test_every_map_of_the_encoder_has_its_gradient(strides: list[int], channels: list[int]) -> None:
    torch.manual_seed(0)
    given = Given(strides, channels, 32)
    network = UNet(given, width=8, out=4)
    assert network.stride == strides[-1]
    made = network(picture(2, 3, 32, 32))
    (made * torch.randn_like(made)).sum().backward()
    for number, one in enumerate(given.given):
        assert one.grad is not None and one.grad.abs().max() > 1e-6, number
    assert all(p.grad is not None for p in network.parameters())


def test_the_picture_joins_at_full_size_where_it_is_to() -> None:
    """What the encoder says being the same, only the cross-connection lets a picture through to scores of classes."""
    for cross, strides in ((True, [1, 2]), (False, [1, 2]), (True, [2, 4]), (False, [2, 4])):
        torch.manual_seed(0)
        network = UNet(Given(strides, [4, 6], 16), width=8, out=5, cross=cross).eval()
        with torch.no_grad():
            differs = (network(torch.zeros(2, 3, 16, 16)) - network(torch.ones(2, 3, 16, 16))).abs().max()
        assert bool(differs > 1e-3) is cross


def test_a_picture_is_what_it_begins_near_and_scores_are_not() -> None:
    torch.manual_seed(0)
    image = picture(1, 3, 24, 24)
    with torch.no_grad():
        assert 1e-6 < (unet(width=16).eval()(image) - image).abs().mean() < 0.02
        bare = unet(width=16, residual=False).eval()
        assert (bare(image) - image).abs().mean() > 0.1


def test_encoder_and_decoder_are_all_there_is() -> None:
    network = unet(width=8, attention=True)
    parts = [{id(p) for p in part.parameters()} for part in (network.encoder, network.decoder)]
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == {id(p) for p in network.parameters()}


def norms(network: UNet) -> tuple[int, int]:
    """Batch norms and convolutions whose weight is derived, in the decoder and outside of its attention."""
    layers = [layer for name, layer in network.named_modules() if "encoder" not in name]
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in layers), sum(
        isinstance(layer, nn.Conv2d) and is_parametrized(layer, "weight") for layer in layers
    )


def test_the_norm_is_of_the_decoder_as_asked() -> None:
    # two convolutions in the middle, two in each of the three steps, one before the last; norms before every map; and
    # those that enlarge, which no batch norm follows
    assert norms(unet(width=8, norm="batch")) == (9 + 4, 0)
    assert norms(unet(width=8, norm="weight")) == norms(unet(width=8, norm="spectral")) == (4, 9 + 3)
    assert norms(unet(width=8, norm="none")) == (4, 0)


@pytest.mark.parametrize("norm", ["none", "batch", "weight", "spectral"])
def test_maps_of_any_scale_are_brought_to_one(norm: Norm) -> None:
    """A pretrained encoder's activations may be thousands; the decoder begins near the picture all the same."""
    encoder = Given([1, 2, 4], [6, 8, 10], 16)
    encoder.given = [1000 * one for one in encoder.given]
    network = UNet(encoder, width=16, norm=norm)
    image = picture(2, 3, 16, 16)
    assert float((network(image) - image).detach().abs().max()) < 0.5


def test_spectral_norm_bounds_what_weight_norm_does_not() -> None:
    def gains(norm: Norm) -> list[float]:
        layers = unet(width=8, norm=norm).requires_grad_(False).eval().decoder.modules()
        convs = [layer for layer in layers if isinstance(layer, nn.Conv2d) and is_parametrized(layer, "weight")]
        return [float(torch.linalg.matrix_norm(conv.weight.flatten(1), 2)) for conv in convs]

    assert all(gain == pytest.approx(1, abs=0.1) for gain in gains("spectral"))
    assert all(gain > 1.5 for gain in gains("weight"))


def test_self_attention_is_one_late_step_s() -> None:
    found = [step.attention for step in unet(width=8, attention=True).steps]
    assert [isinstance(one, SelfAttention) for one in found] == [True, False, False]
    assert not any(isinstance(layer, SelfAttention) for layer in unet(width=8).modules())


def test_the_width_bounds_the_decoder() -> None:
    for width in (16, 40):
        for step in unet(width=width).steps:
            assert step.two[0].out_channels <= width and step.up.conv.out_channels <= 4 * width  # type: ignore


def test_a_step_up_is_blurred_where_it_is_to_be() -> None:
    for blur in (True, False):
        made = unet(width=16, blur=blur).steps[0].up(torch.randn(1, 128, 3, 3))  # type: ignore[operator]
        repeated = made[..., ::2, ::2].repeat_interleave(2, -1).repeat_interleave(2, -2)
        assert torch.allclose(made, repeated, atol=1e-6) is not blur


def test_a_step_up_begins_without_a_checkerboard() -> None:
    torch.manual_seed(0)
    for icnr in (True, False):
        step = unet(width=16, icnr=icnr, blur=False).steps[0]
        made = step.up(torch.randn(1, 128, 1, 1).expand(1, 128, 3, 3))  # type: ignore[operator]
        assert bool(made.std((-2, -1)).max() < 1e-6) is icnr


def test_what_a_frame_of_padding_shows_does_not_reach_the_picture_s_size() -> None:
    """Sizes that are multiples are neither padded nor cropped: the same picture within is the same."""
    network = unet(width=8).eval()
    image = picture(1, 3, 16, 24)
    with torch.no_grad():
        longer = torch.cat([image, image[..., -1:, :].expand(-1, -1, 8, -1)], dim=-2)
        assert torch.equal(network(image[..., :16, :]), network(image))
        made = network(longer[..., :21, :])  # padded to 24 by repeating what is repeated already
        assert torch.allclose(made, network(longer)[..., :21, :], atol=1e-6)
