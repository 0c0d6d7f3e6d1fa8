"""Parse: a recipe from a preset's name, a line of text or a YAML file, or one clear line on what is wrong."""

from __future__ import annotations

import re
from collections import deque
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from impasto.errors import UsageError
from impasto.networks.names import nearest
from impasto.translation.degrade.operations import OPERATIONS
from impasto.translation.degrade.presets import PRESETS
from impasto.translation.degrade.recipe import Group, Recipe, Step

GROUPS = get_args(Group.model_fields["group"].annotation)
SUFFIXES = (".yaml", ".yml", ".json")

# What --help says of recipes.
SYNTAX = """A recipe is a preset, a YAML file, or steps in their order, as "down:4 noise:0-25@0.5 jpeg:30-95":

    NAME:VALUE                 a step and its first parameter
    NAME:VALUE,KEY=VALUE       further parameters
    30-95                      drawn for each picture, all values as likely
    1~50                       likewise, all ratios as likely
    area/bilinear              one of these words
    STEP@0.5                   in half of the pictures
    one-of(STEPS | STEPS)      one of them; one-of(3 STEPS | 1 STEPS) the first three times as often
    shuffle(STEPS | STEPS)     all of them in any order"""


def parse(recipe: str | Path | Recipe, *, scale: int | None = None) -> Recipe:
    """A recipe, however it is given.

    Args:
        recipe: A preset (``crappify``, ``bicubic:4``), steps (``down:4 jpeg:30-95``), or a YAML or JSON file: a list of
            steps as text, or what `Recipe.to_json` gives.
        scale: What the recipe's scale must be; a preset that needs one is given it.

    Raises:
        UsageError: It is none of these, or of another scale; the line names the step and the right form.

    >>> str(parse("crappify"))
    'down:4,kernel=bilinear jpeg:60 enlarge:bilinear'
    >>> parse("noise:5-1")
    Traceback (most recent call last):
    impasto.errors.UsageError: recipe step 'noise:5-1': sigma is 5-1, from high to low: write 1-5
    """
    found = recipe if isinstance(recipe, Recipe) else _read(recipe, scale)
    if scale is not None and found.scale != scale:
        raise UsageError(
            f"the recipe {recipe} reduces pictures {found.scale} times, not {scale} times: end it in fit:{scale}"
        )
    return found


def _read(recipe: str | Path, scale: int | None) -> Recipe:
    if isinstance(recipe, Path) or recipe.endswith(SUFFIXES):
        return _from_file(Path(recipe))
    name, mark, number = recipe.strip().partition(":")
    if name in PRESETS and (not mark or PRESETS[name].n is not None):
        return _preset(name, number, scale)
    return Recipe(steps=tuple(_steps(recipe)))


def _preset(name: str, number: str, scale: int | None) -> Recipe:
    preset = PRESETS[name]
    if preset.n is None:
        return Recipe(name=name, steps=tuple(_steps(preset.text)))
    n = number or str(scale if scale and preset.reduces else preset.n)
    if not n.isdecimal() or not 1 <= int(n) <= 16:
        wrong = f"takes a whole number from 1 to 16, not {number!r}" if number else "needs a scale"
        raise UsageError(f"the recipe {name} {wrong}: write {name}:2, {name}:3 or {name}:4")
    return Recipe(name=f"{name}:{n}", steps=tuple(_steps(preset.text.format(n=n))))


def _from_file(path: Path) -> Recipe:
    """A YAML or JSON file: steps as text, in one line or a list, or the JSON of a recipe."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the recipe {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(f"the recipe {path} is not YAML{where}: write steps as a list, - jpeg:30-95 a line") from error
    try:
        named = values if isinstance(values, dict) else {"steps": values}
        steps = named.get("steps")
        steps = [steps] if isinstance(steps, str) else steps
        if not isinstance(steps, list) or not steps:
            raise UsageError("it holds no steps: write them as a list, - jpeg:30-95 a line")
        read: list[Any] = []
        for step in steps:
            read += _steps(step) if isinstance(step, str) else [step]
        return Recipe.from_json({"name": path.stem} | named | {"steps": read})
    except UsageError as error:
        raise UsageError(f"the recipe {path}: {error}") from error


def _steps(text: str) -> list[Step | Group]:
    """The steps of a text."""
    tokens = deque(re.findall(r"[^\s|()]+|[|()]", text))
    if not tokens:
        raise UsageError(f"the recipe is empty: write steps, as down:4 jpeg:30-95, or one of {', '.join(PRESETS)}")
    steps = _sequence(tokens, whole=text)
    if tokens:
        raise UsageError(f"the recipe {text!r} has a {tokens[0]!r} outside of any group: write one-of(STEPS | STEPS)")
    return steps


def _sequence(tokens: deque[str], whole: str) -> list[Step | Group]:
    steps: list[Step | Group] = []
    while tokens and tokens[0] not in ("|", ")"):
        word = tokens.popleft()
        if word in GROUPS and tokens and tokens[0] == "(":
            steps.append(_group(word, tokens, whole))
        elif word == "(":
            raise UsageError(f"the recipe {whole!r} has a '(' that is no group's: write one-of( or shuffle( before it")
        else:
            steps.append(_step(word))
    return steps


def _group(kind: str, tokens: deque[str], whole: str) -> Group:
    """What stands after ``one-of`` or ``shuffle``, up to the closing bracket and a probability."""
    members: list[dict[str, Any]] = []
    while not members or tokens[0] == "|":
        tokens.popleft()  # the opening bracket or a bar
        weight = tokens.popleft() if tokens and kind == "one-of" and _is_number(tokens[0]) else "1"
        steps = _sequence(tokens, whole)
        if not tokens:
            raise UsageError(f"the recipe {whole!r}: {kind}( is not closed: write ) after its last step")
        if not steps:
            raise UsageError(f"the recipe {whole!r}: a part of {kind}(…) is empty: write steps between | and |")
        if float(weight) <= 0:
            raise UsageError(
                f"the recipe {whole!r}: a weight is {weight}: give numbers above 0, as one-of(3 jpeg | 1 gray)"
            )
        members.append({"steps": steps, "weight": float(weight)})
    tokens.popleft()
    often = tokens.popleft() if tokens and tokens[0].startswith("@") else "@1"
    return Group.model_validate({"group": kind, "members": members, "probability": _probability(f"{kind}(…){often}")})


def _step(word: str) -> Step:
    """One step: NAME:VALUE,KEY=VALUE@PROBABILITY.

    Raises:
        UsageError: Naming it.
    """
    try:
        head, *more = word.partition("@")[0].split(",")
        name, mark, value = head.partition(":")
        if name not in OPERATIONS:
            raise UsageError(f"there is no operation {name!r}: {_what_there_is(name)}")
        first, given = OPERATIONS[name].first, {}
        if mark:
            if first is None:
                raise UsageError(f"{name} has no parameter: write {name} alone")
            given[first] = value
        for pair in more:
            key, mark, value = pair.partition("=")
            if not mark:
                right = ", ".join(f"{key}={one.default}" for key, one in OPERATIONS[name].parameters.items())
                raise UsageError(f"{pair!r} has no name: write {right or 'nothing'} after a comma")
            if key in given:
                raise UsageError(f"{key} is given twice")
            given[key] = value
        return Step.model_validate({"operation": name, "parameters": given, "probability": _probability(word)})
    except UsageError as error:
        raise UsageError(f"recipe step {word!r}: {error}") from None


def _probability(word: str) -> float:
    """What stands after the @."""
    _, mark, often = word.partition("@")
    if not mark:
        return 1.0
    if not _is_number(often) or not 0 <= float(often) <= 1:
        raise UsageError(
            f"{often!r} is no probability: write a number from 0 to 1 after @, as {word.partition('@')[0]}@0.5"
        )
    return float(often)


def _is_number(word: str) -> bool:
    return re.fullmatch(r"\d+\.?\d*|\.\d+", word) is not None


def _what_there_is(name: str) -> str:
    """The operations, and the presets that the name may have been meant to be."""
    if name in PRESETS:
        return f"{name} is a whole recipe, which stands alone"
    like = get_close_matches(name, list(PRESETS), 2)
    recipes = f", and of whole recipes {', '.join(like)} and others (--list shows all)" if like else ""
    return f"there are {nearest(name, list(OPERATIONS), 20)}{recipes}"
