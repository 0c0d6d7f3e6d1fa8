"""Options of generators: what a kind brings along, what is asked for over it, and what makes no sense."""

from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from impasto.translation.gan.options import METHODS, GanOptions, GenerateOptions


def test_a_kind_brings_its_settings() -> None:
    wgan, penalised, growing = (GanOptions(kind=kind).method for kind in ("wgan", "wgan-gp", "progressive"))
    assert (wgan.optimizer, wgan.clip, wgan.penalty, wgan.critic_steps, wgan.bursts) == ("rmsprop", 0.01, 0, 5, False)
    assert (penalised.betas, penalised.clip, penalised.penalty, penalised.critic_steps) == ((0.0, 0.9), 0, 10, 2)
    assert (growing.betas, growing.learning_rate, growing.critic_steps, growing.drift) == ((0.0, 0.99), 1e-3, 1, 1e-3)


def test_what_is_asked_for_goes_over_it() -> None:
    method = GanOptions(kind="wgan", optimizer="adam", learning_rate=2e-4, bursts=True, clip=0.1).method
    assert method == METHODS["wgan"]._replace(optimizer="adam", learning_rate=2e-4, bursts=True, clip=0.1)


def test_the_schedule_of_2017() -> None:
    options = GanOptions(kind="wgan", bursts=True)
    found = [options.critic_steps_before(step) for step in range(1001)]
    assert [step for step, count in enumerate(found) if count == 100] == [*range(25), 500, 1000]
    assert set(found) == {5, 100}
    assert {GanOptions(kind="wgan-gp").critic_steps_before(step) for step in range(600)} == {2}


@pytest.mark.parametrize(("kind", "decay"), [("wgan", 0.5), ("wgan-gp", 0.5), ("progressive", 0.4)])
def test_the_learning_rate_stands_and_then_falls_to_nothing(kind: Any, decay: float) -> None:
    options = GanOptions(kind=kind, steps=100, learning_rate=2.0)
    rates = [options.learning_rate_at(step) for step in range(101)]
    begin = round(100 * (1 - decay))
    assert rates[: begin + 1] == [2.0] * (begin + 1) and rates[100] == 0
    falls = [before - after for before, after in pairwise(rates[begin:])]
    assert falls == pytest.approx([2 / (100 - begin)] * len(falls))
    assert {GanOptions(kind=kind, decay=0, steps=9).learning_rate_at(step) for step in range(9)} == {
        METHODS[kind].learning_rate
    }


def test_small_pictures_have_narrow_networks() -> None:
    sizes = (16, 32, 64, 128)
    assert [GanOptions(size=size).channels_of_maps for size in sizes] == [16, 16, 32, 64]
    assert [GanOptions(size=size, kind="progressive").channels_of_maps for size in sizes] == [32, 32, 64, 128]
    assert GanOptions(width=5).channels_of_maps == 5


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "stylegan"},
        {"size": 48},
        {"steps": 0},
        {"batch_size": 1},
        {"learning_rate": 0},
        {"average": 1},
        {"decay": 1.5},
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


def test_a_way_goes_from_one_picture_to_another() -> None:
    for given in ({"count": 1}, {"columns": 1}, {"count": 20, "columns": 1}):
        GenerateOptions(**given)
        with pytest.raises(ValidationError, match="two at least: take --columns 10"):
            GenerateOptions(interpolate=True, **given)
    GenerateOptions(interpolate=True, count=1, columns=2)


def test_spectral_norm_alone_keeps_slopes_in_bounds() -> None:
    assert GanOptions(kind="wgan", clip=0, spectral=True).method.clip == 0


def test_descriptions_of_generators_say_all_that_a_file_needs() -> None:
    assert GanOptions(size=32, width=8, noise=5).generator(1) == {
        "kind": "dcgan", "size": 32, "noise": 5, "channels": 1, "width": 8, "upsample": "transposed",
    }  # fmt: skip
    assert GanOptions(kind="progressive").generator(3) == {
        "kind": "progressive", "size": 32, "noise": 100, "channels": 3, "width": 32,
    }  # fmt: skip


def test_every_option_is_documented() -> None:
    for model in (GanOptions, GenerateOptions):
        assert all(field.description and field.description.endswith(".") for field in model.model_fields.values())
