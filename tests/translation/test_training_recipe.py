"""The recipe to train by: what is in it, and that it does something to the crops."""

from typing import Any

import pytest

from impasto.errors import UsageError
from impasto.runs.options_file import validate
from impasto.translation import degrade
from impasto.translation.options import EnhancementOptions
from impasto.translation.training_recipe import recipe_of, settled, steps_of


def test_steps_within_groups_are_steps_too() -> None:
    recipe = degrade.parse("one-of(2 blur noise | shuffle(jpeg | one-of(gray | text)))@0.5 round")
    names = [step.operation for step in steps_of(recipe.steps)]
    assert names == ["blur", "noise", "jpeg", "gray", "text", "round"]


@pytest.mark.parametrize(
    "fields",
    [
        {"recipe": "min-side:96 jpeg:60 enlarge"},
        {"recipe": "one-of(min-side:96-200 | min-side:64) enlarge"},
        {"recipe": "min-side:64 enlarge", "stages": ("all:1@128", "all:1@64")},
    ],
    ids=str,
)
def test_a_shorter_side_that_no_crop_has_is_one_line(fields: dict[str, Any]) -> None:
    with pytest.raises(
        UsageError, match=r"^min-side:.* does nothing to crops of (96|64) pixels.*write down:N"
    ) as caught:
        recipe_of(validate(EnhancementOptions, fields))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"recipe": "min-side:95 enlarge"},
        {"recipe": "min-side:48-200 enlarge"},
        {"recipe": "resize:2 min-side:96 enlarge"},
        {"recipe": "min-side:96 enlarge", "size": 128},
        {"recipe": "min-side:96 enlarge", "stages": ("all:1@128",)},
    ],
    ids=str,
)
def test_one_that_crops_have_is_taken(fields: dict[str, Any]) -> None:
    recipe_of(validate(EnhancementOptions, fields))


def test_colours_are_learnt_from_gray_pictures() -> None:
    recipe_of(validate(EnhancementOptions, {"task": "colorize", "recipe": "noise:10 gray"}))
    with pytest.raises(UsageError, match="'jpeg:30' leaves colours"):
        recipe_of(validate(EnhancementOptions, {"task": "colorize", "recipe": "jpeg:30"}))


@pytest.mark.parametrize(
    ("fields", "architecture", "loss"),
    [
        ({}, "light", "charbonnier"),
        ({"recipe": "text"}, "unet", "mse"),
        ({"recipe": "one-of(noise:20 | watermark) jpeg:60"}, "unet", "mse"),
        ({"recipe": "text", "architecture": "light", "pixel_loss": "l1"}, "light", "l1"),
        ({"task": "colorize"}, "unet", "charbonnier"),
        ({"scale": 2, "recipe": "text down:2"}, "light", "mse"),
    ],
    ids=str,
)
def test_what_is_left_open_is_what_suits_the_recipe(fields: dict[str, Any], architecture: str, loss: str) -> None:
    options = validate(EnhancementOptions, fields)
    made = settled(options, recipe_of(options))
    assert (made.architecture, made.pixel_loss) == (architecture, loss)
