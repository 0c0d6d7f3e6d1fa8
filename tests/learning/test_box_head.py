"""The box head: always a box, and one that learns where a thing is."""

import torch
from torch import Tensor

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
        boxes = head()(50 * torch.randn(16, 8, *size, generator=torch.Generator().manual_seed(0)))
        assert boxes.shape == (16, 4) and boxes.min() >= 0 and boxes.max() <= 1
        assert (boxes[:, :2] <= boxes[:, 2:]).all()


def test_it_begins_in_the_middle() -> None:
    boxes = head().eval()(torch.rand(16, 8, 13, 13, generator=torch.Generator().manual_seed(0)))
    assert (boxes.mean(dim=0) - torch.tensor([0.25, 0.25, 0.75, 0.75])).abs().max() < 0.1


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
