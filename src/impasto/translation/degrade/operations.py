"""Operations: what a degradation may be made of, the parameters of each, and their bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from impasto.errors import UsageError
from impasto.networks.names import nearest

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})(?:([-~])({_NUMBER}))?")


class Range(BaseModel):
    """Numbers from ``low`` to ``high``, all as likely; or, ``log``, all ratios as likely.

    >>> str(Range(low=30, high=95)), str(Range(low=1, high=50, log=True))
    ('30-95', '1~50')
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{shown(self.low)}{'~' if self.log else '-'}{shown(self.high)}"


Value = float | Range | tuple[str, ...]


class Number(NamedTuple):
    """A parameter that is a number, fixed or drawn from a range.

    Attributes:
        about: What it is, with its unit.
        default: As it is written.
        low: The least that it may be.
        high: The most.
        whole: Whether it is a whole number.
        halves: Whether a range around 1 is drawn half of the time below 1 and half of the time above.
        silent: The value that need not be told.
    """

    about: str
    default: str
    low: float
    high: float
    whole: bool = False
    halves: bool = False
    silent: float | None = None

    @property
    def form(self) -> str:
        """What may be written."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {shown(self.low)} to {shown(self.high)}, or a range of them"


class Chance(NamedTuple):
    """A parameter that is yes or no: how often it is yes, from 0 to 1."""

    about: str
    default: str = "0"

    @property
    def form(self) -> str:
        """What may be written."""
        return "how often, from 0 to 1"


class Word(NamedTuple):
    """A parameter that is one of some words; where several are given, each is as likely."""

    about: str
    default: str
    choices: tuple[str, ...]

    @property
    def form(self) -> str:
        """What may be written."""
        return f"{' or '.join(self.choices)}, or several with / between"


class Operation(NamedTuple):
    """One operation: a few words on what it does, and its parameters; the first is written after the colon."""

    about: str
    parameters: Mapping[str, Number | Chance | Word] = {}  # it is never written to

    @property
    def first(self) -> str | None:
        """The parameter that needs no name."""
        return next(iter(self.parameters), None)


_KERNELS = ("bicubic", "bilinear", "area")


def _kernel(default: str) -> Word:
    return Word("kernel", default, _KERNELS)


_ANTIALIAS = Chance("low-passed before it shrinks", "1")
_GRAY = Chance("the same in all channels")
_COLOURS = ("any", "white", "black", "gray")

# The order of an operation's parameters is that of the random numbers: a new one goes to the end.
OPERATIONS: dict[str, Operation] = {
    "down": Operation(
        "made smaller by a whole factor",
        {"scale": Number("factor", "2", 1, 16, whole=True), "kernel": _kernel("bicubic"), "antialias": _ANTIALIAS},
    ),
    "resize": Operation(
        "made smaller or larger",
        {
            "factor": Number("factor", "0.5-1.5", 0.05, 8),
            "of": Number("of the original size divided by", "0", 0, 16, whole=True, silent=0),
            "kernel": _kernel("area/bilinear/bicubic"),
            "antialias": _ANTIALIAS,
        },
    ),
    "fit": Operation(
        "brought to the original size divided by a factor",
        {"scale": Number("factor", "1", 1, 16, whole=True), "kernel": _kernel("bicubic"), "antialias": _ANTIALIAS},
    ),
    "enlarge": Operation("brought back to the original size", {"kernel": _kernel("bicubic")}),
    "min-side": Operation(
        "made smaller until the shorter side is so long",
        {"side": Number("pixels", "96", 1, 8192, whole=True), "kernel": _kernel("bilinear"), "antialias": _ANTIALIAS},
    ),
    "jpeg": Operation(
        "compressed as JPEG",
        {
            "quality": Number("quality", "10-95", 1, 100, whole=True),
            "chroma": Word("chroma subsampling", "420", ("420", "444")),
            "print": Chance("its quality printed on it in white"),
        },
    ),
    "noise": Operation(
        "Gaussian noise added", {"sigma": Number("sigma in gray levels", "0-50", 0, 255), "gray": _GRAY}
    ),
    "poisson": Operation(
        "photon noise added",
        {"scale": Number("times that of 256 photons at white", "0.05-3", 0, 20), "gray": _GRAY},
    ),
    "blur": Operation(
        "blurred",
        {
            "sigma": Number("sigma in pixels", "0.2-3", 0.05, 10),
            "across": Number("sigma across in pixels", "0", 0, 10, silent=0),
            "angle": Number("angle in degrees", "0", -180, 180, silent=0),
            "profile": Word("profile", "gaussian", ("gaussian", "generalised", "plateau")),
            "beta": Number("exponent of the profile", "1", 0.1, 10, halves=True, silent=1),
            "radius": Number("radius of the kernel in pixels", "0", 0, 30, whole=True, silent=0),
        },
    ),
    "sinc": Operation(
        "cut at a frequency, so that edges ring",
        {
            "cutoff": Number("frequency, of the highest", "0.3333333333-1", 0.05, 1),
            "radius": Number("radius of the kernel in pixels", "3-10", 1, 30, whole=True),
        },
    ),
    "gray": Operation("made gray"),
    "text": Operation(
        "written over",
        {
            "size": Number("height in pixels", "12-40", 4, 400),
            "count": Number("lines", "1-3", 1, 30, whole=True),
            "opacity": Number("opacity", "0.6-1", 0, 1),
            "angle": Number("angle in degrees", "-20-20", -180, 180),
            "colour": Word("colour", "any", _COLOURS),
        },
    ),
    "watermark": Operation(
        "marked",
        {
            "opacity": Number("opacity", "0.2-0.6", 0, 1),
            "size": Number("height in pixels", "16-48", 4, 400),
            "angle": Number("angle in degrees", "-45-45", -180, 180),
            "layout": Word("layout", "tiled/single", ("tiled", "single")),
            "mark": Word("mark", "text/logo", ("text", "logo")),
            "colour": Word("colour", "white/gray/black", _COLOURS),
        },
    ),
    "round": Operation("rounded to 8 bits, as a file holds it"),
}


def resolve(name: str, given: Mapping[str, Any]) -> dict[str, Value]:
    """All parameters of an operation: those given, checked, and the defaults of the others.

    Args:
        name: The operation.
        given: Numbers, words, ranges, or any of them as text: ``30-95`` and ``area/bilinear``.

    Raises:
        UsageError: There is no such operation or parameter, or a value is not one that it takes.
    """
    if name not in OPERATIONS:
        raise UsageError(f"there is no operation {name!r}: there are {nearest(name, list(OPERATIONS), 20)}")
    parameters = OPERATIONS[name].parameters
    for key in given:
        if key not in parameters:
            there = f"there are {', '.join(parameters)}" if parameters else "it has none, write the name alone"
            raise UsageError(f"{name} has no parameter {key!r}: {there}")
    return {key: _value(name, key, each, given.get(key, each.default)) for key, each in parameters.items()}


def _value(name: str, key: str, parameter: Number | Chance | Word, raw: Any) -> Value:
    usual = "0.5" if isinstance(parameter, Chance) else parameter.default
    example = f"{name}:{usual}" if key == OPERATIONS[name].first else f"{name},{key}={usual}"

    def wrong(why: str) -> UsageError:
        return UsageError(f"{key} {why}: it takes {parameter.form}, such as {example}")

    if isinstance(parameter, Word):
        words = tuple(raw.split("/")) if isinstance(raw, str) else _several(raw)
        if strange := [word for word in words if word not in parameter.choices]:
            raise wrong(f"is {strange[0]!r}")
        if not words or len(set(words)) < len(words):
            raise wrong(f"is {'/'.join(words)!r}")
        return words
    value = _number(raw)
    if value is None:
        raise wrong(f"is {str(raw)!r}")
    low, high = (0.0, 1.0) if isinstance(parameter, Chance) else (parameter.low, parameter.high)
    ends = (value.low, value.high) if isinstance(value, Range) else (value, value)
    if not low <= min(ends) <= max(ends) <= high:
        raise wrong(f"is {_text(value)}")
    if isinstance(parameter, Chance):
        if isinstance(value, Range):
            raise wrong(f"is {value}")
        return value
    if parameter.whole and any(end != int(end) for end in ends):
        raise wrong(f"is {_text(value)}")
    if ends[0] > ends[1]:
        raise UsageError(f"{key} is {value}, from high to low: write {Range(low=ends[1], high=ends[0])}")
    if isinstance(value, Range) and value.log and value.low <= 0:
        raise UsageError(f"{key} is {value}: ratios (~) need a range above 0, differences (-) take any")
    return value


def _several(raw: Any) -> tuple[str, ...]:
    return tuple(map(str, raw)) if isinstance(raw, list | tuple) else (str(raw),)


def _number(raw: Any) -> float | Range | None:
    """A number or range; None for what is neither."""
    if isinstance(raw, Range):
        return raw
    if isinstance(raw, Mapping):
        try:
            return Range.model_validate(raw)
        except ValidationError:
            return None
    if isinstance(raw, bool | int | float):
        return float(raw) if math.isfinite(raw) else None
    found = _RANGE.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if not found:
        return None
    low, mark, high = found.groups()
    return Range(low=float(low), high=float(high), log=mark == "~") if mark else float(low)


def shown(number: float) -> str:
    """A number as short as it can be read back exactly.

    >>> shown(4.0), shown(0.1)
    ('4', '0.1')
    """
    return repr(float(number)).removesuffix(".0")


def _text(value: Value) -> str:
    """A value as it is written in a recipe."""
    if isinstance(value, tuple):
        return "/".join(value)
    return str(value) if isinstance(value, Range) else shown(value)


def written(name: str, values: Mapping[str, Value]) -> str:
    """An operation as it is written in a recipe; what is as by default is left out but for the first.

    >>> written("down", resolve("down", {"scale": 4, "kernel": "area"}))
    'down:4,kernel=area'
    """
    usual, first = resolve(name, {}), OPERATIONS[name].first
    head = name if first is None else f"{name}:{_text(values[first])}"
    more = [f",{key}={_text(value)}" for key, value in values.items() if key != first and value != usual[key]]
    return head + "".join(more)


def sentence(name: str, values: Mapping[str, Value]) -> str:
    """What an operation does, for a card.

    >>> sentence("jpeg", resolve("jpeg", {"quality": "30-95"}))
    'compressed as JPEG (quality 30 to 95, chroma subsampling 420)'
    """
    parts = []
    for key, parameter in OPERATIONS[name].parameters.items():
        value = values[key]
        if isinstance(value, Range):
            parts.append(f"{parameter.about} {shown(value.low)} to {shown(value.high)}{', by ratio' * value.log}")
        elif isinstance(value, tuple):
            parts.append(f"{parameter.about} {' or '.join(value)}")
        elif isinstance(parameter, Chance):
            if value:
                parts.append(parameter.about if value == 1 else f"{parameter.about} in {100 * value:.3g} %")
        elif not (isinstance(parameter, Number) and value == parameter.silent):
            parts.append(f"{parameter.about} {shown(value)}")
    return OPERATIONS[name].about + (f" ({', '.join(parts)})" if parts else "")
