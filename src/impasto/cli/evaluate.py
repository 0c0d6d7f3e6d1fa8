"""impasto evaluate: how good a run's classifier is on any data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, complain, say
from impasto.errors import UsageError


def evaluate(
    first: Path,
    second: Path,
    /,
    *more: Path,
    split: Literal["train", "valid", "test"] | None = None,
    flips: Annotated[bool, Parameter(negative="")] = False,
    with_learnt: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    voice: Voice = QUIET,
) -> None:
    """Judge the classifier of a run, or of several runs together, on data with labels.

    The last argument is the data, what stands before it are runs: `impasto evaluate RUN … DATA`. Pictures that one of
    the runs has learnt from are left out.

    Examples:

        impasto evaluate runs/202611211200-train-pets-squeezenet1_0 more-pets/
        impasto evaluate runs/A runs/B runs/C pets/ --split test
        impasto evaluate runs/A pets/ --flips --out predictions.parquet

    Parameters
    ----------
    first
        A run directory.
    second
        The data, or another run.
    more
        Further runs, and the data.
    split
        Only these rows of the data. Default: all with a label.
    flips
        Look at each picture in the mirror too, and average.
    with_learnt
        Judge on pictures that the runs have learnt from, too.
    out
        Where to write the predictions (Parquet).
    voice
        How to speak.
    """
    everything = [first, second, *more]
    runs, source = everything[:-1], everything[-1]
    from impasto.images import require_writable
    from impasto.learning.predict import learnt_from, predict, require_classifier
    from impasto.learning.scan import read_data
    from impasto.learning.scores import score

    if out:
        require_writable(out)
    with listener(voice) as bar:
        data = read_data(source, progress=bar.part)
        if split:
            data = data.where(split=split)
        labels = data.column("label")
        data = data.take([row for row, label in enumerate(labels) if label is not None])
        if not len(data):
            of = f" in its split {split}" if split else ""
            raise UsageError(f"{source} has no pictures with labels{of}: there is nothing to judge by")
        for run in runs:
            require_classifier(run)
        known = [False] * len(data) if with_learnt else learnt_from(runs, data)
        data = data.take([row for row, learnt in enumerate(known) if not learnt])
        if not len(data):
            raise UsageError(f"every picture of {source} was learnt from by a run: give others, or add --with-learnt")
        predictions = predict(runs, data, flips=flips, progress=bar.part)
    if out:
        predictions.save(out)
    scores = score(predictions)
    if sum(known):
        complain(f"{sum(known)} pictures that a run has learnt from are left out", as_json=voice.json, kind="warning")
    say(f"{len(data)} pictures: {scores.summary()}", voice, pictures=len(data), scores=scores.to_json(), out=out)
