"""Critics: shapes, what they see, spectral norm, and weights that depend on their seed alone."""

from typing import Any

import pytest
import torch
from torch import nn

from impasto.errors import UsageError
from impasto.networks.network import Network
from impasto.networks.taps import Taps
from impasto.translation.gan.critic import build_critic, course_critic


def measured(critic: nn.Module) -> tuple[int, int | None]:
    """Stride and receptive field of the scores."""
    last = [name for name, _ in critic.named_children()][-1]
    geometry = Taps(Network("critic", critic.eval(), mean=(0.0,) * 3, std=(1.0,) * 3), [last]).geometry()[last]
    return geometry.stride, geometry.receptive_field


@pytest.mark.parametrize(("layers", "stride", "field"), [(1, 2, 16), (2, 4, 34), (3, 8, 70)])
@pytest.mark.parametrize("norm", ["spectral", "batch", "none"])
def test_every_score_of_a_patch_critic_sees_its_patch(layers: int, stride: int, field: int, norm: str) -> None:
    critic = build_critic({"kind": "patch", "width": 4, "layers": layers, "norm": norm})
    assert measured(critic) == (stride, field)


def test_patchgan_has_the_papers_channels_and_scores() -> None:
    critic = build_critic({"kind": "patch"})
    convolutions = [layer for layer in critic if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128, 256, 512, 1]
    assert [layer.stride[0] for layer in convolutions] == [2, 2, 2, 1, 1]
    assert critic(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)
    assert not isinstance(critic[2], nn.InstanceNorm2d) and isinstance(critic[4], nn.InstanceNorm2d)


def test_the_courses_critic_is_fastais() -> None:
    critic = course_critic()
    drops = [layer.p for layer in critic if isinstance(layer, nn.Dropout2d)]
    assert drops == [0.075, 0.15, 0.15, 0.15]
    widths = [layer.out_channels for layer in critic if isinstance(layer, nn.Conv2d)]
    assert widths == [128, 512, 1024, 2048, 1]
    learnt = sum(parameter.numel() for parameter in critic.parameters())
    assert learnt == sum(
        (
            3 * 128 * 16 + 128,
            2 * (128 * 128 * 9 + 128),
            256 * 512 * 16 + 512,
            2 * 512 * 64 + 512 * 512 + 1,  # self-attention
            512 * 1024 * 16 + 1024,
            1024 * 2048 * 16 + 2048,
            2048 * 16,
        )
    )


def test_the_courses_critic_scores_patches_of_any_size_from_sixty_four_pixels() -> None:
    critic = course_critic(width=4)
    assert critic(torch.rand(2, 3, 64, 64)).shape == (2, 1, 1, 1)
    assert critic(torch.rand(2, 3, 128, 96)).shape == (2, 1, 5, 3)
    assert course_critic(width=4, blocks=1)(torch.rand(1, 3, 16, 16)).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128])
def test_dcgans_critic_gives_a_picture_one_score(size: int) -> None:
    critic = build_critic({"kind": "dcgan", "size": size, "width": 4, "channels": 1})
    assert critic(torch.rand(3, 1, size, size)).shape == (3, 1, 1, 1)


@pytest.mark.parametrize(
    "architecture",
    [
        {"kind": "course", "width": 4, "blocks": 1, "attention": False},
        {"kind": "patch", "width": 4, "layers": 1, "norm": "spectral"},
        {"kind": "dcgan", "size": 16, "width": 4, "norm": "spectral"},
    ],
    ids=lambda one: one["kind"],
)
def test_spectral_norm_keeps_every_layer_from_stretching(architecture: dict[str, Any]) -> None:
    """No convolution's matrix stretches anything by more than 1, so the largest singular value is about 1."""
    critic = build_critic(architecture)
    for _ in range(30):  # of the power iteration, which takes a step each time
        critic(torch.rand(1, 3, 16, 16))
    convolutions = [layer for layer in critic.eval().modules() if isinstance(layer, nn.Conv2d)]
    stretches = [float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) for layer in convolutions]
    assert stretches == pytest.approx([1.0] * len(convolutions), abs=0.05)


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("size", [16, 64])
def test_a_critic_without_norms_begins_with_slopes_that_a_penalty_wants(size: int, width: int) -> None:
    """By DCGAN's weights they were 0.005 with 16 channels and 32 pixels: the critic slept for hundreds of steps."""
    critic = build_critic({"kind": "dcgan", "size": size, "width": width, "channels": 1, "norm": "none"})
    centred = (torch.rand(8, 1, size, size) * 2 - 1).requires_grad_()
    (slope,) = torch.autograd.grad(critic((centred + 1) / 2).sum(), centred)
    assert 0.5 < float(slope.flatten(1).norm(dim=1).mean()) < 2


@pytest.mark.parametrize("kind", ["course", "patch", "dcgan"])
def test_the_same_seed_gives_the_same_critic_and_leaves_chance_alone(kind: str) -> None:
    architecture = {"kind": kind, "width": 2} | ({"size": 16} if kind == "dcgan" else {})
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (build_critic(architecture, seed) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = list(zip(one.state_dict().values(), same.state_dict().values(), other.state_dict().values(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs) and not all(torch.equal(a, c) for a, _, c in pairs)


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ({"kind": "pach"}, "course, patch, dcgan"),
        ({}, "course, patch, dcgan"),
        ({"kind": "patch", "depth": 3}, "depth"),
        ({"kind": "patch", "norm": "weight"}, "no norm 'weight' of a critic: there are none, batch"),
        ({"kind": "patch", "layers": 0}, "0 layers"),
        ({"kind": "dcgan", "size": 48}, "power of two"),
        ({"kind": "course", "dropout": 1.0}, "dropout 1"),
    ],
)
def test_a_critic_that_cannot_be_is_one_line(architecture: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        build_critic(architecture)


@pytest.mark.parametrize(
    ("architecture", "smallest"),
    [
        ({"kind": "course", "width": 2}, 64),
        ({"kind": "course", "width": 2, "blocks": 1}, 16),
        ({"kind": "patch", "width": 2}, 24),
        ({"kind": "patch", "width": 2, "layers": 1}, 6),
        ({"kind": "dcgan", "width": 2, "size": 32}, 32),
    ],
)
def test_pictures_that_are_too_small_are_refused_in_words(architecture: dict[str, Any], smallest: int) -> None:
    critic = build_critic(architecture)
    assert critic(torch.rand(2, 3, smallest, smallest)).numel()
    with pytest.raises(UsageError, match=f"of {smallest + 8}×{smallest - 1} pixels are too small.*needs {smallest}"):
        critic(torch.rand(1, 3, smallest - 1, smallest + 8))
