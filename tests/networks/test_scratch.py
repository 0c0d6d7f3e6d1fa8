"""Networks from scratch: small, of any size of picture, the same from the same seed, and able to learn."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from impasto.errors import UsageError
from impasto.networks import Taps
from impasto.networks.scratch import Kind, Residual, scratch
from impasto.networks.surgery import insert_batch_norm, split_at

KINDS: list[Kind] = ["plain", "residual"]


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_small_free_to_learn_and_takes_any_size(kind: Kind, batch_norm: bool) -> None:
    network = scratch(kind, batch_norm=batch_norm)
    parameters = list(network.module.parameters())
    assert 100_000 <= sum(p.numel() for p in parameters) <= 300_000
    assert all(p.requires_grad for p in parameters) and not network.module.training
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.module.modules()) == batch_norm
    deepest = network.trunk[-1][0]
    for height, width in ((28, 28), (64, 64), (33, 47)):
        features = Taps(network, [deepest])(torch.rand(2, 3, height, width))[deepest]
        assert features.shape[:2] == (2, 96)
    assert network.content_taps == (deepest,)


def test_names_are_the_field_s() -> None:
    plain = scratch("plain")
    assert plain.name == "scratch:plain" and scratch("residual").name == "scratch:residual"
    assert list(plain.aliases) == [
        *("conv1_1", "relu1_1", "pool1", "conv2_1", "relu2_1", "pool2", "conv3_1", "relu3_1", "conv3_2", "relu3_2"),
    ]


def test_a_seed_is_a_network_and_no_other_randomness_is_touched() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = scratch(seed=1), scratch(seed=1), scratch(seed=2)
    assert torch.equal(torch.rand(1), expected)
    assert first.sha256 == again.sha256 != other.sha256
    for one, two in zip(first.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_residual_block_begins_as_its_shortcut(batch_norm: bool) -> None:
    network = scratch("residual", batch_norm=batch_norm)
    network.module.train()
    blocks = [layer for layer in network.module.modules() if isinstance(layer, Residual)]
    assert isinstance(blocks[0].shortcut, nn.Identity)
    x = torch.rand(2, 24, 7, 7)
    assert torch.equal(blocks[0](x), x)
    assert torch.equal(blocks[1](x), torch.relu(blocks[1].shortcut(x)))


@pytest.mark.parametrize("kind", KINDS)
def test_without_batch_norm_signals_keep_their_size(kind: Kind) -> None:
    network = scratch(kind, batch_norm=False, width=64)
    image = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    paths = [path for path, layer in network.trunk if isinstance(layer, nn.ReLU | Residual)]
    with torch.no_grad():
        sizes = [float(f.square().mean().sqrt()) for f in Taps(network, paths)(image).values()]
    assert max(sizes) / min(sizes) < 4


def test_batch_norm_on_the_input_makes_pictures_standard() -> None:
    network = scratch("plain", input_batch_norm=True)
    network.module.train()
    image = 0.1 + 0.05 * torch.rand(16, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    seen = Taps(network, ["input"])(image)["input"]
    assert torch.allclose(seen.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(seen.std(dim=(0, 2, 3)), torch.ones(3), atol=2e-2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_it_learns_what_it_is_shown(kind: Kind, batch_norm: bool) -> None:
    network = scratch(kind, width=8, batch_norm=batch_norm)
    deepest = network.trunk[-1][0]
    taps = Taps(network, [deepest])
    network.module.train()
    generator = torch.Generator().manual_seed(0)
    # bars that lie or stand
    targets = torch.arange(32) % 2
    images = torch.rand(32, 3, 16, 16, generator=generator) * 0.3
    for image, target in zip(images, targets, strict=True):
        at = int(torch.randint(2, 14, (1,), generator=generator))
        (image[:, at] if target else image[:, :, at]).fill_(1)
    head = nn.Linear(32, 2)
    nn.init.zeros_(head.weight)
    optimizer = torch.optim.AdamW([*network.module.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(40):
        loss = F.cross_entropy(head(taps(images)[deepest].mean(dim=(2, 3))), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


def test_surgery_works_on_it() -> None:
    network = scratch("residual", batch_norm=False)
    pictures = [torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))]
    made, proof = insert_batch_norm(network, pictures)
    assert proof.relative < 1e-5
    lower, _, split = split_at(made, made.trunk[3][0], pictures)
    assert split.largest == 0 and len(lower.trunk) == 4


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="no network scratch:dense: there are scratch:plain, scratch:residual"):
        scratch("dense")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has no channels"):
        scratch(width=0)
