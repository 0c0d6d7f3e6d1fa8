"""impasto generate: a sheet of new pictures, its recipe inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from impasto.images import Picture, write
from impasto.networks.device import pick_device
from impasto.runs.circumstances import circumstances
from impasto.runs.options_file import merge
from impasto.runs.recipe import Recipe, input_file
from impasto.translation.gan.generated import MODEL, columns_of, load_generator, pictures, sheet
from impasto.translation.gan.options import GenerateOptions


@dataclass(frozen=True)
class Sheet:
    """A sheet of new pictures.

    Attributes:
        picture: The sheet, with its recipe.
        count: How many pictures are on it.
        recipe: What makes it again.
    """

    picture: Picture = field(repr=False)
    count: int
    recipe: Recipe = field(repr=False)

    def save(self, path: Path | str) -> Path:
        """Write it in the format that the suffix names, whole or not at all."""
        write(path, self.picture)
        return Path(path)


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
    made = draw_sheet(source, options=options, **fields)
    made.save(out)
    return made.count


def draw_sheet(source: Path | str, *, options: GenerateOptions | None = None, **fields: Any) -> Sheet:
    """The sheet that `generate` writes; its arguments are the same."""
    options = merge(GenerateOptions, options, fields)
    device = pick_device(options.device)
    source = Path(source)
    made = pictures(load_generator(source), options, device)
    recipe = Recipe(
        verb="generate",
        options=options.model_dump(mode="json", exclude_defaults=True, exclude={"device"}),
        inputs=(input_file("generator", source / MODEL if source.is_dir() else source),),
        made_with=circumstances(device),
    )
    whole = sheet(made, columns_of(options.count, options.columns), options.enlarge)
    return Sheet(Picture(whole, recipe=recipe.model_dump_json(exclude_defaults=True)), len(made), recipe)
