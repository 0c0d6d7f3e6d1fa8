"""impasto train gan and impasto generate: a generator of pictures from your own, and new pictures from it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from impasto.cli.output import chosen, default_output, listener, shown_default
from impasto.cli.terminal import QUIET, Voice, say
from impasto.cli.train import stopped
from impasto.translation.gan.options import GanOptions, GenerateOptions

if TYPE_CHECKING:
    from impasto.translation.gan.run import TrainedGan


def gan(
    data: Path,
    /,
    *,
    run: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        GanOptions,
        Parameter(name="*", group="GAN", show_default=shown_default),
    ] = GanOptions(),
    voice: Voice = QUIET,
) -> int:
    """Train a generator that makes pictures like those of DATA out of noise.

    DATA is a folder of pictures, or MNIST's idx files. A sheet of the same noise is drawn again and again (sheet.png in
    the run), so that one sees how far it is. Killed, it goes on by `impasto resume RUN`; finished, `impasto generate
    RUN` makes new pictures. The defaults are for one core and small pictures; larger ones take a GPU, a --width of 64
    or more, and tens of thousands of steps.

    Examples:

        impasto train gan mnist/
        impasto train gan faces/ --kind progressive --size 64 --flip --steps 20000
        impasto train gan bedrooms/ --size 64 --batch-size 64 --width 64 --learning-rate 1e-4 --critic-steps 5

    Parameters
    ----------
    data
        The pictures.
    run
        The run's directory, new or empty. Default: runs/YYYYMMDDHHMM-train-gan-DATA-KIND.
    options_file
        A YAML file of options (as options.yaml in a run); flags go over it.
    options
        How to train.
    voice
        How to speak.
    """
    options = chosen(GanOptions, options_file, options)
    from impasto.translation.gan.run import train_gan

    began = time.monotonic()
    try:
        with listener(voice) as bar:
            result = train_gan(data, options=options, run=run, progress=bar)
    except KeyboardInterrupt as stop:
        return stopped(stop, voice)
    return tell(result, began, voice)


def resume_gan(run: Path, voice: Voice) -> int:
    """Go on with a run of `impasto train gan`, say how it went, and return the exit code."""
    from impasto.translation.gan.run import resume

    began = time.monotonic()
    try:
        with listener(voice) as bar:
            result = resume(run, progress=bar)
    except KeyboardInterrupt as stop:
        return stopped(stop, voice)
    return tell(result, began, voice)


def tell(result: TrainedGan, began: float, voice: Voice) -> int:
    """Say what came out, and return the exit code."""
    seconds = time.monotonic() - began
    say(
        f"{result.run}  Wasserstein estimate {result.wasserstein:.4g}, {seconds:.0f} s\n{result.sheet}",
        voice,
        run=result.run,
        model=result.model,
        sheet=result.sheet,
        wasserstein=result.wasserstein,
        seconds=round(seconds, 2),
    )
    return 0


def generate(
    run: Path,
    /,
    *,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        GenerateOptions,
        Parameter(name="*", group="Pictures", negative="", show_default=shown_default),
    ] = GenerateOptions(),
    voice: Voice = QUIET,
) -> None:
    """Make new pictures with the generator of RUN, a finished run of `impasto train gan`, on one sheet.

    Examples:

        impasto generate runs/202611211200-train-gan-mnist-wgan-gp --count 64 --seed 7
        impasto generate runs/A --interpolate --columns 10 --out ways.png

    Parameters
    ----------
    run
        The run's directory, or a generator's file.
    out
        The sheet to write. Default: RUN-generated.png, here.
    options_file
        A YAML file of options; flags go over it.
    options
        Which pictures.
    voice
        How to speak.
    """
    options = chosen(GenerateOptions, options_file, options)
    from impasto.images import require_format, require_writable
    from impasto.translation.gan.generate import generate as craft

    out = out or default_output(Path(), f"{run.resolve().stem}-generated")
    require_format(out)
    require_writable(out)
    began = time.monotonic()
    count = craft(run, out, options=options)
    seconds = time.monotonic() - began
    say(f"{out}  {count} pictures, {seconds:.1f} s", voice, out=out, pictures=count, seconds=round(seconds, 2))
