"""Pages: HTML files that need nothing else, from the templates beside this file."""

from __future__ import annotations

from importlib import resources
from typing import Any

TEMPLATES = "pages"


def render(template: str, **values: Any) -> str:
    """A template of ``pages/`` with these values; whatever a name holds, it is shown and never run.

    Styles and scripts are put into the page, for it must work from one file, without a server.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("impasto.inspection.folder", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["file"] = lambda name: Markup(_text(name))
    return environment.get_template(template).render(**values)


def _text(name: str) -> str:
    return resources.files("impasto.inspection.folder").joinpath(TEMPLATES, name).read_text(encoding="utf-8")
