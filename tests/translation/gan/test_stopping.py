"""When to stop: the merit, the turn of curves that are known, and the critic's ability."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.translation.gan.stopping import Check, Verdict, ability, verdict


def watched(distances: list[float], contents: list[float], **how: float) -> tuple[int, Verdict]:
    """When a training that is watched ends, and what is said then."""
    seen = [Check(n, d, c) for n, (d, c) in enumerate(zip(distances, contents, strict=True))]
    for number in range(1, len(seen) + 1):
        found = verdict(seen[:number], **how)  # type: ignore[arg-type]
        if found.stop:
            return number, found
    return len(seen), found


def test_a_critic_that_always_knows_has_ability_one_and_one_that_guesses_a_half() -> None:
    assert ability(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == 1
    assert ability(torch.tensor([0.0]), torch.tensor([1.0, 2.0])) == 0
    assert ability(torch.ones(5), torch.ones(7)) == 0.5
    chance = torch.Generator().manual_seed(0)
    assert ability(torch.randn(4000, generator=chance), torch.randn(4000, generator=chance)) == pytest.approx(
        0.5, abs=0.02
    )


def test_ability_counts_pairs() -> None:
    chance = torch.Generator().manual_seed(1)
    real, fake = torch.randint(0, 5, (30,), generator=chance), torch.randint(0, 4, (20,), generator=chance)
    pairs = [(1.0 if r > f else 0.5 if r == f else 0.0) for r in real.tolist() for f in fake.tolist()]
    assert ability(real.float(), fake.float()) == pytest.approx(sum(pairs) / 600)


@given(st.floats(0.1, 100), st.floats(-50, 50))
def test_ability_does_not_depend_on_scale_and_zero(scale: float, zero: float) -> None:
    chance = torch.Generator().manual_seed(2)
    real, fake = torch.randn(9, generator=chance).double() + 0.5, torch.randn(9, generator=chance).double()
    assert ability(real * scale + zero, fake * scale + zero) == pytest.approx(ability(real, fake))


def test_training_stops_behind_the_turn_and_keeps_it() -> None:
    """Pictures come nearer for ten checks; from the twelfth on the content is lost, faster and faster."""
    distances = [3 * (0.6 + 0.4 * math.exp(-n / 3)) for n in range(60)]
    contents = [0.02 * (1.0 + 0.002 * max(0, n - 12) ** 2) for n in range(60)]
    ended, found = watched(distances, contents, tolerance=0.05, patience=5)
    assert 14 <= found.best <= 20
    assert ended == found.best + 1 + 5
    assert found.merits[0] == 0 and found.merits[found.best] == max(found.merits) == pytest.approx(0.4, abs=0.02)


def test_noise_does_not_stop_it_early() -> None:
    chance = torch.Generator().manual_seed(3)
    noise = (torch.rand(2, 60, generator=chance) - 0.5).tolist()
    distances = [0.6 + 0.4 * math.exp(-n / 6) + 0.02 * noise[0][n] for n in range(60)]
    contents = [1.0 + 0.001 * max(0, n - 20) ** 2 + 0.02 * noise[1][n] for n in range(60)]
    ended, found = watched(distances, contents)
    assert 18 <= found.best <= 36 and ended < 50


def test_pictures_that_get_odd_while_their_content_is_dear_end_it() -> None:
    distances = [1.0 - 0.05 * min(n, 8) + 0.1 * max(0, n - 8) for n in range(30)]
    ended, found = watched(distances, [1.0 + 0.03 * n for n in range(30)], tolerance=0.3, patience=3)
    assert found.best in (8, 9) and ended == found.best + 4


def test_while_the_content_is_kept_it_goes_on_and_the_last_of_equals_is_best() -> None:
    ended, found = watched([1.0] * 30, [1.0 + 0.001 * n for n in range(30)], tolerance=0.05)
    assert ended == 30 and found.best == 29 and not found.stop


def test_a_generator_that_only_loses_is_left_as_it_was() -> None:
    ended, found = watched([0.9] * 30, [1.0 + 0.1 * n for n in range(30)], patience=4, window=1, tolerance=0.05)
    assert found.best == 0 and ended == 5


def test_a_gain_that_outweighs_the_loss_goes_on() -> None:
    ended, _ = watched([1.0 - 0.01 * n for n in range(30)], [1.0 + 0.005 * n for n in range(30)])
    assert ended == 30


def test_a_perfect_beginning_divides_nothing_by_zero() -> None:
    found = verdict([Check(0, 0.0, 0.0), Check(1, 0.0, 0.0)])
    assert all(map(math.isfinite, found.merits)) and not found.stop
