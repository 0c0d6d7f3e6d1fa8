"""impasto benchmark: a restoring model judged on good pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, say

if TYPE_CHECKING:
    from impasto.networks.weights import Download
    from impasto.translation.benchmark import Benchmark


def benchmark(
    model: str,
    folder: Path,
    /,
    *,
    scale: int | None = None,
    quality: int | None = None,
    gray: Annotated[bool, Parameter(negative="")] = False,
    recipe: str | None = None,
    seed: int = 0,
    lpips: Annotated[bool, Parameter(negative="")] = False,
    features: str | None = None,
    weights: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    voice: Voice = QUIET,
) -> None:
    """Judge MODEL on the good pictures in FOLDER by the protocol of the published tables.

    The pictures are made bad (reduced, JPEG, or by a recipe), restored, and compared with the good ones, beside what
    there is without a model: bicubic enlargement, or the bad picture itself. `bicubic`, `jpeg` and `nothing` are
    models too.

    Examples:

        impasto benchmark superres-x4 Set5/
        impasto benchmark bicubic Set5/ --scale 4
        impasto benchmark restore-jpeg classic5/ --quality 10 --gray
        impasto benchmark runs/MINE photos/ --recipe "noise:25" --features pocket

    Parameters
    ----------
    model
        A shipped model, a run, a file; or bicubic, jpeg, nothing.
    folder
        Good pictures. Of pairs NAME_SRF_4_HR.png and NAME_SRF_4_LR.png, the first are taken.
    scale
        Times that bicubic enlarges; of a model it is known.
    quality
        Of JPEG.
    gray
        JPEG of gray pictures, as Classic5 and LIVE1 are judged.
    recipe
        Another way to make the pictures bad; `impasto degrade --list` shows some.
    seed
        Of the recipe's chance.
    lpips
        Say LPIPS too (SqueezeNet; its weights are downloaded).
    features
        Say a distance of this network's activations too: pocket, vgg19, …
    weights
        That network's, or with --lpips SqueezeNet's, own file of weights.
    device
        Where to compute.
    voice
        How to speak.
    """
    from impasto.translation.benchmark import benchmark as judge

    with listener(voice) as bar:
        found = judge(
            model,
            folder,
            scale=scale,
            quality=quality,
            gray=gray,
            recipe=recipe,
            seed=seed,
            extra=_measures(lpips, features, weights, bar.download),
            device=device,
            progress=bar.part,
        )
    say(f"{found.model}: {found.protocol}\n" + "\n".join(_lines(found)), voice, **found.to_json())


def _measures(lpips: bool, features: str | None, weights: Path | None, download: Download) -> dict[str, Any]:
    from functools import partial

    measures: dict[str, Any] = {}
    if lpips:
        from impasto.translation import metrics

        measures["lpips"] = partial(metrics.lpips, weights=None if features else weights)
    if features:
        from impasto import networks
        from impasto.translation.metrics import feature_distance

        network = networks.load(features, weights=weights, progress=download)
        measures[f"distance in {features}"] = partial(feature_distance, network=network)
    return measures


def _lines(found: Benchmark) -> list[str]:
    """A line for each picture and their mean; the model's scores, then the baseline's."""
    mean = found.mean
    own = [name.replace("_", " ") for name in mean.scores]
    rows = [["picture", *own, *(f"{found.baseline}: {name.replace('_', ' ')}" for name in mean.baseline)]]
    for row in (*found.rows, mean):
        values = [*row.scores.items(), *row.baseline.items()]
        rows.append([row.picture, *(f"{value:.{_digits(name)}f}" for name, value in values)])
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
        for row in rows
    ]


def _digits(name: str) -> int:
    return 2 if name.startswith(("psnr", "colour")) else 4
