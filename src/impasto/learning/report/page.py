"""The page: what a report says, laid out as one HTML file that needs nothing else."""

from __future__ import annotations

import math
from typing import Any

from impasto.learning import plots
from impasto.learning.baselines import Baseline
from impasto.learning.intervals import Interval
from impasto.learning.report.contents import Contents
from impasto.learning.report.looks import SAID

SPLITS = {"test": "test", "valid": "validation", "train": "training"}

ABOUT = {
    "loss": "Loss of the training and validation pictures over the steps",
    "accuracy": "Accuracy of the validation pictures over the steps",
    "learning rate": "Learning rate over the steps",
    "confusion": "Confusion matrix: true classes in rows, what they were taken for in columns",
    "reliability": "Reliability diagram: how often the classifier is right, by how sure it is",
}

VIEWS = {
    "random correct": "rightly classified, drawn at random",
    "random incorrect": "wrongly classified, drawn at random",
    "most correct": "rightly classified, and most sure of it",
    "most incorrect": "wrongly classified, and most sure of it",
    "most uncertain": "the two most probable classes are closest to each other",
}


def render(contents: Contents) -> str:
    """The HTML of a report; whatever a name holds, it is shown and never run."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("impasto.learning.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "chance": chance, "number": number}
    environment.globals["track"] = track
    drawn = {
        name: Markup(plots.svg(contents.figures[name], name, about)) if name in contents.figures else ""
        for name, about in ABOUT.items()
    }
    result = Baseline("this classifier", "", contents.scores.accuracy, contents.scores.log_loss.value)
    simple = [one for one in contents.baselines if one.accuracy]
    rows = [result, *sorted(simple, key=lambda one: -(one.accuracy or result.accuracy or Interval(0, 0, 0)).value)]
    worst_first = sorted(contents.scores.per_class, key=lambda part: part.accuracy.value)
    return environment.get_template("page.html.j2").render(
        it=contents,
        scores=contents.scores,
        split=SPLITS[contents.split],
        splits=SPLITS,
        rows=rows,
        mean_box=next((one for one in contents.baselines if one.iou), None),
        ends=scale([one.accuracy for one in rows]),
        per_class=worst_first,
        class_ends=scale([part.accuracy for part in worst_first]),
        group_ends=scale([part.accuracy for part in contents.scores.per_group]),
        figures=drawn,
        views=VIEWS,
        neighbours=any(card.neighbours for view in contents.album.over_all for card in view.cards),
        looks=SAID if any(card.look for view in contents.album.over_all for card in view.cards) else "",
        trials=_trials(contents),
    )


def scale(intervals: list[Interval | None]) -> tuple[float, float]:
    """From where to where tracks go: in tenths, so that every interval is on them.

    >>> scale([Interval(0.93, 0.88, 0.96)])
    (0.8, 1.0)
    """
    lows = [one.low if math.isfinite(one.low) else one.value for one in intervals if one]
    low = math.floor(10 * min(lows, default=0.0) + 1e-9) / 10
    return (low, 1.0) if low < 1 else (0.9, 1.0)


def track(interval: Interval, ends: tuple[float, float]) -> dict[str, str]:
    """Where on a track from one end to the other an interval lies, in percent of its length."""

    def place(value: float) -> float:
        return 100 * (min(max(value, ends[0]), ends[1]) - ends[0]) / (ends[1] - ends[0])

    value, low, high = interval
    if not math.isfinite(low + high):
        low = high = value
    return {
        "left": f"{place(low):.2f}%",
        "width": f"{place(high) - place(low):.2f}%",
        "at": f"{place(value):.2f}%",
    }


def percent(value: float, digits: int = 1) -> str:
    """A part of one as a person reads it: ``95.8 %``."""
    return "–" if not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def chance(value: float) -> str:
    """A probability, which is never said to be none or all.

    >>> chance(0.99999), chance(0.5), chance(1e-9)
    ('> 99.9 %', '50.0 %', '< 0.1 %')
    """
    return "> 99.9 %" if value > 0.999 else "< 0.1 %" if value < 0.001 else percent(value)


def number(value: float) -> str:
    """A loss, to three digits behind the point."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _trials(contents: Contents) -> list[dict[str, Any]]:
    """The ways to make probabilities, with their log losses on the same pictures."""
    fitted = contents.calibration.fitted
    if fitted is None:
        return []
    best = min(trial.log_loss.value for trial in fitted.trials)
    return [
        {"name": one.name, "loss": one.log_loss, "best": one.log_loss.value == best, "naive": "naive" in one.name}
        for one in fitted.trials
    ]
