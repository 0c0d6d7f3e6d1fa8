"""Runs of synthesis: making a picture in a run directory, where a kill loses next to nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import require_format, require_writable
from impasto.runs.circumstances import circumstances
from impasto.runs.directory import RunDirectory, default_path
from impasto.runs.keeper import CHECKPOINT_SECONDS
from impasto.synthesis.painting import Craft
from impasto.synthesis.processes import rank, world
from impasto.synthesis.session import (
    Listener,
    SynthesisResult,
    make,
)


def carry_out(
    craft: Craft,
    *,
    progress: Listener | None = None,
    preview: Path | str | None = None,
    run: Path | str | None = None,
    out: Path | str | None = None,
    unfinished: bool = True,
) -> SynthesisResult:
    """Make a craft's picture, in a run directory if one is wanted, and write it if there is a place for it.

    Args:
        craft: What is made.
        progress: Called with every step.
        preview: A picture file, rewritten while the work goes on.
        run: A run's directory; ``auto`` keeps a run of large pictures only.
        out: Where the picture is written; with a run, by default ``picture.png`` in its directory.
        unfinished: Whether the picture so far is written too, when the work is interrupted.

    Raises:
        UsageError: As :func:`make_in_run`.
        ImpastoError: As :func:`make_in_run`.
    """
    directory = automatic_directory(craft) if run == "auto" else run
    if directory is not None:
        return make_in_run(craft, directory, out=out, progress=progress, preview=preview, unfinished=unfinished)
    if out:
        require_format(out)
        require_writable(out)
    result = make(craft, progress=progress, preview=preview)
    if out and rank() == 0 and (result.recipe.finished or unfinished):
        result.save(out)
    return result


def make_in_run(
    craft: Craft,
    directory: Path | str,
    *,
    out: Path | str | None = None,
    progress: Listener | None = None,
    preview: Path | str | None = None,
    every: float = CHECKPOINT_SECONDS,
    unfinished: bool = True,
) -> SynthesisResult:
    """Make a picture in a new run directory, with checkpoints, and write it.

    Args:
        craft: What is made.
        directory: Where the run is kept: new or empty.
        out: The picture's file; by default ``picture.png`` in the directory.
        progress: Called with every step.
        preview: A picture file, rewritten while the work goes on.
        every: Seconds between checkpoints, at least.
        unfinished: Whether the picture so far is written too, when the work is interrupted.

    Raises:
        UsageError: The directory holds other things, or a run, or the inputs are in memory, not files.
        ImpastoError: A full disk or memory; a run's last checkpoint stays.
    """
    if not all(one.path for one in craft.inputs):
        raise UsageError("a run can be resumed only if its pictures are files: give paths, or leave the run out")
    if rank() > 0:
        return make(craft, progress=progress)
    if out:
        require_format(out)
        require_writable(out)
    out = Path(out).absolute() if out else Path(directory).absolute() / "picture.png"
    run = RunDirectory.create(
        directory,
        verb=craft.verb,
        options=craft.options.model_dump(mode="json"),
        manifest={
            "inputs": [one.model_dump() for one in craft.inputs],
            "networks": {name: network.sha256 for name, network in craft.networks.items()},
            "made_with": circumstances(craft.device, world()),
            "seed": craft.options.seed,
            "picture": str(out),
            "every": every,
        },
    )
    with run.lock():
        return work_in(run, craft, progress, preview, unfinished)


def automatic_directory(craft: Craft) -> Path | None:
    """A run directory for a picture that is too large to be lost; None for smaller ones."""
    if craft.size[0] * craft.size[1] < PRECIOUS:
        return None
    names = [Path(one.path).stem for one in craft.inputs if one.role in ("content", "style")]
    return default_path(craft.verb, *names)


PRECIOUS = 16_000_000  # pixels from which the command line keeps a run without being asked


def work_in(
    run: RunDirectory, craft: Craft, progress: Listener | None, preview: Path | str | None, unfinished: bool = True
) -> SynthesisResult:
    """Make a craft's picture from a run's checkpoint on, if it has one, and write it."""
    out = Path(run.manifest["picture"])
    require_format(out)
    require_writable(out)
    result = make(craft, progress=progress, preview=preview, run=run, every=run.manifest["every"])
    if result.recipe.finished or unfinished:
        result.save(out)
    if result.recipe.finished:
        run.finish(out, losses=result.losses)
    return result


INTERRUPTED = " (interrupted)"  # behind the label of the picture at which Ctrl-C ended a contact sheet


def cells(results: Iterable[tuple[str, SynthesisResult]]) -> list[tuple[str, Float[Tensor, "1 3 h w"]]]:
    """(label, picture) for each of many results as they are made, up to one that was interrupted, which says so."""
    made = []
    for label, result in results:
        finished = result.recipe.finished
        made.append((label if finished else label + INTERRUPTED, result.tensor))
        if not finished:
            break
    return made
