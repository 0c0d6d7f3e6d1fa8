"""Adam: Kingma and Ba's steps, a rate that decays, and no step to where the loss is no number."""

import math
from itertools import pairwise

import pytest
import torch

from impasto.synthesis import adam as module
from impasto.synthesis.adam import BETAS, Adam
from impasto.synthesis.point import with_autograd


def bowl(middle: float = 3.0):
    return with_autograd(lambda x: {"loss": (x - middle).square().sum()})


def test_the_first_step_is_the_rate_against_every_gradients_sign():
    start = torch.tensor([[1.0, -2.0, 5.0]])
    adam = Adam(bowl(), start, steps=10, rate=0.02)
    assert adam.step()
    torch.testing.assert_close(adam.point.x - start, torch.tensor([[0.02, 0.02, -0.02]]), rtol=1e-5, atol=1e-7)
    assert torch.equal(start, torch.tensor([[1.0, -2.0, 5.0]]))


def test_it_takes_torchs_steps_while_the_rate_is_constant():
    weights = torch.tensor([1.0, 10.0, 0.1, 4.0])

    def loss(x):
        return (weights * (x - 1).pow(4)).sum()

    adam = Adam(with_autograd(lambda x: {"loss": loss(x)}), torch.zeros(4), steps=41)
    x = torch.zeros(4, requires_grad=True)
    peer = torch.optim.Adam([x], lr=0.02, betas=BETAS)
    for _ in range(21):
        adam.step()
        peer.zero_grad()
        loss(x).backward()
        peer.step()
        torch.testing.assert_close(adam.point.x, x.detach(), rtol=1e-5, atol=1e-6)


def test_the_rate_falls_to_a_tenth_over_the_second_half():
    adam = Adam(with_autograd(lambda x: {"loss": x.sum()}), torch.zeros(5), steps=100, rate=0.01)
    moves, before = [], adam.point.x
    for _ in range(100):
        adam.step()
        moves.append(float((before - adam.point.x).mean()))
        before = adam.point.x
    # a constant gradient makes every step as long as the rate
    assert moves[:50] == pytest.approx([0.01] * 50, rel=1e-3)
    assert moves[75] == pytest.approx(0.0055, rel=0.03) and moves[99] == pytest.approx(0.00118, rel=0.03)
    falls = [a - b for a, b in pairwise(moves[50:])]
    assert falls == pytest.approx([falls[10]] * len(falls), rel=0.05)


def test_chunks_change_nothing(monkeypatch):
    start = torch.rand(1, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    found = []
    for chunk in (2**22, 13):
        monkeypatch.setattr(module, "CHUNK", chunk)
        adam = Adam(bowl(0.3), start, 10)
        for _ in range(10):
            adam.step()
        found.append(adam.point.x)
    assert torch.equal(*found)


def test_a_bad_step_is_taken_back_and_the_rate_halved():
    bad = 0

    def walled(x):
        nonlocal bad
        loss = (x - 0.601).square().sum()
        if bool((x > 0.605).any()):  # steps of Adam's full rate run past this
            bad += 1
            loss = loss * math.nan
        return {"loss": loss}

    adam = Adam(with_autograd(walled), torch.full((4,), 0.5), 200)
    losses = []
    for _ in range(200):
        assert adam.step()
        losses.append(adam.point.loss)
    assert bad > 0 and all(math.isfinite(loss) for loss in losses)
    assert (adam.point.x - 0.601).abs().max() < 4.1e-3
    assert adam.state()[1]["rate"] <= 0.02 * 0.5**bad * 1.001


def test_it_gives_up_where_every_step_is_bad():
    calls = 0

    def island(x):
        nonlocal calls
        calls += 1
        return {"loss": x.sum() * (1.0 if bool((x == 0.5).all()) else math.nan)}

    start = torch.full((4,), 0.5)
    adam = Adam(with_autograd(island), start, 10**4)
    assert not adam.step() and calls < 100
    assert torch.equal(adam.point.x, start) and not adam.step()


def test_points_are_not_changed_by_later_steps():
    adam = Adam(bowl(), torch.zeros(3), 10)
    points = [adam.point]
    for _ in range(5):
        adam.step()
        points.append(adam.point)
    for point in points:
        assert float((point.x - 3).square().sum()) == pytest.approx(point.loss)
