"""impasto data features: what layers of a network make of pictures, computed once and kept for every later use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, say
from impasto.errors import UsageError

ASKED_FROM = 1_000_000_000  # bytes


def features(
    data: Path,
    /,
    *,
    network: str = "squeezenet1_0",
    weights: Path | None = None,
    taps: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    size: int = 224,
    fit: Literal["squish", "crop", "pad"] = "squish",
    pool: Literal["avgmax", "avg", "none"] = "avgmax",
    copies: int = 1,
    augment: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    seed: int = 0,
    cache: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    yes: Annotated[bool, Parameter(negative="")] = False,
    voice: Voice = QUIET,
) -> None:
    """Compute what layers of a network make of every picture, and keep it: training on it takes seconds.

    How many bytes will be written is said first; more than 1 GB need --yes. What is there already is not computed
    again: only new or changed pictures are, and all where the network, the layer, the size or the augmentations
    differ. A computation that was interrupted or killed goes on where it was.

    Examples:

        impasto data features pets
        impasto data features data.parquet --size 192 --copies 6 --augment flip rotate:10 brightness
        impasto data features pets --network vgg19 --taps relu3_4 relu4_4 --pool none --yes

    Parameters
    ----------
    data
        The pictures: a manifest, or whatever `impasto data scan` takes.
    network
        A name of `impasto networks list`, or timm:NAME.
    weights
        A file of weights to take instead of the published ones.
    taps
        The layers. Default: the last one before the network's own classifier.
    size
        Side of the pictures in pixels.
    fit
        How they become squares: squish stretches them, crop takes the middle, pad adds borders.
    pool
        What is kept of each channel: avgmax its average and its maximum, avg its average, none all positions.
    copies
        Copies of each picture: the plain one, and the others augmented.
    augment
        What is done to the further copies, NAME or NAME:MAGNITUDE.
    seed
        Of the augmentations.
    cache
        The folder to keep them in. Default: IMPASTO_FEATURES, or features in impasto's own cache.
    device
        Where to compute.
    yes
        Write more than 1 GB.
    voice
        How to speak.
    """
    from impasto.learning.augmentation import parse
    from impasto.learning.pictures import Preprocessing

    preprocessing, augmentations = Preprocessing(size, fit), parse(augment)
    from impasto.learning.classifier import default_tap
    from impasto.learning.features import default_cache, planned_bytes
    from impasto.learning.features import features as craft
    from impasto.learning.scan import read_data
    from impasto.learning.wording import size as size_of
    from impasto.networks import load
    from impasto.networks.device import pick_device

    cache = cache or default_cache()
    if cache.exists() and not cache.is_dir():
        raise UsageError(f"{cache} is a file, and features are kept in a folder: name another with --cache")
    with listener(voice) as bar:
        manifest = read_data(data, progress=bar.part)
        known = load(network, weights=weights, progress=bar.download).to(pick_device(device))
    taps = taps or (default_tap(known),)
    how: dict[str, Any] = {
        "preprocessing": preprocessing,
        "pool": pool,
        "augmentations": augmentations,
        "copies": copies,
        "seed": seed,
        "cache": cache,
    }
    planned = planned_bytes(manifest, known, taps, **how)
    if planned > ASKED_FROM and not yes:
        raise UsageError(
            f"{size_of(planned)} of features would be written in {cache}: say --yes, or pool them, make fewer "
            "copies or name another folder with --cache"
        )
    if planned and not voice.json:
        say(f"{size_of(planned)} to write in {cache}", voice)
    with listener(voice) as bar:
        found = craft(manifest, known, taps, device=pick_device(device), progress=bar.part, **how)
    shapes = {tap: each.shape for tap, each in found.items()}
    said = ", ".join(f"{tap} {'×'.join(map(str, shape))}" for tap, shape in shapes.items())
    say(
        f"{len(manifest)} pictures, {copies} {'copy' if copies == 1 else 'copies'} of each: {said}"
        + ("" if planned else "; all was there"),
        voice,
        cache=cache,
        pictures=len(manifest),
        copies=copies,
        bytes_written=planned,
        shapes=shapes,
    )
