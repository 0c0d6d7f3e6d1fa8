"""Rerun: trains a generator again, or draws a sheet of it again, and says how far the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from impasto.errors import UsageError
from impasto.images import read
from impasto.runs.difference import Difference, Outcome, difference
from impasto.runs.directory import RunDirectory, path_again
from impasto.runs.options_file import validate
from impasto.runs.progress import Listen
from impasto.runs.recipe import Recipe, places
from impasto.runs.verbs import GAN
from impasto.synthesis import rerun as pictures
from impasto.translation.gan.generate import Sheet, draw_sheet
from impasto.translation.gan.generated import load_generator
from impasto.translation.gan.options import GanOptions, GenerateOptions
from impasto.translation.gan.run import TrainedGan, train_gan


def rerun(
    directory: Path | str, *, out: Path | str | None = None, progress: Listen | None = None
) -> tuple[TrainedGan, Difference]:
    """Train a generator again with the options and the pictures of a finished run.

    Args:
        directory: The run.
        out: The new run's directory; by default one beside the first.
        progress: Called with every step.

    Raises:
        UsageError: No finished run of `impasto train gan`, or pictures that have changed.
    """
    run = RunDirectory.open(directory)
    if run.verb != GAN or run.status != "finished":
        raise UsageError(f"{directory} is no finished run of `impasto train gan`")
    first = _outcome(run)
    new = Path(out) if out else path_again(run)
    options = validate(GanOptions, run.options)
    result = train_gan(
        Path(run.manifest["source"]), options=options, run=new, expect=run.manifest["data"], progress=progress
    )
    return result, difference(first, _outcome(RunDirectory.open(result.run)))


def rerun_sheet(path: Path, recipe: Recipe, *, search: Sequence[Path | str] = ()) -> tuple[Sheet, pictures.Difference]:
    """Draw the sheet at ``path`` again.

    Args:
        path: A picture written by :func:`~impasto.translation.gan.generate.generate`.
        recipe: What it carries.
        search: Folders in which to look for a generator that has moved; it is known by its hash.

    Raises:
        UsageError: The generator cannot be found, or the sheet has been resized.
    """
    generator = places(recipe, search)["generator"]
    made = draw_sheet(generator, options=validate(GenerateOptions, recipe.options))
    return made, pictures.compare(path, read(path), recipe, made)


def _outcome(run: RunDirectory) -> Outcome:
    return Outcome(run.manifest, load_generator(run.path).module.state_dict(), run.manifest.get("scores", {}))
