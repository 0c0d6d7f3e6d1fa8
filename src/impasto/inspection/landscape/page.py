"""The page: charts as surfaces to turn, zoom and read, in one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence

from impasto.inspection.landscape.chart import Chart
from impasto.inspection.landscape.plots import wide

MEASURES = (
    ("loss", "centre", "loss of the trained weights"),
    ("loss", "border", "median loss at the border"),
    ("loss", "concave", "the loss bends down, part of the points"),
    ("loss", "negative", "the loss bends down, part of all bending"),
    ("log loss", "concave", "its logarithm bends down, part of the points"),
    ("log loss", "negative", "its logarithm bends down, part of all bending"),
    ("loss", "minima", "local minima"),
    ("loss", "finite", "the loss is a number, part of the points"),
)


def render(charts: Sequence[Chart]) -> str:
    """The HTML of charts on one scale; it works from a file, without any host, and runs nothing that a name holds.

    Args:
        charts: All lines, or all planes; two stand side by side and are turned together.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    package = "impasto.inspection.landscape"
    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    loader = PackageLoader(package, ".")
    style, script = (Markup(loader.get_source(environment, name)[0]) for name in ("page.css", "page.js"))
    data = json.dumps({"charts": [one.to_json() for one in charts], "wide": wide(charts)}, allow_nan=False)
    # within a script element only its own end can end it
    safe = Markup(data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
    return environment.get_template("page.html.j2").render(
        charts=charts, flat=charts[0].flat, way=any(one.way for one in charts), measures=MEASURES,
        style=style, script=script, data=safe, values=list(charts[0].values),
    )  # fmt: skip


def figure(value: float | None) -> str:
    """A number in a few digits, and a dash for none.

    >>> figure(0.0123456), figure(12345.6), figure(float("nan"))
    ('0.0123', '1.23e+04', '–')
    """
    return "–" if value is None or value != value else f"{value:.3g}"
