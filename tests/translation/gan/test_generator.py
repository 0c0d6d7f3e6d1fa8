"""Generators: shapes, range, growth, and what the papers say of their parts."""

from typing import Any

import pytest
import torch
from torch import nn

from impasto.errors import UsageError
from impasto.translation.gan.generator import build_generator
from impasto.translation.gan.progressive import (
    EqualisedConv,
    EqualisedLinear,
    Growth,
    ProgressiveCritic,
    ProgressiveGenerator,
    grown_picture,
    growth,
    pixel_norm,
    with_deviation,
)


def noise(count: int, numbers: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, numbers, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("upsample", ["transposed", "resize"])
@pytest.mark.parametrize("size", [8, 32, 128])
def test_dcgan_makes_pictures_in_zero_to_one(size: int, upsample: str) -> None:
    module = build_generator(
        {"kind": "dcgan", "size": size, "noise": 7, "width": 2, "channels": 1, "upsample": upsample}
    )
    made = module(noise(2, 7))
    assert made.shape == (2, 1, size, size) and 0 <= made.min() < made.max() <= 1


def test_dcgan_has_the_papers_channels_and_initial_weights() -> None:
    module = build_generator({"kind": "dcgan", "size": 64, "width": 64})
    doublings = [layer for layer in module.layers if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.in_channels for layer in doublings] == [100, 512, 256, 128, 64]
    assert all(float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.05) for layer in doublings)


def test_a_picture_does_not_depend_on_those_beside_it() -> None:
    for kind in ("dcgan", "progressive"):
        module = build_generator({"kind": kind, "size": 16, "noise": 5, "width": 4}).eval()
        z = noise(3, 5)
        torch.testing.assert_close(module(z)[1:2], module(z[1:2]))


@pytest.mark.parametrize("kind", ["dcgan", "progressive"])
def test_the_same_seed_gives_the_same_generator_and_leaves_chance_alone(kind: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    architecture = {"kind": kind, "size": 16, "width": 4}
    one, same, other = (build_generator(architecture, seed).state_dict().values() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, one, same)) and not all(map(torch.equal, one, other))


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ({"kind": "stylegan"}, "dcgan, progressive"),
        ({"kind": "dcgan", "size": 20}, "power of two"),
        ({"kind": "dcgan"}, "size"),
        ({"kind": "dcgan", "size": 32, "upsample": "bilinear"}, "transposed, resize"),
        ({"kind": "progressive", "size": 4}, "power of two from 8 on"),
        ({"kind": "progressive", "size": 16, "width": 0}, "no channels"),
    ],
)
def test_a_generator_that_cannot_be_is_one_line(architecture: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        build_generator(architecture)


# Growing


def test_growth_goes_through_every_size_fading_in_each() -> None:
    at = [growth(step, 100, 32) for step in range(100)]
    assert at[:10] == [Growth(0)] * 10
    assert [one.level for one in at] == [0] * 10 + [1] * 20 + [2] * 20 + [3] * 50
    for level in (1, 2, 3):
        alphas = [one.alpha for one in at if one.level == level]
        assert 0 < alphas[0] < 0.01 and alphas == sorted(alphas) and alphas[10:] == [1.0] * (40 if level == 3 else 10)


def test_growth_is_complete_however_few_the_steps() -> None:
    for steps in (1, 2, 3, 50):
        for size in (8, 64):
            assert all(0 < growth(step, steps, size).alpha <= 1 for step in range(steps))
            assert steps < 10 or growth(steps - 1, steps, size) == growth(steps - 1, steps, size)._replace(alpha=1.0)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_networks_of_every_level_fit_together(level: int) -> None:
    generator = ProgressiveGenerator(size=16, noise=6, width=8)
    critic = ProgressiveCritic(size=16, width=8)
    for alpha in (0.5, 1.0) if level else (1.0,):
        at = Growth(level, alpha)
        made = generator(noise(3, 6), at)
        assert made.shape == (3, 3, 4 * 2**level, 4 * 2**level)
        assert critic(made, at).shape == (3, 1)
        assert grown_picture(torch.rand(3, 3, 16, 16), at, 16).shape == made.shape


def test_a_new_level_fades_in_from_the_one_before() -> None:
    generator, critic = ProgressiveGenerator(size=16, noise=6, width=8), ProgressiveCritic(size=16, width=8)
    z = noise(3, 6)
    small = generator(z, Growth(1))
    begun = generator(z, Growth(2, 1e-7))
    torch.testing.assert_close(begun, small.repeat_interleave(2, 2).repeat_interleave(2, 3), atol=1e-5, rtol=0)
    half = (generator(z, Growth(2, 0.0)) + generator(z, Growth(2))) / 2
    torch.testing.assert_close(generator(z, Growth(2, 0.5)), half)
    picture = torch.rand(3, 3, 16, 16)
    halved = nn.functional.avg_pool2d(picture, 2)
    torch.testing.assert_close(critic(picture, Growth(2, 1e-7)), critic(halved, Growth(1)), atol=1e-5, rtol=1e-5)
    seen = grown_picture(picture, Growth(2, 1e-7), 16)
    torch.testing.assert_close(seen, halved.repeat_interleave(2, 2).repeat_interleave(2, 3), atol=1e-5, rtol=0)


def test_layers_that_have_not_grown_get_no_gradient() -> None:
    generator = ProgressiveGenerator(size=16, noise=6, width=8)
    generator(noise(2, 6), Growth(1)).sum().backward()
    assert generator.blocks[0][0].weight.grad is not None and generator.blocks[1][0].weight.grad is None


def test_maps_have_the_papers_channels() -> None:
    generator = ProgressiveGenerator(size=128, noise=4, width=512)
    assert [layer.weight.shape[1] for layer in generator.to_picture] == [512, 512, 512, 512, 256, 128]
    small = ProgressiveGenerator(size=32, noise=4, width=32)
    assert [layer.weight.shape[1] for layer in small.to_picture] == [32, 32, 16, 8]


def test_equalised_layers_keep_the_size_of_what_goes_through() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 64, 12, 12)
    for gain in (1.0, 2**0.5):
        y = EqualisedConv(64, 128, 3, gain=gain)(x)[:, :, 2:-2, 2:-2]
        assert float(y.detach().std()) == pytest.approx(gain, rel=0.05)
    assert float(EqualisedLinear(512, 512, gain=1.0)(torch.randn(64, 512)).detach().std()) == pytest.approx(1, rel=0.05)
    assert float(EqualisedConv(64, 128, 3).weight.detach().std()) == pytest.approx(1, rel=0.05)


def test_pixel_norm_makes_every_position_of_mean_square_one() -> None:
    x = torch.randn(2, 16, 3, 5) * 40
    torch.testing.assert_close(pixel_norm(x).square().mean(dim=1), torch.ones(2, 3, 5))


def test_the_critic_sees_how_much_a_batch_varies() -> None:
    same = torch.rand(1, 3, 4, 4).expand(5, -1, -1, -1)
    assert float(with_deviation(same)[:, -1].max()) < 1e-3
    pair = torch.stack([torch.zeros(3, 4, 4), torch.full((3, 4, 4), 6.0)])
    seen = with_deviation(pair)
    assert seen.shape == (2, 4, 4, 4) and torch.equal(seen[:, :3], pair)
    torch.testing.assert_close(seen[:, 3], torch.full((2, 4, 4), 3.0))
