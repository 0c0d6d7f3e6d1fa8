"""Options: from a file, flags and keywords to one validated model, or one clear line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from impasto.errors import UsageError

Options = TypeVar("Options", bound=BaseModel)


def validate(model: type[Options], values: Mapping[str, Any]) -> Options:
    """The model with these values; what is not given keeps its default.

    Raises:
        UsageError: A name that the model does not have, or a value out of bounds; all of them in one line.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError("; ".join(describe(problem, model) for problem in error.errors())) from error


def merge(model: type[Options], *layers: BaseModel | Mapping[str, Any] | None) -> Options:
    """The model with the values of these layers, the later over the earlier: of options, those that were given.

    >>> class Print(BaseModel):
    ...     width: int = 10
    ...     dpi: int = 300
    >>> merge(Print, Print(width=20, dpi=150), {"dpi": 600})
    Print(width=20, dpi=600)

    Raises:
        UsageError: As :func:`validate`.
    """
    values: dict[str, Any] = {}
    for layer in layers:
        values |= layer.model_dump(exclude_unset=True) if isinstance(layer, BaseModel) else layer or {}
    return validate(model, values)


def read_options(model: type[Options], path: Path) -> dict[str, Any]:
    """What a YAML file says of the model's fields, validated; for laying flags over it.

    Raises:
        UsageError: No such file, not YAML, or not options of this model.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"options file {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(f"options file {path} is not YAML{where}: write one `name: value` a line") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"options file {path} is not a mapping: write one `name: value` a line")
    if strange := [key for key in values if not isinstance(key, str)]:
        raise UsageError(f"options file {path}: no option {strange[0]!r}: there are {', '.join(model.model_fields)}")
    try:
        validate(model, values)
    except UsageError as error:
        raise UsageError(f"options file {path}: {error}") from error
    return values


def describe(problem: Any, model: type[BaseModel] | None = None) -> str:
    """One of pydantic's errors in a few words: the option, what it is, what it must be."""
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden" and model:
        return f"no option {name!r}: there are {', '.join(model.model_fields)}"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{name} is {problem['input']!r}: it {message}" if name else message
