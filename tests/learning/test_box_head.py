"""The box head: always a box, and one that learns where a thing is."""

import torch
from torch import Tensor, nn

from impasto.learning.box_head import BoxHead
from impasto.losses.boxes import box_distance, iou


def maps(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Activations in which one channel of eight is bright where a box lies, and the boxes."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.randint(0, 7, (count, 2), generator=generator)
    high = low + torch.randint(3, 7, (count, 2), generator=generator)
    at = torch.arange(13)
    inside = [(at >= low[:, i, None]) & (at < high[:, i, None]) for i in (0, 1)]
    features = torch.rand(count, 8, 13, 13, generator=generator)
    features[:, 3] += 2 * (inside[1][:, :, None] & inside[0][:, None, :]).float()
    return features, torch.cat([low, high], dim=1) / 13


def head() -> BoxHead:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BoxHead(8)


def test_it_always_gives_a_box_from_maps_of_any_size() -> None:
    for size in ((13, 13), (7, 20), (3, 3)):
        model = head()
        nn.init.normal_(model.votes[-1].weight)
        nn.init.constant_(model.scale, 3.0)
        boxes = model.eval()(50 * torch.randn(16, 8, *size, generator=torch.Generator().manual_seed(0)))
        assert boxes.shape == (16, 4) and boxes.min() >= 0 and boxes.max() <= 1
        assert (boxes[:, :2] <= boxes[:, 2:]).all()


def test_it_begins_in_the_middle() -> None:
    boxes = head().eval()(torch.rand(16, 8, 13, 13, generator=torch.Generator().manual_seed(0)))
    assert (boxes.mean(dim=0) - torch.tensor([0.35, 0.35, 0.65, 0.65])).abs().max() < 1e-6


def test_a_side_lies_at_the_mean_position_of_its_votes() -> None:
    model = head().eval()
    with torch.no_grad():
        model.shift.zero_()
        model.votes = nn.Identity()
        votes = torch.full((1, 4, 4, 10), -100.0)
        votes[0, 0, :, 2] = votes[0, 1, 0] = votes[0, 2, :, 7] = 0  # left, top, right
        votes[0, 3, 1:3] = 0  # bottom: two rows, as likely
        box = model(votes)
    assert torch.allclose(box, torch.tensor([[0.25, 0.125, 0.75, 0.5]]), atol=1e-6)


def test_in_training_a_side_beyond_the_border_has_a_gradient() -> None:
    model = head().train()
    with torch.no_grad():
        model.shift.copy_(torch.tensor([-0.9, -0.9, 0.9, 0.9]))
    boxes = model(torch.rand(4, 8, 5, 5, generator=torch.Generator().manual_seed(0)))
    assert boxes.min() < 0 and boxes.max() > 1
    boxes.sum().backward()
    assert model.shift.grad is not None and (model.shift.grad != 0).all()


def test_it_learns_where_a_thing_is() -> None:
    features, true = maps(256, 0)
    new, new_true = maps(64, 1)
    model = head()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(12):
            for batch in torch.randperm(256).split(32):
                optimizer.zero_grad()
                box_distance(model(features[batch]), true[batch]).backward()
                optimizer.step()
    mean_box = true.mean(dim=0, keepdim=True).expand_as(new_true)
    with torch.no_grad():
        found = iou(model.eval()(new), new_true).mean()
    assert found > 0.6 > iou(mean_box, new_true).mean()
