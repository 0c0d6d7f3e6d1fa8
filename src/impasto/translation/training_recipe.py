"""The recipe that an enhancement is trained by: what the options ask for, and what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from impasto.errors import UsageError
from impasto.training.stage import parse_stage
from impasto.translation import degrade
from impasto.translation.degrade import Recipe
from impasto.translation.degrade.operations import Range
from impasto.translation.degrade.recipe import Group, Step
from impasto.translation.make import kind_of
from impasto.translation.options import EnhancementOptions

PRESETS = {"restore": "jpeg-denoise", "colorize": "colorize"}
_WRITES = {"text", "watermark"}


def recipe_of(options: EnhancementOptions) -> Recipe:
    """The degradation that is to be undone.

    Raises:
        UsageError: It does not parse, its scale is not that of the options, it does nothing to crops so small,
            or leaves colours where they are to be learnt.
    """
    text = options.recipe or PRESETS.get(options.task, f"bicubic:{options.scale}")
    recipe = degrade.parse(Path(text) if is_file(text) else text)
    if recipe.scale != options.scale:
        what = f"makes pictures {recipe.scale} times smaller" if recipe.scale > 1 else "keeps the size"
        raise UsageError(f"the recipe {text!r} {what}, but --scale is {options.scale}: make them agree")
    if options.task == "colorize" and not any(step.operation == "gray" for step in steps_of(recipe.steps)):
        raise UsageError(
            f"the recipe {text!r} leaves colours: to colorize is learnt from gray pictures, add gray to it"
        )
    _require_effect(recipe, min(parse_stage(stage).size or options.size for stage in options.stages))
    return recipe


def is_file(text: str) -> bool:
    """Whether a recipe is named by its file."""
    return Path(text).suffix in (".yaml", ".yml")


def steps_of(items: Iterable[Step | Group]) -> Iterator[Step]:
    """Every step, those within groups too.

    >>> [step.operation for step in steps_of(degrade.parse("one-of(blur | noise) jpeg@0.5").steps)]
    ['blur', 'noise', 'jpeg']
    """
    for item in items:
        if isinstance(item, Step):
            yield item
        else:
            for member in item.members:
                yield from steps_of(member.steps)


def writes_over(recipe: Recipe) -> bool:
    """Whether a step lays something over pictures: it changes few pixels, and these much.

    >>> writes_over(degrade.parse("one-of(noise:20 | text)")), writes_over(degrade.parse("jpeg:10-60"))
    (True, False)
    """
    return any(step.operation in _WRITES for step in steps_of(recipe.steps))


def settled(options: EnhancementOptions, recipe: Recipe) -> EnhancementOptions:
    """The options with what they left open: a run holds what it is made of, whatever another version would choose.

    A U-Net for what needs to be recognised, colours and letters, else the light network. Squared errors where pictures
    are written over, and most pixels are right as they are: L1 and Charbonnier pull as hard at the slightest change to
    these as at the letters, and the network stays where it begins, at the picture itself.
    """
    over = writes_over(recipe)
    open_ones: dict[str, Any] = {}
    if options.architecture == "auto":
        open_ones["architecture"] = "unet" if options.task == "restore" and over else kind_of(options)
    if options.pixel_loss == "auto":
        open_ones["pixel_loss"] = "mse" if over else "charbonnier"
    return options.model_copy(update=open_ones)


def _require_effect(recipe: Recipe, side: int) -> None:
    """Refuse a shorter side to shrink to that crops of ``side`` pixels have not: what is meant is the whole picture."""
    steps = list(steps_of(recipe.steps))
    if any(step.operation == "resize" for step in steps):
        return  # which may enlarge
    for step in steps:
        if step.operation == "min-side":
            wanted = step.parameters["side"]
            least = wanted.low if isinstance(wanted, Range) else wanted
            if isinstance(least, float) and least >= side:
                raise UsageError(
                    f"{step} does nothing to crops of {side} pixels, whose shorter side is no longer: write down:N, "
                    "which makes them N times smaller, or learn from larger crops"
                )
