"""Options of generators: what a kind brings along, what is asked for over it, and what makes no sense."""

from typing import Any

import pytest
from pydantic import ValidationError

from impasto.translation.gan.options import RECIPES, GanOptions, GenerateOptions


def test_a_kind_brings_its_papers_settings() -> None:
    wgan, penalised, growing = (GanOptions(kind=kind).recipe for kind in ("wgan", "wgan-gp", "progressive"))
    assert (wgan.optimizer, wgan.clip, wgan.penalty, wgan.critic_steps, wgan.bursts) == ("rmsprop", 0.01, 0, 5, True)
    assert (penalised.betas, penalised.clip, penalised.penalty, penalised.critic_steps) == ((0.0, 0.9), 0, 10, 5)
    assert (growing.betas, growing.learning_rate, growing.critic_steps, growing.drift) == ((0.0, 0.99), 1e-3, 1, 1e-3)


def test_what_is_asked_for_goes_over_it() -> None:
    recipe = GanOptions(kind="wgan", optimizer="adam", learning_rate=2e-4, bursts=False, clip=0.1).recipe
    assert recipe == RECIPES["wgan"]._replace(optimizer="adam", learning_rate=2e-4, bursts=False, clip=0.1)


def test_the_schedule_of_2017() -> None:
    options = GanOptions(kind="wgan")
    found = [options.critic_steps_before(step) for step in range(1001)]
    assert [step for step, count in enumerate(found) if count == 100] == [*range(25), 500, 1000]
    assert set(found) == {5, 100}
    assert {GanOptions(kind="wgan-gp").critic_steps_before(step) for step in range(600)} == {5}


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "stylegan"},
        {"size": 48},
        {"steps": 0},
        {"batch_size": 1},
        {"learning_rate": 0},
        {"average": 1},
        {"clip": 0, "kind": "wgan"},
        {"penalty": 0, "kind": "wgan-gp"},
        {"kind": "progressive", "spectral": True},
        {"epochs": 3},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GanOptions(**given)


def test_spectral_norm_alone_keeps_slopes_in_bounds() -> None:
    assert GanOptions(kind="wgan", clip=0, spectral=True).recipe.clip == 0


def test_descriptions_of_generators_say_all_that_a_file_needs() -> None:
    assert GanOptions(size=32, width=8, noise=5).generator(1) == {
        "kind": "dcgan", "size": 32, "noise": 5, "channels": 1, "width": 8, "upsample": "transposed",
    }  # fmt: skip
    assert GanOptions(kind="progressive").generator(3) == {
        "kind": "progressive", "size": 64, "noise": 100, "channels": 3, "width": 128,
    }  # fmt: skip


def test_every_option_is_documented() -> None:
    for model in (GanOptions, GenerateOptions):
        assert all(field.description and field.description.endswith(".") for field in model.model_fields.values())
