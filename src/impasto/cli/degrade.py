"""impasto degrade: what a recipe makes of good pictures, seen before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from impasto.cli.output import listener, require_apart
from impasto.cli.terminal import QUIET, Voice, say
from impasto.errors import UsageError
from impasto.translation.degrade import parse
from impasto.translation.degrade.operations import OPERATIONS
from impasto.translation.degrade.parse import SYNTAX
from impasto.translation.degrade.presets import PRESETS

Positive = Annotated[int, Parameter(validator=Number(gte=1, lte=4096))]


def degrade(
    *sources: Path,
    recipe: str = "crappify",
    preview: Path | None = None,
    out: Path | None = None,
    count: Positive = 6,
    draws: Positive = 4,
    size: Positive = 192,
    seed: int = 0,
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    voice: Voice = QUIET,
) -> int:
    """Make good pictures bad by a recipe: on a sheet to judge it by, or in files.

    A recipe is a preset, a YAML file, or steps in their order, each NAME:VALUE,KEY=VALUE@PROBABILITY, where a VALUE
    such as 30-95 is drawn anew for each picture; --list shows the presets, the steps, and how steps are put together.

    Examples:

        impasto degrade --list
        impasto degrade photos/ --recipe crappify --preview sheet.png
        impasto degrade photo.jpg --recipe "noise:0-25@0.5 jpeg:30-95" --preview sheet.png --draws 6
        impasto degrade photos/ --recipe bicubic:4 --out small/

    Parameters
    ----------
    sources
        Pictures, and folders of pictures.
    recipe
        A preset, steps, or a YAML file.
    preview
        Where to write a sheet of good pictures beside their degraded ones, with what was drawn for each.
    out
        A folder to write every picture degraded to, as PNG under its own name.
    count
        Pictures on the sheet.
    draws
        Degraded ones of each.
    size
        Side of what is shown of a picture.
    seed
        Another one draws otherwise.
    list_
        Show the presets and what they are made of.
    voice
        How to speak.
    """
    if list_:
        _list(voice)
        return 0
    made = parse(recipe)
    if not sources:
        raise UsageError("no pictures: name some, or a folder of them (--list shows the recipes)")
    if not (preview or out):
        raise UsageError("where to? --preview sheet.png shows what the recipe does, --out FOLDER writes every picture")
    from impasto.images import Picture, require_format, require_writable, write
    from impasto.translation.degrade import preview as craft

    if out and out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: name a folder to write to")
    found = craft.find(sources, out)
    if preview:
        require_format(preview)
        require_writable(preview)
        require_apart(preview, [path for path, _ in found], craft.targets(found, out) if out else [])
    written: list[Path] = []
    with listener(voice) as bar:
        if preview:
            seen = craft.sheet(
                made, sources, count=count, draws=draws, size=size, seed=seed, out=out, progress=bar.part
            )
            write(preview, Picture(seen))
        if out:
            written = craft.degrade_files(made, sources, out, seed=seed, progress=bar.part)
    lines = [str(preview)] if preview else []
    left_out = len(found) - len(written) if out else 0
    if out:
        without = f", {left_out} left out" if left_out else ""
        lines.append(f"{out}  {len(written)} picture{'s' * (len(written) != 1)}{without}")
    say(
        "\n".join([*lines, f"scale {made.scale}: {made}"]),
        voice,
        preview=preview,
        out=out,
        pictures=len(written),
        left_out=left_out,
        scale=made.scale,
        recipe=made.to_json(),
    )
    return 1 if left_out else 0


def _list(voice: Voice) -> None:
    """Say which presets there are."""
    shown = {name: preset.text.replace("{n}", str(preset.n or "N")) for name, preset in PRESETS.items()}
    presets = [f"{_form(name):<16}{preset.about}\n{'':<16}{_short(shown[name])}" for name, preset in PRESETS.items()]
    steps = [f"{name:<16}{one.about}\n{'':<16}{_parameters(name)}".rstrip() for name, one in OPERATIONS.items()]
    say(
        "\n".join(["Presets:", "", *presets, "", "Steps, with what is usual:", "", *steps, "", SYNTAX]),
        voice,
        presets={name: {"about": preset.about, "recipe": shown[name]} for name, preset in PRESETS.items()},
        steps={name: {"about": one.about, "usual": _parameters(name)} for name, one in OPERATIONS.items()},
    )


def _form(name: str) -> str:
    return name if PRESETS[name].n is None else f"{name}:{PRESETS[name].n or 'N'}"


def _short(text: str) -> str:
    return text if len(text) < 100 else f"{text[:90]} …"


def _parameters(name: str) -> str:
    usual = [f"{key}={one.default}" for key, one in OPERATIONS[name].parameters.items()]
    return ",".join([name, *usual]).replace(f",{OPERATIONS[name].first}=", ":", 1)
