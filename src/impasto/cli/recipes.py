"""impasto show, rerun and resume: the recipe in a picture, printed or made again, and runs that go on, of any craft."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, first_process, say
from impasto.errors import UsageError
from impasto.runs.bar import ProgressBar, Silence
from impasto.runs.verbs import CLASSIFIER, GAN, MODELS, TRAININGS

if TYPE_CHECKING:
    from impasto.networks import Network
    from impasto.synthesis.rerun import Difference, Made
    from impasto.translation.rerun import LabelDifference


def show(picture: Path, /, *, voice: Voice = QUIET) -> None:
    """Print the recipe that a picture carries: options, inputs, networks, versions.

    Example:

        impasto show photo-painting.png

    Parameters
    ----------
    picture
        A picture made by impasto.
    voice
        How to speak.
    """
    from impasto.images import read_recipe
    from impasto.runs.recipe import parse

    recipe = parse(read_recipe(picture), picture)
    import yaml

    facts = recipe.model_dump(mode="json")
    say(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).rstrip(), voice, **facts)


def rerun(
    picture: Path,
    /,
    *,
    search: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="")] = (),
    out: Path | None = None,
    voice: Voice = QUIET,
) -> int:
    """Make a picture again from its recipe, or train a model again from its run, and say how far the two differ.

    Of a picture, nothing is written unless --out is given. The exit code is 0 when they are identical, else 1.

    Examples:

        impasto rerun photo-painting.png
        impasto rerun runs/202611211200-train-pets-squeezenet1_0
        impasto rerun photo-painting.png --search ~/Pictures --out again.png

    Parameters
    ----------
    picture
        A picture made by impasto, or the directory of a finished run.
    search
        Folders in which to look for inputs that have moved; they are known by their content.
    out
        Where to write the new picture, or the directory of the new run.
    voice
        How to speak.
    """
    if _verb(picture) in TRAININGS:
        from impasto.cli.runs import again

        return again(picture, search, out, voice)
    from impasto.images import require_format, require_writable

    if out:
        require_format(out)
        require_writable(out)
    with listener(voice) as bar:
        result, difference = _made_again(picture, search, bar)
    if out and first_process():
        result.save(out)
    say(
        f"{picture}: {difference}",
        voice,
        picture=picture,
        identical=difference.identical,
        **vars(difference),
    )
    return 0 if difference.identical else 1


def resume(
    run: Path,
    /,
    *,
    search: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="")] = (),
    preview: Path | None = None,
    voice: Voice = QUIET,
) -> int:
    """Go on with a run that was interrupted or killed, to the picture or the model that it would have made.

    Examples:

        impasto stylize photo.jpg painting.jpg --size 8192 --run wall --out wall.tif
        impasto resume wall
        impasto resume runs/202611211200-train-pets-squeezenet1_0

    Parameters
    ----------
    run
        The run's directory.
    search
        Folders in which to look for inputs that have moved; they are known by their content.
    preview
        A picture file rewritten while the work goes on.
    voice
        How to speak.
    """
    import time

    began = time.monotonic()
    verb = _verb(run)
    if preview and verb in TRAININGS:
        raise UsageError("--preview is for pictures: a training's own are in its run")
    if verb in (CLASSIFIER, GAN):
        from impasto.cli.runs import require_no_search

        require_no_search(search, verb)
    if verb == CLASSIFIER:
        from impasto.cli.train import stopped, tell
        from impasto.learning.classify import resume as train

        try:
            with listener(voice) as show:
                trained = train(run, progress=show, download=show.download)
        except KeyboardInterrupt as stop:
            return stopped(stop, voice)
        return tell(trained, began, voice)
    if verb == GAN:
        from impasto.cli.train_gan import resume_gan

        return resume_gan(run, voice)
    if verb in MODELS:
        from impasto.cli.train import stopped, tell_model
        from impasto.translation.rerun_training import RESUMES

        try:
            with listener(voice) as show:
                made = RESUMES[verb](run, search=search, progress=show, download=show.download)
        except KeyboardInterrupt as stop:
            return stopped(stop, voice)
        return tell_model(made, began, voice)
    from impasto.cli.output import report
    from impasto.synthesis.resume import resume as craft

    with listener(voice) as show:
        result, out = craft(run, search=search, progress=show, download=show.download, preview=preview)
    return report(result, out, began, voice)


def _made_again(
    picture: Path, search: tuple[Path, ...], bar: ProgressBar | Silence
) -> tuple[Made, Difference | LabelDifference]:
    """The picture made again by the craft that made it."""
    from impasto.images import read_recipe
    from impasto.runs.recipe import parse

    if picture.is_file() and (text := read_recipe(picture)):
        recipe = parse(text, picture)
        from impasto.inspection import rerun as inspection

        if recipe.verb in inspection.ONCE:
            raise UsageError(
                f"{picture} is a sheet of `impasto {recipe.verb}`, which rerun does not make: "
                f"`impasto show {picture}` prints how it was made"
            )
        if recipe.verb in inspection.VERBS:
            from impasto.cli.subject import load_subject

            def load(name: str, weights: Path | None) -> Network:
                return load_subject(name, weights, bar.download)

            return inspection.rerun(picture, recipe, load, search=search, progress=bar.part)
        from impasto.translation import rerun as translation

        if recipe.verb == "enhance":
            return translation.rerun(picture, recipe, search=search, progress=bar.part)
        if recipe.verb == "segment":
            return translation.rerun_mask(picture, recipe, search=search, progress=bar.part)
        if recipe.verb == "generate":
            from impasto.translation.gan.rerun import rerun_sheet

            return rerun_sheet(picture, recipe, search=search)
    from impasto.synthesis import rerun as synthesis

    return synthesis.rerun(picture, search=search, progress=bar, download=bar.download)


def _verb(path: Path) -> str | None:
    """What the run in a directory does; None where there is no directory."""
    from impasto.runs.directory import RunDirectory

    return RunDirectory.open(path).verb if path.is_dir() else None
