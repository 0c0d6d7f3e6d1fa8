"""The light network: any size, bicubic at first, the same in a part as in the whole."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.translation.architectures.light import Light
from impasto.translation.architectures.upsample import Bicubic

SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (8, 8), (17, 30)]


def picture(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def grown(**settings: int) -> Light:
    """A network as training might leave it: every path counts."""
    torch.manual_seed(0)
    network = Light(**settings)  # type: ignore[arg-type]
    for parameter in network.parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("fold", [1, 2, 3])
def test_any_size_comes_out_at_the_scale(scale: int, fold: int) -> None:
    network = Light(scale=scale, width=4, blocks=1, fold=fold)
    assert network.stride == fold
    for height, width in SIZES:
        made = network(picture(2, 3, height, width))
        assert made.shape == (2, 3, scale * height, scale * width) and made.isfinite().all()


@pytest.mark.parametrize(("scale", "fold"), [(1, 2), (2, 1), (4, 1), (2, 2)])
def test_it_begins_at_bicubic_quality(scale: int, fold: int) -> None:
    torch.manual_seed(0)
    image = picture(1, 3, 24, 24)
    learnt = Light(scale=scale, fold=fold)(image) - Bicubic(scale)(image)
    assert 1e-6 < learnt.abs().mean() < 5e-3, "bicubic, with something to learn from"


@pytest.mark.parametrize(("scale", "fold"), [(1, 2), (2, 1), (3, 1)])
@pytest.mark.parametrize("blocks", [1, 3])
def test_a_part_with_its_halo_is_the_part_of_the_whole(scale: int, fold: int, blocks: int) -> None:
    network = grown(scale=scale, width=6, blocks=blocks, fold=fold)
    image = picture(1, 3, 48, 60)
    with torch.no_grad():
        whole = network(image)
    own = slice(20 // fold * fold, 32 // fold * fold)
    halo = fold * (2 * blocks + 3)  # 3×3: head, two of each block, body, tail

    def off(halo: int) -> float:
        first = own.start - halo
        with torch.no_grad():
            part = network(image[..., first : own.stop + halo, first : own.stop + halo])
        inside = slice((own.start - first) * scale, (own.stop - first) * scale)
        there = slice(own.start * scale, own.stop * scale)
        return float((part[..., inside, inside] - whole[..., there, there]).abs().max())

    assert off(halo) < 1e-6 * float(whole.abs().max()) * 5 < off(halo - fold) / 20


@pytest.mark.parametrize(("scale", "fold"), [(1, 3), (2, 1), (2, 2)])
def test_what_is_learnt_begins_without_a_checkerboard(scale: int, fold: int) -> None:
    even = torch.full((1, 3, 48, 48), 0.8)
    inside = (..., slice(18 * scale, 30 * scale), slice(18 * scale, 30 * scale))
    for icnr in (True, False):
        torch.manual_seed(0)
        network = Light(scale=scale, width=8, blocks=1, fold=fold, icnr=icnr)
        with torch.no_grad():
            spread = float((network(even) - 0.8)[inside].std((-2, -1)).max())
        assert (spread < 1e-6) is icnr, spread


def test_all_blocks_are_gathered_and_every_parameter_learns() -> None:
    network = Light(scale=2, width=6, blocks=3)
    assert network.gather.in_channels == 18
    F.mse_loss(network(picture(1, 3, 8, 8)), picture(1, 3, 16, 16)).backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_blocks_add_to_what_they_are_given_and_each_output_is_gathered() -> None:
    network, x = grown(scale=2, width=6, blocks=3), torch.randn(1, 6, 5, 5)
    block = network.blocks[0]
    added = block(x) - x
    with torch.no_grad():
        assert torch.allclose(added, block.two(block.one(x).relu()), atol=1e-5)  # type: ignore[operator, union-attr]
        network.gather.weight[:, 6:] = 0  # all but the first block's
        before = network(picture(1, 3, 6, 6))
        nn.init.kaiming_normal_(network.blocks[1].one.weight)  # type: ignore[arg-type, union-attr]
        assert torch.equal(network(picture(1, 3, 6, 6)), before)
        nn.init.kaiming_normal_(network.blocks[0].one.weight)  # type: ignore[arg-type, union-attr]
        assert not torch.allclose(network(picture(1, 3, 6, 6)), before, atol=1e-3)


def test_the_first_features_pass_by_all_blocks() -> None:
    network, image = grown(scale=2, width=6, blocks=2), picture(1, 3, 6, 6)
    with torch.no_grad():
        for parameter in network.body.parameters():
            parameter.zero_()
        wanted = Bicubic(2)(image) + F.pixel_shuffle(network.tail(network.head(image - 0.5)), 2)
        assert torch.allclose(network(image), wanted, atol=1e-5)


def test_pictures_of_other_channels() -> None:
    assert Light(scale=2, width=4, blocks=1, channels=1)(picture(1, 1, 5, 6)).shape == (1, 1, 10, 12)


def test_it_is_one_picture_at_a_time() -> None:
    network, images = grown(scale=2, width=6, blocks=2), picture(3, 3, 10, 11)
    with torch.no_grad():
        alone = torch.cat([network(one[None]) for one in images])
        assert (network(images) - alone).abs().max() < 1e-5
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


@pytest.mark.parametrize("wrong", [{"scale": 0}, {"scale": 9}, {"width": 0}, {"blocks": 0}, {"fold": 0}], ids=str)
def test_settings_out_of_bounds_are_one_line(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="no light network of scale"):
        Light(**wrong)  # type: ignore[arg-type]
