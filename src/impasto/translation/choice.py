"""Choice: which model enhances, by name or by what it is to do, checked against all that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from impasto.errors import UsageError
from impasto.runs.recipe import Input
from impasto.translation.enhance_options import EnhanceOptions, Use
from impasto.translation.model import TranslationModel, card_of, load, shipped
from impasto.translation.realism import between

DEFAULTS: dict[Use, str] = {"restore": "restore-photo", "colorize": "colorize", "text": "remove-text"}
TASKS = {"superres": "superres", "restore": "restore", "colorize": "colorize", "text": "restore"}


@dataclass(frozen=True)
class Chosen:
    """What enhances.

    Attributes:
        name: As it is asked for: a shipped name, a run or a file.
        model: What is applied: between the faithful model and its companion.
        faithful: The model itself.
        companion: The realistic one, where there is one.
    """

    name: str
    model: TranslationModel
    faithful: TranslationModel
    companion: TranslationModel | None = None

    @property
    def networks(self) -> dict[str, str]:
        """Hash of the weights by name."""
        return {one.name: one.sha256 for one in (self.faithful, self.companion) if one is not None}

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Files of weights that are not shipped."""
        return self.faithful.inputs() + (self.companion.inputs("companion") if self.companion else ())


def choose(options: EnhanceOptions) -> Chosen:
    """The model that the options ask for, and its companion.

    Raises:
        UsageError: There is none, or it does something else than what is asked.
    """
    name = options.model or _default(options)
    model = load(name)
    if model.task == "segment":
        raise UsageError(f"{model.name} labels pictures: that is `impasto segment`")
    if options.task and TASKS[options.task] != model.task:
        raise UsageError(f"{model.name} is a model of {model.task}, not of {options.task}: leave --task or --model out")
    if options.scale and options.scale != model.scale:
        resized = f", or --outscale {options.scale} to resize what it gives" if options.scale > 1 else ""
        does = f"enlarges {model.scale} times, not {options.scale}" if model.scale > 1 else "keeps the size"
        raise UsageError(f"{model.name} {does}: leave --scale out{resized}")
    usual = EnhanceOptions()
    if model.task != "colorize":
        for field in ("render", "saturation"):
            if getattr(options, field) != getattr(usual, field):
                raise UsageError(f"{model.name} finds no colours, so --{field} changes nothing: leave it out")
    named = options.companion or _companion(model)
    if options.realism and not named:
        raise UsageError(f"{model.name} has no realistic companion, so --realism has nowhere to go: name a --companion")
    companion = load(named) if named and (options.realism or options.companion) else None
    mixed = between(model, companion, options.realism) if companion else model
    return Chosen(name, mixed, model, companion)


def _default(options: EnhanceOptions) -> str:
    task = options.task or "superres"
    if task != "superres":
        if options.scale and options.scale > 1:
            raise UsageError(f"--task {task} keeps the size: leave --scale out, or enlarge with --outscale")
        return DEFAULTS[task]
    scales = sorted({facts["scale"] for facts in map(card_of, shipped()) if facts["task"] == "superres"})
    scale = options.scale or 2
    if scales and scale not in scales:
        raise UsageError(
            f"no shipped model enlarges {scale} times: there are {' and '.join(map(str, scales))}; "
            f"--scale {max(scales)} --outscale {scale} resizes what it gives"
        )
    return f"superres-x{scale}"


def _companion(model: TranslationModel) -> str | None:
    """The companion that a model's card names."""
    named = model.card.get("companion")
    return named if isinstance(named, str) and named else None
