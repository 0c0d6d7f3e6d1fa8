"""A recipe as JSON, its scale, and how it tells of itself."""

import json

import pytest
import torch
from pydantic import ValidationError

from impasto.errors import UsageError
from impasto.translation.degrade import Recipe, parse

TEXTS = [
    "blur:0.2~3@0.3 down:4,kernel=area/bilinear jpeg:30,print=1",
    "shuffle(noise | one-of(0.1 gray | 3 text))",
    "real-esrgan",
]


@pytest.mark.parametrize("text", TEXTS)
def test_json_brings_the_same_recipe_back(text: str) -> None:
    recipe = parse(text)
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe
    assert again.to_json() == recipe.to_json()


def test_json_holds_what_is_usual_too() -> None:
    assert parse("jpeg:30-95@0.5").to_json() == {
        "version": 1,
        "name": None,
        "steps": [
            {
                "operation": "jpeg",
                "parameters": {"quality": {"low": 30.0, "high": 95.0, "log": False}, "chroma": ["420"], "print": 0.0},
                "probability": 0.5,
            }
        ],
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"version": 7, "steps": []}, "version 7"),
        ({}, "no recipe"),
        ([], "no recipe"),
        ({"steps": []}, "steps"),
        ({"steps": [{"operation": "jpeg", "probability": 3}]}, "probability"),
        ({"steps": [3]}, "steps"),
    ],
)
def test_json_that_is_no_recipe_gets_one_line(values: object, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        Recipe.from_json(values)
    assert "\n" not in str(error.value)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        parse("gray").name = "other"


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("noise:5", 1),
        ("down:4", 4),
        ("down:2 down:3", 6),
        ("down:4 enlarge", 1),
        ("down:4 resize:2,kernel=area", 2),
        ("resize:0.5-2 fit:3", 3),
        ("resize:0.5,of=2", 4),
        ("min-side:9 enlarge", 1),
        ("one-of(down:2 noise | fit:2)", 2),
        ("one-of(down:2 | resize:0.5 gray) down:2@0", 2),
        ("shuffle(down:2 | down:2 | jpeg)", 4),
        ("shuffle(fit:4 sinc | jpeg)", 4),
    ],
)
def test_the_scale_is_followed_through_every_step(text: str, scale: int) -> None:
    recipe = parse(text)
    assert recipe.scale == recipe.multiple == scale
    for seed in range(3):
        small = recipe(torch.rand(1, 3, 8 * scale, 5 * scale), [seed])
        assert small.shape == (1, 3, 8, 5)


def test_orders_that_end_at_different_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="not always the same"):
        parse("shuffle(down:2 | fit:4)")


def test_sizes_that_are_no_multiple_are_refused() -> None:
    with pytest.raises(UsageError, match="33×32 pixels .* multiples of 4"):
        parse("down:4")(torch.rand(1, 3, 32, 33), [0])


def test_each_step_is_described_by_a_sentence() -> None:
    described = parse("down:4 noise:0-25,gray=0.4@0.5 one-of(3 jpeg:30 | gray)").describe()
    assert described == (
        "made smaller by a whole factor (factor 4, kernel bicubic, low-passed before it shrinks)",
        "Gaussian noise added (sigma in gray levels 0 to 25, the same in all channels in 40 %), in 50 % of the pictures",
        "one of: [75 % compressed as JPEG (quality 30, chroma subsampling 420); 25 % made gray]",
    )
