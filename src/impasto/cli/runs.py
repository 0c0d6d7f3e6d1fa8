"""impasto runs: list the runs in a folder, show one, compare several, do one again."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, say, say_table
from impasto.cli.train import stopped
from impasto.errors import UsageError
from impasto.runs.verbs import GAN, MODELS

runs = App(name="runs", help="The runs: list, show and compare them, and do one again.", help_epilogue="")

REACHED = {  # what tells most of a run: how it is told, and times what
    "test_miou": ("test mIoU {:.1f} %", 100),
    "miou": ("mIoU {:.1f} %", 100),
    "psnr": ("{:.2f} dB", 1),
    "psnr_chroma": ("{:.2f} dB of colours", 1),
    "accuracy": ("accuracy {:.1f} %", 100),
    "wasserstein": ("Wasserstein {:.2f}", 1),
}


@runs.command(name="list")
def list_(folder: Path = Path("runs"), /, *, voice: Voice = QUIET) -> None:
    """List the runs in a folder, the oldest first: what was done, where each stands, what it reached.

    Examples:

        impasto runs list
        impasto runs list /data/runs --json

    Parameters
    ----------
    folder
        Where the run directories are.
    voice
        How to speak.
    """
    from impasto.runs.listing import listed

    found = listed(folder)
    if voice.json:
        say("", voice, runs=[vars(run) for run in found])
        return
    rows = [(run.path.name, run.verb, run.status, run.created[:16].replace("T", " "), _best(run)) for run in found]
    say_table(("run", "verb", "status", "begun", "reached"), rows)


@runs.command
def show(run: Path, /, *, voice: Voice = QUIET) -> None:
    """Show a run: its options, what went in, what it was made with, and what it reached.

    Example:

        impasto runs show runs/202611211200-train-pets-squeezenet1_0

    Parameters
    ----------
    run
        The run's directory.
    voice
        How to speak.
    """
    import yaml

    from impasto.runs.directory import RunDirectory

    directory = RunDirectory.open(run)
    scores = directory.manifest.get("scores") or {}
    few = {name: value for name, value in scores.items() if name not in ("per_class", "per_group", "confusion")}
    facts = {"options": directory.options} | directory.manifest | ({"scores": few} if few else {})
    words = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110).rstrip()
    say(words, voice, options=directory.options, **directory.manifest)


@runs.command
def compare(first: Path, second: Path, /, *more: Path, voice: Voice = QUIET) -> None:
    """Compare classifiers: the options that differ, their scores, and whether a difference is more than chance.

    The differences are measured on the pictures that all of them were judged on, each picture against itself.

    Example:

        impasto runs compare runs/A runs/B

    Parameters
    ----------
    first
        A run's directory.
    second
        Another one, compared with the first.
    more
        Further ones, compared with the first.
    voice
        How to speak.
    """
    from impasto.learning.compare import compare as craft

    found = craft([first, second, *more])
    if voice.json:
        say("", voice, **found.to_json())
        return
    names = [path.name for path in found.runs]
    options = [(name, *map(str, values)) for name, values in found.options.items()]
    scores = [(name, *(f"{value:.4f}" for value in values)) for name, values in found.scores.items()]
    say_table(("", *names), [*options, *scores])
    for path, gain in zip(found.runs[1:], found.gains, strict=True):
        say(f"{path.name} against {names[0]}: {gain.words()}, on {found.shared} pictures")


@runs.command
def rerun(
    run: Path,
    /,
    *,
    search: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="")] = (),
    out: Path | None = None,
    voice: Voice = QUIET,
) -> int:
    """Train again what a run trained, and print the difference. The exit code is 0 when there is none, else 1.

    Example:

        impasto runs rerun runs/202611211200-train-pets-squeezenet1_0

    Parameters
    ----------
    run
        The directory of a finished run of `impasto train`.
    search
        Folders in which to look for pictures of enhancements and segmentations that have moved.
    out
        The new run's directory. Default: one beside the first.
    voice
        How to speak.
    """
    return again(run, search, out, voice)


def again(run: Path, search: tuple[Path, ...], out: Path | None, voice: Voice) -> int:
    """Train again what a run trained, say how far the two differ, and return the exit code."""
    began = time.monotonic()
    craft = _craft(run, search)
    try:
        with listener(voice) as bar:
            result, difference = craft(run, out=out, progress=bar, download=bar.download)
    except KeyboardInterrupt as stop:
        return stopped(stop, voice)
    say(
        f"{result.run}: {difference}, {time.monotonic() - began:.0f} s",
        voice,
        run=result.run,
        identical=difference.identical,
        weights=difference.weights,
        reasons=difference.reasons,
        scores={name: {"first": was, "again": now} for name, (was, now) in difference.scores.items()},
    )
    return 0 if difference.identical else 1


def require_no_search(search: tuple[Path, ...], verb: str) -> None:
    """Refuse --search for a run that does not look for its pictures elsewhere."""
    if search:
        raise UsageError(
            f"--search finds no pictures of a run of `impasto {verb.replace('-', ' ')}`: put them back where they were"
        )


def _craft(run: Path, search: tuple[Path, ...]) -> Callable[..., Any]:
    """What trains again what a run trained."""
    from impasto.runs.directory import RunDirectory

    verb = RunDirectory.open(run).verb
    if verb in MODELS:
        from impasto.translation.rerun_training import rerun_training

        return partial(rerun_training, search=search)
    require_no_search(search, verb)
    if verb == GAN:
        from impasto.translation.gan.rerun import rerun as rerun_gan

        return lambda run, out, progress, download: rerun_gan(run, out=out, progress=progress)  # no weights to fetch
    from impasto.learning.rerun import rerun as rerun_classifier

    return rerun_classifier


def _best(run: Any) -> str:
    """What a run has reached, by the first of the scores that it tells."""
    for name, (words, times) in REACHED.items():
        if name in run.scores:
            found = run.scores[name]
            return words.format(times * (found["value"] if isinstance(found, dict) else found))
    return ""
