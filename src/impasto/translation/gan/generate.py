"""impasto generate: a sheet of new pictures, its recipe inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from impasto.images import Picture, write
from impasto.networks.device import pick_device
from impasto.runs.circumstances import circumstances
from impasto.runs.options_file import validate
from impasto.runs.recipe import Recipe, input_file
from impasto.translation.gan.generated import MODEL, columns_of, load_generator, pictures, sheet
from impasto.translation.gan.options import GenerateOptions


def generate(source: Path | str, out: Path | str, *, options: GenerateOptions | None = None, **fields: Any) -> int:
    """Write a sheet of new pictures that the generator of a run makes; returns how many they are.

    Args:
        source: The directory of a finished run of `impasto train gan`, or a generator's file.
        out: The picture file.
        options: All options at once; ``fields`` go over it.
        fields: Any field of :class:`GenerateOptions`.

    Raises:
        UsageError: No generator there, or an option out of bounds.
        ImpastoError: The disk is full.
    """
    base = options.model_dump(exclude_unset=True) if options else {}
    options = validate(GenerateOptions, base | fields)
    device = pick_device(options.device)
    source = Path(source)
    made = pictures(load_generator(source), options, device)
    recipe = Recipe(
        verb="generate",
        options=options.model_dump(mode="json", exclude_defaults=True),
        inputs=(input_file("generator", source / MODEL if source.is_dir() else source),),
        made_with=circumstances(device),
    )
    whole = sheet(made, columns_of(options.count, options.columns), options.enlarge)
    write(out, Picture(whole, recipe=recipe.model_dump_json(exclude_defaults=True)))
    return len(made)
