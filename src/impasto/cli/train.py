"""impasto train: make a classifier from a folder of pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from impasto.cli.output import chosen, listener, shown_default
from impasto.cli.terminal import QUIET, Voice, complain, say
from impasto.learning.options import ClassifierOptions
from impasto.translation.options import EnhancementOptions, SegmentationOptions

if TYPE_CHECKING:
    from impasto.learning.work import TrainedClassifier
    from impasto.translation.work import TrainedModel

train = App(name="train", help="Train networks on your own pictures.", help_epilogue="")


@train.command
def classify(
    data: Path,
    /,
    *,
    run: Path | None = None,
    mlflow: str | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        ClassifierOptions,
        Parameter(name="*", group="Classifier", consume_multiple=True, show_default=shown_default),
    ] = ClassifierOptions(),
    voice: Voice = QUIET,
) -> int:
    """Train a classifier on DATA, judge it on pictures it has not seen, and write a report.

    DATA is a folder with a folder of pictures for each class (perhaps under train, valid and test), a table with
    paths and labels, MNIST's idx files, or a manifest made by `impasto data`. Where nothing is set apart for
    validation, a fifth is, without tearing groups or copies of a picture apart.

    Examples:

        impasto train classify pets/
        impasto train classify pets/ --network timm:resnet34.a1_in1k --stages head:10 all:5
        impasto train classify pets/ --stages head:10 features.7:2@160 all:3@224 --augment flip rotate:10
        impasto train classify mnist/ --network scratch:residual --size 28 --stages all:8 --augment rotate:10 shift
        impasto train classify pets.csv --boxes
        impasto train classify pets/ --teachers runs/BIG --distillation 0.5

    Parameters
    ----------
    data
        The pictures.
    run
        The run's directory, new or empty. Default: runs/YYYYMMDDHHMM-train-DATA-NETWORK.
    mlflow
        Log to this MLflow too: sqlite:///mlflow.db, or a server's http://….
    options_file
        A YAML file of options (as options.yaml in a run); flags go over it.
    options
        How to train.
    voice
        How to speak.
    """
    options = chosen(ClassifierOptions, options_file, options)
    from impasto.learning.classify import classify as craft

    began = time.monotonic()
    try:
        with listener(voice) as bar:
            result = craft(data, options=options, run=run, mlflow=mlflow, progress=bar, download=bar.download)
    except KeyboardInterrupt as stop:
        return stopped(stop, voice)
    return tell(result, began, voice)


@train.command
def find_rate(
    data: Path,
    /,
    *,
    stage: int = 0,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        ClassifierOptions,
        Parameter(name="*", group="Classifier", consume_multiple=True, show_default=shown_default),
    ] = ClassifierOptions(),
    voice: Voice = QUIET,
) -> None:
    """Try learning rates on DATA, and suggest one: a hundred steps, each at a higher rate, nothing kept.

    Examples:

        impasto train find-rate pets/ --out rates.png
        impasto train find-rate pets/ --stage 1 --optimizer momentum

    Parameters
    ----------
    data
        The pictures, as `impasto train classify` takes them.
    stage
        Which of --stages, from 0.
    out
        Where to draw the losses over the rates (PNG).
    options_file
        A YAML file of options; flags go over it.
    options
        How the classifier is to be trained.
    voice
        How to speak.
    """
    options = chosen(ClassifierOptions, options_file, options)
    from impasto.images import require_writable
    from impasto.learning.find_rate import find_rate as craft
    from impasto.training.finder import plot

    if out:
        require_writable(out)
    with listener(voice) as bar:
        found = craft(data, options=options, stage=stage, progress=bar, download=bar.download)
    if out:
        plot(found, out)
    words = ", ".join(f"{name} {rate:.1e}" for name, rate in found.suggestions.items())
    say(f"{words}: train with --learning-rate {found.suggestions['valley']:.1e}", voice, **found.suggestions)


@train.command
def enhance(
    folder: Path,
    /,
    *,
    run: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        EnhancementOptions,
        Parameter(name="*", group="Enhancement", consume_multiple=True, show_default=shown_default),
    ] = EnhancementOptions(),
    voice: Voice = QUIET,
) -> int:
    """Train a network to make bad pictures good, from a FOLDER of good ones that are degraded as it learns.

    See what the degradation does before you train: `impasto degrade FOLDER --recipe RECIPE --preview sheet.png`. While
    it learns, sheet.png in the run's directory shows what becomes of validation pictures, and curves.png how the losses
    go. What comes out is used by `impasto enhance IMAGE --model RUN`.

    Examples:

        impasto train enhance photos/ --task superres --scale 2
        impasto train enhance photos/ --task restore --recipe "jpeg:10-60 noise:0-15"
        impasto train enhance photos/ --recipe text --stages all:15@96 all:5@160
        impasto train enhance photos/ --task colorize --features 0.1
        impasto train enhance photos/ --scale 4 --init runs/X2 --features 0.1 --stages all:10 gan:2

    Parameters
    ----------
    folder
        The pictures: all below it, or those below its train and valid folders.
    run
        The run's directory, new or empty. Default: runs/YYYYMMDDHHMM-train-enhance-FOLDER-TASK.
    options_file
        A YAML file of options (as options.yaml in a run); flags go over it.
    options
        How to train.
    voice
        How to speak.
    """
    options = chosen(EnhancementOptions, options_file, options)
    from impasto.translation.train_enhancement import train_enhancement as craft

    began = time.monotonic()
    try:
        with listener(voice) as bar:
            result = craft(folder, options=options, run=run, progress=bar, download=bar.download)
    except KeyboardInterrupt as stop:
        return stopped(stop, voice)
    return tell_model(result, began, voice)


@train.command
def segment(
    folder: Path,
    /,
    *,
    run: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        SegmentationOptions,
        Parameter(name="*", group="Segmentation", consume_multiple=True, show_default=shown_default),
    ] = SegmentationOptions(),
    voice: Voice = QUIET,
) -> int:
    """Train a U-Net to say of every pixel what it shows, from a FOLDER with `images` and `masks`.

    A mask has the name of its picture, and a label in every pixel: gray levels or numbers of a palette, 255 for pixels
    that count for nothing. Where FOLDER has train, valid and test folders, these hold images and masks, and the test's
    mean intersection over union (mIoU) is told at the end.

    Examples:

        impasto train segment camvid/ --void 11
        impasto train segment scans/ --encoder timm:resnet34.a1_in1k --stages decoder:5 all:20 --zooms 0.5 0.75 1
        impasto train segment camvid/ --void 11 --weights none

    Parameters
    ----------
    folder
        Pictures and masks.
    run
        The run's directory, new or empty. Default: runs/YYYYMMDDHHMM-train-segment-FOLDER-ENCODER.
    options_file
        A YAML file of options (as options.yaml in a run); flags go over it.
    options
        How to train.
    voice
        How to speak.
    """
    options = chosen(SegmentationOptions, options_file, options)
    from impasto.translation.train_segmentation import train_segmentation as craft

    began = time.monotonic()
    try:
        with listener(voice) as bar:
            result = craft(folder, options=options, run=run, progress=bar, download=bar.download)
    except KeyboardInterrupt as stop:
        return stopped(stop, voice)
    return tell_model(result, began, voice)


def tell_model(result: TrainedModel, began: float, voice: Voice) -> int:
    """Say what a training from picture to picture brought, and return the exit code."""
    seconds = time.monotonic() - began
    scores = ", ".join(f"{name} {value:.4g}" for name, value in result.scores.items())
    say(
        f"{result.run}  {scores or 'no validation pictures'}, {seconds:.0f} s\n{result.sheet}",
        voice,
        run=result.run,
        model=result.model,
        scores=result.scores,
        sheet=result.sheet,
        seconds=round(seconds, 2),
    )
    return 0


def tell(result: TrainedClassifier, began: float, voice: Voice) -> int:
    """Say what came out, and return the exit code."""
    seconds = time.monotonic() - began
    scores = result.scores
    say(
        f"{result.run}  {result.judged_on}: {scores.summary()}, {seconds:.0f} s\n{result.report}",
        voice,
        run=result.run,
        judged_on=result.judged_on,
        scores=scores.to_json(),
        report=result.report,
        seconds=round(seconds, 2),
    )
    return 0


def stopped(stop: KeyboardInterrupt, voice: Voice) -> int:
    """Say how to go on with what Ctrl-C has stopped, and return the exit code."""
    complain("; ".join(["interrupted", *getattr(stop, "__notes__", ())]), as_json=voice.json)
    return 1
