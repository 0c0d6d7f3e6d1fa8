"""Johnson's network: any size, near the picture at first, factored or not."""

import pytest
import torch
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.translation.architectures.transformer import Transformer, _Block
from impasto.translation.architectures.upsample import Bicubic


def picture(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("factored", [False, True])
def test_any_size_comes_out_at_the_scale(scale: int, factored: bool) -> None:
    network = Transformer(scale=scale, width=4, blocks=1, factored=factored)
    for height, width in ((1, 1), (1, 9), (9, 1), (3, 2), (8, 8), (13, 22)):
        made = network(picture(2, 3, height, width))
        assert made.shape == (2, 3, scale * height, scale * width) and made.isfinite().all()


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_it_begins_near_the_enlarged_picture(scale: int) -> None:
    torch.manual_seed(0)
    image = picture(1, 3, 16, 16)
    network = Transformer(scale=scale, width=8, blocks=2)
    assert 1e-6 < (network(image) - Bicubic(scale)(image)).abs().mean() < 5e-3


def test_without_the_residual_nothing_of_the_picture_s_pixels_passes() -> None:
    network = Transformer(width=4, blocks=1, residual=False)
    with torch.no_grad():
        for parameter in network.layers[-1].parameters():
            parameter.zero_()
    assert torch.equal(network(picture(1, 3, 9, 9)), torch.full((1, 3, 9, 9), 0.5))


def test_a_shift_by_its_grid_is_a_shift_of_what_comes_out() -> None:
    torch.manual_seed(0)
    network = Transformer(width=4, blocks=1).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:
                nn.init.kaiming_normal_(parameter)
        image = picture(1, 3, 112, 112)
        made, moved = network(image), network(image[..., 4:, 4:])
        assert (made - image).abs().mean() > 0.1
        off = (made[..., 44:-40, 44:-40] - moved[..., 40:-40, 40:-40]).abs().max()
        assert off < 1e-5 * made.abs().max()


def test_a_block_adds_to_what_it_is_given() -> None:
    for factored in (False, True):
        block = _Block(8, factored=factored, norm="none")
        x = torch.randn(1, 8, 5, 5)
        assert torch.allclose(block(x) - x, block.two(block.one(x).relu()), atol=1e-6)


def test_factored_blocks_are_an_eighth_of_the_weights() -> None:
    def size(factored: bool) -> int:
        small, large = (Transformer(width=16, blocks=b, factored=factored) for b in (1, 2))
        return sum(p.numel() for p in large.parameters()) - sum(p.numel() for p in small.parameters())

    assert size(False) == 2 * (64 * 64 * 9 + 64)
    assert size(True) == 2 * (64 * 9 + 64 * 64 + 64)


def test_its_norm_and_every_parameter_learns() -> None:
    network = Transformer(width=4, blocks=1, norm="batch")
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) == 7
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in Transformer(width=4).modules())
    plain = Transformer(width=4, blocks=1)
    plain(picture(2, 3, 16, 16)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in plain.parameters())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"scale": 3}, "enlarges 1, 2, 4 or 8 times, not 3"), ({"norm": "spectral"}, "norm none or batch, not spectral")],
    ids=str,
)
def test_settings_out_of_bounds_are_one_line(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Transformer(**wrong)  # type: ignore[arg-type]
