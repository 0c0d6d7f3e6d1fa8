"""How far a network looks is measured, and what looks everywhere is found out."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.translation.architectures import build
from impasto.translation.field import Field, field_of


class Lambda(nn.Module):
    """A function as a module."""

    def __init__(self, function, **attributes):
        super().__init__()
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def conv(kernel: int, out: int = 3, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(3, out, kernel, padding=dilation * (kernel // 2), dilation=dilation)


def rows_of_four(x: Tensor) -> Tensor:
    """The mean of every four rows, four times."""
    few = F.avg_pool2d(x, (4, 1), ceil_mode=True)
    return F.interpolate(few, scale_factor=(4.0, 1.0))[..., : x.shape[-2], :]


class Hourglass(nn.Module):
    """Down by strided convolutions, up by nearest neighbours, with a skip; sides are padded to multiples."""

    def __init__(self, stride: int = 4, told: bool = False) -> None:
        super().__init__()
        self.factor = stride
        if told:
            self.stride = stride
        self.down = nn.Conv2d(3, 8, stride, stride=stride)
        self.deep = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 3, stride, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        whole = F.pad(x, (0, -x.shape[-1] % self.factor, 0, -x.shape[-2] % self.factor), mode="replicate")
        y = self.up(F.relu(self.deep(F.relu(self.down(whole)))))
        return x + y[..., : x.shape[-2], : x.shape[-1]]


class Fold(nn.Module):
    """A convolution of a picture that is folded into channels."""

    def __init__(self, fold: int) -> None:
        super().__init__()
        self.fold, self.conv = fold, nn.Conv2d(3 * fold**2, 3 * fold**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        whole = F.pad(x, (0, -x.shape[-1] % self.fold, 0, -x.shape[-2] % self.fold), mode="replicate")
        folded = self.conv(F.pixel_unshuffle(whole, self.fold))
        return F.pixel_shuffle(folded, self.fold)[..., : x.shape[-2], : x.shape[-1]]


class WindowAttention(nn.Module):
    """Attention among the pixels of each 8×8 window: local, on a grid that no convolution tells of."""

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        whole = F.pad(x, (0, -w % 8, 0, -h % 8), mode="replicate")
        H, W = whole.shape[-2:]
        windows = whole.view(b, c, H // 8, 8, W // 8, 8).permute(0, 2, 4, 3, 5, 1).reshape(-1, 64, c)
        seen = torch.softmax(windows @ windows.transpose(1, 2), -1) @ windows
        back = seen.view(b, H // 8, W // 8, 8, 8, c).permute(0, 5, 1, 3, 2, 4).reshape(b, c, H, W)
        return back[..., :h, :w]


@pytest.mark.parametrize(
    ("module", "scale", "field"),
    [
        (nn.Identity(), 1, Field(1, 0)),
        (conv(1), 1, Field(1, 0)),
        (nn.Sequential(conv(3), nn.ReLU(), conv(5), nn.LeakyReLU(), conv(7)), 1, Field(1, 6)),
        (conv(3, dilation=4), 1, Field(1, 4)),
        (nn.Sequential(conv(3, 12), nn.PixelShuffle(2)), 2, Field(1, 1)),
        (nn.Upsample(scale_factor=3, mode="bicubic"), 3, Field(1, 2)),
        (nn.Sequential(conv(3), nn.BatchNorm2d(3).eval(), nn.Dropout()), 1, Field(1, 1)),
        (Fold(4), 1, Field(4, 4)),
        (nn.Conv2d(3, 3, (9, 1), padding=(4, 0)), 1, Field(1, 4)),
        (nn.Conv2d(3, 3, (3, 1), padding=(300, 0), dilation=(300, 1)), 1, Field(1, 300)),
        (Lambda(rows_of_four), 1, Field(4, 0)),
        (Lambda(lambda x: F.layer_norm(x.movedim(1, 3), (3,)).movedim(3, 1)), 1, Field(1, 0)),
        (Lambda(lambda x: x - x.mean(1, keepdim=True)), 1, Field(1, 0)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_the_field_of_what_is_known_is_right(module: nn.Module, scale: int, field: Field) -> None:
    assert field_of(module, scale) == field


@pytest.mark.parametrize("told", [False, True])
def test_the_grid_of_an_hourglass_is_found(told: bool) -> None:
    assert field_of(Hourglass(4, told)) == Field(4, 4)
    assert field_of(nn.Sequential(Hourglass(2), Hourglass(8))).step == 8


def test_a_grid_that_no_layer_tells_of_is_found_by_trying() -> None:
    assert field_of(WindowAttention()) == Field(8, 0)


GLOBAL = {
    "instance norm": nn.Sequential(conv(3), nn.InstanceNorm2d(3)),
    "group norm": nn.Sequential(conv(3, 8), nn.GroupNorm(2, 8), nn.Conv2d(8, 3, 1)),
    "global pooling": nn.Sequential(conv(3), Lambda(lambda x: x * x.mean((2, 3), keepdim=True).sigmoid())),
    "self-attention": Lambda(lambda x: (torch.softmax(x.flatten(2).transpose(1, 2) @ x.flatten(2), -1)
                                        @ x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)),
    "a Fourier transform": Lambda(lambda x: torch.fft.irfft2(torch.fft.rfft2(x) * 0.5, s=x.shape[-2:])),
    "a norm over positions": Lambda(lambda x: F.normalize(x, dim=3)),
    "a sum along the picture": Lambda(lambda x: x.cumsum(2)),
}  # fmt: skip


@pytest.mark.parametrize("why", GLOBAL)
def test_what_looks_everywhere_is_named(why: str) -> None:
    assert field_of(GLOBAL[why]).everywhere == why


@pytest.mark.parametrize(
    "pooling",
    [nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1), nn.AdaptiveAvgPool2d(4), Lambda(lambda x: x.amax((2, 3), True))],
)
def test_squeeze_and_excitation_is_found_in_whatever_way_it_pools(pooling: nn.Module) -> None:
    excited = Lambda(lambda x: x * F.interpolate(pooling(x), x.shape[-2:]))
    assert field_of(excited).everywhere == "global pooling"


def test_a_network_that_knows_where_it_is_is_found_out_though_it_looks_nowhere_far() -> None:
    place = Lambda(lambda x: x + torch.linspace(0, 1, x.shape[-1]))
    assert field_of(place).everywhere == "its position in the picture"
    upright = Lambda(lambda x: x + torch.linspace(0, 1, x.shape[-2])[:, None])
    assert field_of(upright).everywhere == "its position in the picture"


def test_a_field_wider_than_what_is_tried_counts_as_everywhere() -> None:
    wide = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=600, dilation=600) for _ in range(4)))
    assert "a field of more than" in field_of(wide).everywhere


def test_what_a_module_says_of_itself_is_believed() -> None:
    assert field_of(Lambda(lambda x: x, everywhere="it tiles by itself")).everywhere == "it tiles by itself"


def test_a_network_is_left_as_it_was_and_measured_once() -> None:
    module = nn.Sequential(conv(3), nn.BatchNorm2d(3), nn.Dropout()).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    calls = []
    module[0].register_forward_hook(lambda *_: calls.append(1))
    first = field_of(module)
    count = len(calls)
    assert field_of(module) is first and len(calls) == count > 0
    assert module.training and all(part.training for part in module) and module[0].weight.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize(
    ("architecture", "halo"),
    [
        ({"kind": "light", "scale": 2, "width": 8, "blocks": 2}, 7),
        ({"kind": "light", "scale": 1, "width": 8, "blocks": 2, "fold": 2}, 14),
        ({"kind": "unet", "width": 16}, None),
        ({"kind": "transformer", "width": 4, "blocks": 1, "scale": 4}, None),
    ],
    ids=str,
)
def test_the_projects_own_networks_are_local(architecture: dict, halo: int | None) -> None:
    module = build(architecture)
    field = field_of(module, architecture.get("scale", 1))
    assert not field.everywhere and field.step % module.stride == 0
    assert field.halo == halo if halo else 0 < field.halo < 200


def test_a_u_net_with_attention_looks_everywhere() -> None:
    assert field_of(build({"kind": "unet", "width": 16, "attention": True})).everywhere == "self-attention"
