"""Submissions: a classifier's probabilities of unlabelled pictures as the CSV that a contest asks for."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal, get_args

import numpy as np

from impasto.errors import UsageError
from impasto.images import idx
from impasto.images.replace import replace_file, require_writable
from impasto.learning.calibration import Calibration, Fitted, fit, naive_clip
from impasto.learning.manifest import Manifest
from impasto.learning.predictions import Predictions

IdFrom = Literal["name", "stem", "number"]
Format = Literal["kaggle"]

DIGITS = 9  # of a probability: the floor of any calibration is far above


@dataclass(frozen=True)
class Submission:
    """What was written.

    Attributes:
        path: The file.
        rows: Pictures in it.
        fitted: The calibration and what it is worth; None where there is none.
    """

    path: Path
    rows: int
    fitted: Fitted | None


def submit(
    runs: Path | str | Sequence[Path | str],
    test_data: Manifest | Path | str,
    *,
    out: Path | str,
    format: Format = "kaggle",
    calibrate: bool = True,
    clip: float | None = None,
    id_from: IdFrom | None = None,
    columns: Sequence[str] | None = None,
    flips: bool = False,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    progress: Callable[[float, str], object] | None = None,
) -> Submission:
    """Classify a folder of pictures by one run or by several together, and write the CSV.

    Temperature and clip are fitted on the runs' validation pictures: on one fold and scored on another, which says
    what they are worth, and then on all of them, for the pictures submitted.

    Args:
        runs: Finished runs of ``impasto train classify``; of several, the mean of their probabilities is taken.
        test_data: The pictures, as a folder or a manifest; labels are not looked at.
        out: The CSV file.
        format: ``kaggle``, see :func:`table`.
        calibrate: Whether to calibrate; without it the probabilities are the network's own.
        clip: Instead of calibration, the most that a probability may be: the course's fixed clip, for comparison.
        id_from: What a row is known by, see :func:`table`.
        columns: The header, see :func:`table`.
        flips: Whether each picture is also looked at in the mirror.
        device: Where to compute.
        progress: Called with (part done, words).

    Raises:
        UsageError: No pictures, a run that is not finished, or validation pictures too few to calibrate on.
        ImpastoError: The disk is full.
    """
    from impasto.learning.predict import classifier_of, predict

    if format not in get_args(Format):
        raise UsageError(f"there is no format {format!r}: there is {', '.join(get_args(Format))}")
    if clip is not None and not 0 < clip < 1:
        raise UsageError(f"clip is {clip}: give the most that a probability may be, between 0 and 1, as 0.95")
    paths = [Path(runs)] if isinstance(runs, str | Path) else [Path(run) for run in runs]
    if not paths:
        raise UsageError("no run to ask: give one of `impasto train classify` at least")
    # what is wrong with the last is told before the first has looked at anything
    known = [classifier_of(path).description.classes for path in paths]
    require_writable(out)
    tell = progress or (lambda part, words: None)
    pictures = _pictures(test_data)
    _header(known[0], columns)
    _keys([str(pictures.root / path) for path in pictures.paths], known[0], id_from)
    fitted = None
    if calibrate and clip is None:
        held_out = validation(paths)
        if len(paths) > 1 or flips:  # an ensemble is another classifier than its parts: it has its own temperature
            seen = predict(
                paths, held_out, flips=flips, device=device, progress=lambda part, words: tell(0.4 * part, words)
            )
        else:
            seen = Predictions.load(paths[0] / "predictions.parquet").split("valid")
        fitted = fit(seen)
    said = predict(paths, pictures, flips=flips, device=device, progress=lambda p, w: tell(0.4 + 0.6 * p, w))
    probabilities = calibrated(said, fitted.calibration if fitted else None, clip)
    replace_file(Path(out), table(said, probabilities, id_from=id_from, columns=columns).encode())
    return Submission(Path(out), len(said), fitted)


def calibrated(said: Predictions, calibration: Calibration | None = None, clip: float | None = None) -> np.ndarray:
    """(n, k) probabilities: calibrated, or clipped as the course did, or as they are; each row adds up to one."""
    if clip is not None:
        p = naive_clip(said.probabilities, clip)
        made: np.ndarray = p / p.sum(1, keepdims=True)
        return made
    return (calibration or Calibration()).apply(said.log_probabilities)


def table(
    said: Predictions,
    probabilities: np.ndarray,
    *,
    id_from: IdFrom | None = None,
    columns: Sequence[str] | None = None,
) -> str:
    """The text of the CSV.

    Of two classes it is ``id,label`` with the probability of the second (Dogs vs. Cats Redux), by the number in the
    file's name; of more, ``img,`` and a column a class (State Farm), by the whole file name.

    Args:
        said: Whose paths and classes.
        probabilities: (n, k), what is written.
        id_from: ``name`` (c12.jpg), ``stem`` (c12) or ``number`` (12). Default: as above.
        columns: The header: the identifier's name, then the probability's (two classes) or those of all classes.

    Raises:
        UsageError: A name without the number, two pictures with the same identifier, or a header of another length.
    """
    header = _header(said.classes, columns)
    wide = len(header) == 1 + len(said.classes)
    rows = dict(zip(_keys(said.paths, said.classes, id_from), probabilities.tolist(), strict=True))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for key in sorted(rows, key=_in_order):
        writer.writerow([key, *(f"{chance:.{DIGITS}f}" for chance in (rows[key] if wide else rows[key][1:]))])
    return text.getvalue()


def _header(classes: Sequence[str], columns: Sequence[str] | None) -> list[str]:
    two = len(classes) == 2
    header = list(columns) if columns else (["id", "label"] if two else ["img", *classes])
    if len(header) != 1 + len(classes) and not (two and len(header) == 2):
        other = ", or one for the second class" if two else ""
        raise UsageError(
            f"{len(header)} columns are named ({', '.join(header)}), but there is one for the picture and one for each "
            f"of {len(classes)} classes ({', '.join(classes)}){other}"
        )
    return header


def _keys(paths: Sequence[str], classes: Sequence[str], id_from: IdFrom | None) -> list[str]:
    """What each picture is known by, which is another for each."""
    keys: dict[str, str] = {}
    for path in paths:
        key = identifier(path, id_from or ("number" if len(classes) == 2 else "name"))
        if key in keys:
            raise UsageError(
                f"{keys[key]} and {path} would both be {key!r} in the submission: rename one, or choose another "
                "--id-from"
            )
        keys[key] = path
    return list(keys)


def identifier(path: str, id_from: IdFrom) -> str:
    """What a picture is known by in a submission.

    >>> identifier("test/unknown/dog.12.jpg", "number")
    '12'

    Raises:
        UsageError: The name has no number, or no such way.
    """
    name = PurePath(path).name
    match id_from:
        case "name":
            return name
        case "stem":
            return PurePath(name).stem
        case "number":
            inside = idx.place(path)
            numbers = [inside[1]] if inside else re.findall(r"\d+", PurePath(name).stem)
            if not numbers:
                raise UsageError(f"{path} has no number in its name: give --id-from name or stem")
            return str(int(numbers[-1]))
    raise UsageError(f"there is no id from {id_from!r}: there are {', '.join(get_args(IdFrom))}")


def validation(runs: Sequence[Path]) -> Manifest:
    """The pictures that every one of some runs kept for validation.

    Raises:
        UsageError: There are none: one run has trained on what another is judged by.
    """
    parts = [Manifest.load(run / "data.parquet") for run in runs]
    held = [one.where(split="valid") for one in parts]
    common = set.intersection(*({str(one.root / path) for path in one.paths} for one in held))
    first = held[0]
    rows = [row for row, path in enumerate(first.paths) if str(first.root / path) in common]
    if not rows:
        raise UsageError(
            f"the runs {', '.join(map(str, runs))} have no validation pictures in common, so that nothing tells how "
            "sure they should be: train them on the same split, or submit without calibration (--no-calibrate)"
        )
    return first.take(rows)


def _pictures(data: Manifest | Path | str) -> Manifest:
    """Those of a manifest, or of a folder, whatever folders they are in, without labels."""
    if not isinstance(data, Manifest):
        from impasto.learning.scan import list_pictures

        data = list_pictures(data)
    if not len(data):
        raise UsageError("there are no pictures to submit: give the folder that the test pictures are in")
    nothing = [None] * len(data)
    return data.having(label=nothing, split=nothing, group=nothing, box=nothing)


def _in_order(key: str) -> tuple[int, int, str]:
    return (0, int(key), "") if key.isdecimal() else (1, 0, key)
