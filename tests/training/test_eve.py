"""Eve: the paper's equations, on numbers worked out beside it."""

import json
import math

import pytest
import torch
from torch import nn

from impasto.errors import UsageError
from impasto.training.eve import Eve

LOSSES = [2.0, 1.0, 4.0, 4.1]
GRADIENTS = [0.5, -1.0, 2.0, 0.25]
ALPHA, B1, B2, B3, EPS = 0.1, 0.9, 0.999, 0.9, 1e-3


def follow(version: str, **settings) -> tuple[list[float], list[float]]:
    """Where one weight that starts at 1 goes, and d at each step."""
    weight = nn.Parameter(torch.ones((), dtype=torch.float64))
    eve = Eve([weight], ALPHA, (B1, B2, B3), EPS, version=version, **settings)
    places, coefficients = [], []
    for loss, gradient in zip(LOSSES, GRADIENTS, strict=True):
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        eve.step(loss=loss)
        places.append(weight.item())
        coefficients.append(eve.coefficient)
    return places, coefficients


def adams_parts() -> list[tuple[float, float]]:
    """(m̂, √v̂) of the gradients, written out."""
    m1 = 0.1 * 0.5
    m2 = 0.9 * m1 + 0.1 * -1.0
    m3 = 0.9 * m2 + 0.1 * 2.0
    m4 = 0.9 * m3 + 0.1 * 0.25
    v1 = 0.001 * 0.25
    v2 = 0.999 * v1 + 0.001 * 1.0
    v3 = 0.999 * v2 + 0.001 * 4.0
    v4 = 0.999 * v3 + 0.001 * 0.0625
    firsts = (m1 / 0.1, m2 / (1 - 0.9**2), m3 / (1 - 0.9**3), m4 / (1 - 0.9**4))
    seconds = (v1 / 0.001, v2 / (1 - 0.999**2), v3 / (1 - 0.999**3), v4 / (1 - 0.999**4))
    return [(m, math.sqrt(v)) for m, v in zip(firsts, seconds, strict=True)]


def test_version_3_on_known_values():
    # |1 − 2|/1 = 1; |4 − 1|/1 = 3; |4.1 − 4|/4 = 0.025, clipped to 1/10
    d = [1.0, 0.9 * 1.0 + 0.1 * 1.0]
    d.append(0.9 * d[1] + 0.1 * 3.0)
    d.append(0.9 * d[2] + 0.1 * 0.1)
    assert d == pytest.approx([1, 1, 1.2, 1.09])
    theta, expected = 1.0, []
    for (m, root), divisor in zip(adams_parts(), d, strict=True):
        theta -= 0.1 / divisor * m / (root + 1e-3)
        expected.append(theta)
    places, coefficients = follow("v3")
    assert coefficients == pytest.approx(d, rel=1e-14)
    assert places == pytest.approx(expected, rel=1e-13)


def test_version_3_knows_the_minimum_and_the_clip():
    # above f* = 0.9: 1/0.1 = 10, 3/0.1 = 30, 0.1/3.1; clipped to [1/5, 5]
    d2 = 0.9 * 1.0 + 0.1 * 5
    d3 = 0.9 * d2 + 0.1 * 5
    d4 = 0.9 * d3 + 0.1 * 0.2
    assert follow("v3", minimum=0.9, clip=5.0)[1] == pytest.approx([1, d2, d3, d4], rel=1e-13)


def test_version_1_on_known_values():
    # f̂ = 2. 1/2 lies in [1/11, 1/1.1]: f̂ = 1, r = 1. 4/1 lies in [1.1, 11]: f̂ = 4, r = 3.
    # 4.1/4 = 1.025 is raised to 1.1: f̂ = 4.4, r = 0.4/4.
    d2 = 0.9 * 1.0 + 0.1 * 1.0
    d3 = 0.9 * d2 + 0.1 * 3.0
    d4 = 0.9 * d3 + 0.1 * 0.1
    theta, expected = 1.0, []
    for (m, root), divisor in zip(adams_parts(), (1.0, d2, d3, d4), strict=True):
        theta -= 0.1 * m / (divisor * root + 1e-3)
        expected.append(theta)
    places, coefficients = follow("v1")
    assert coefficients == pytest.approx([1, d2, d3, d4], rel=1e-13)
    assert places == pytest.approx(expected, rel=1e-13)


def test_version_1_follows_the_loss_no_faster_than_its_thresholds_allow():
    weight = nn.Parameter(torch.ones(()))
    eve = Eve([weight], version="v1", betas=(0.9, 0.999, 0.0))  # d is r itself
    weight.grad = torch.zeros(())
    seen = []
    for loss in (1.0, 100.0, 100.0, 0.5, 0.5):
        eve.step(loss=loss)
        seen.append((eve.param_groups[0]["before"], eve.coefficient))
    # 100 is cut to 11; 100/11 = 9.1 is let through; 0.5/100 is raised to 1/11; 0.5/9.09 = 0.055 again
    hats, changes = zip(*seen, strict=True)
    assert hats == pytest.approx((1, 11, 100, 100 / 11, 100 / 121))
    assert changes == pytest.approx((1, 10, 100 / 11 - 1, 10, 10))


@pytest.mark.parametrize(
    ("version", "losses"), [("v3", [1.0, 2.0, 4.0, 2.0, 1.0, 2.0]), ("v1", [1.0, 2.0, 4.0, 2.0, 1.0, 2.0])]
)
def test_it_is_adam_where_the_feedback_is_neutral(version, losses):
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64)) for _ in range(2))
    eve = Eve([ours], 0.05, version=version)
    adam = torch.optim.Adam([theirs], 0.05)
    gradients = torch.Generator().manual_seed(0)
    for loss in losses:  # each twice or half the last: r = 1, and so d
        ours.grad = torch.randn(5, generator=gradients, dtype=torch.float64)
        theirs.grad = ours.grad.clone()
        eve.step(loss=loss)
        adam.step()
    assert eve.coefficient == pytest.approx(1, abs=1e-14)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_weight_decay_is_adamws():
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64)) for _ in range(2))
    eve, adamw = Eve([ours], 0.05, weight_decay=0.1), torch.optim.AdamW([theirs], 0.05, weight_decay=0.1)
    for loss in (1.0, 2.0, 1.0):
        ours.grad, theirs.grad = ours.detach().clone(), theirs.detach().clone()
        eve.step(loss=loss)
        adamw.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_a_plateau_makes_the_steps_longer_and_noise_shorter():
    def moved(losses: list[float]) -> float:
        weight = nn.Parameter(torch.zeros(()))
        eve = Eve([weight], 0.01, (0.9, 0.999, 0.9))
        for loss in losses:
            weight.grad = torch.ones(())
            eve.step(loss=loss)
        return -weight.item()

    assert moved([1.0, 1.01] * 20) > 0.5 > 0.39 > moved([1.0, 5.0] * 20)


def test_equal_losses_at_the_minimum_change_nothing():
    weight = nn.Parameter(torch.zeros(()))
    eve = Eve([weight])
    for _ in range(3):
        eve.step(loss=0.0)
    assert eve.coefficient == 1


def test_a_loss_that_is_not_finite_is_not_listened_to():
    weight = nn.Parameter(torch.zeros(()))
    eve = Eve([weight])
    for loss in (1.0, 1.5, math.nan, math.inf):
        eve.step(loss=loss)
    heard = (eve.coefficient, eve.param_groups[0]["before"])
    assert heard == (pytest.approx(0.999 + 0.001 * 0.5), 1.5)


def test_the_loss_may_come_from_a_closure_with_gradients():
    weight = nn.Parameter(torch.tensor(3.0))
    eve = Eve([weight], lr=0.5)

    def closure() -> torch.Tensor:
        eve.zero_grad()
        loss = weight**2
        loss.backward()
        return loss

    first = eve.step(closure)
    assert first.item() == 9 and weight.item() == pytest.approx(2.5)


def test_a_step_without_a_loss_is_refused():
    with pytest.raises(UsageError, match=r"loss=value"):
        Eve([nn.Parameter(torch.zeros(1))]).step()


def test_a_loss_that_has_no_ratio_is_refused_by_version_1():
    with pytest.raises(UsageError, match="use v3"):
        Eve([nn.Parameter(torch.zeros(1))], version="v1").step(loss=-1.0)


@pytest.mark.parametrize("wrong", [{"version": "v2"}, {"lr": -1}, {"betas": (0.9, 1.0, 0.9)}, {"clip": 0.5}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UsageError, match="Eve"):
        Eve([nn.Parameter(torch.zeros(1))], **wrong)


@pytest.mark.parametrize("version", ["v3", "v1"])
def test_it_goes_on_from_its_state_bit_for_bit_through_json_and_tensors(version):
    def steps(eve: Eve, weight: nn.Parameter, losses: list[float]) -> None:
        for loss in losses:
            weight.grad = weight.detach() * loss
            eve.step(loss=loss)

    whole = nn.Parameter(torch.linspace(-1, 1, 7))
    eve = Eve([whole], 0.01, version=version)
    steps(eve, whole, [3.0, 1.0, 2.0])
    saved, weights = eve.state_dict(), whole.detach().clone()
    groups = json.loads(json.dumps(saved["param_groups"]))
    tensors = {k: {n: t.clone() for n, t in s.items()} for k, s in saved["state"].items()}
    assert all(isinstance(t, torch.Tensor) for s in tensors.values() for t in s.values())
    steps(eve, whole, [0.5, 2.5])

    again = nn.Parameter(weights)
    resumed = Eve([again], 1.0, version=version)
    resumed.load_state_dict({"state": tensors, "param_groups": groups})
    steps(resumed, again, [0.5, 2.5])
    assert torch.equal(whole, again) and resumed.coefficient == eve.coefficient


def test_a_gradient_scaler_hands_it_the_loss():
    weight = nn.Parameter(torch.tensor([3.0]))
    eve = Eve([weight], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for _ in range(5):
        loss = (weight**2).sum()
        eve.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(eve, loss=loss.item())
        scaler.update()
    assert eve.param_groups[0]["heard"] == 5
    assert weight.item() == pytest.approx(2.5, abs=0.02)


def test_every_group_moves_at_its_own_rate():
    slow, fast = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
    eve = Eve([{"params": [slow], "lr": 1e-3}, {"params": [fast], "lr": 1e-1}])
    for loss in (1.0, 0.5, 3.0):
        slow.grad, fast.grad = torch.ones(()), torch.ones(())
        eve.step(loss=loss)
    assert fast.item() == pytest.approx(100 * slow.item(), rel=1e-5)
    assert len({group["coefficient"] for group in eve.param_groups}) == 1
