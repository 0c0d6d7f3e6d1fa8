"""impasto augment-search: which augmentations help, before a long training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, say, say_table


def augment_search(
    data: Path,
    /,
    *,
    network: str = "squeezenet1_0",
    weights: Path | None = None,
    tap: str | None = None,
    size: int = 160,
    sample: int | None = 600,
    try_: Annotated[tuple[str, ...], Parameter(name="--try", consume_multiple=True, negative="")] = (),
    copies: int = 4,
    epochs: int = 20,
    repeats: int = 2,
    seed: int = 0,
    out: Path | None = None,
    voice: Voice = QUIET,
) -> None:
    """Find the augmentations that help on DATA: each alone at the same budget, then those that help together.

    A head is trained on a frozen network, on precomputed copies of a sample, and judged by pictures that it has not
    learnt from; pictures of a test split are left out. Intervals are of the log loss that is saved.

    Examples:

        impasto augment-search pets/
        impasto augment-search pets/ --try flip rotate:10 rotate:30 brightness:0.3 --out search.png

    Parameters
    ----------
    data
        The pictures, with labels.
    network
        Whose activations.
    weights
        A file of weights for the network, instead of the published ones.
    tap
        The layer that the head stands on. Default: the network's last before its own classifier.
    size
        Side of the pictures in pixels.
    sample
        How many of the pictures are taken; 0 for all.
    try_
        The augmentations, NAME or NAME:MAGNITUDE. Default: every one that a photograph may undergo.
    copies
        Copies of each picture, one of them unchanged.
    epochs
        Times that a head sees each picture.
    repeats
        Seeds.
    seed
        The first of them.
    out
        Where to draw the gains (PNG).
    voice
        How to speak.
    """
    from impasto import networks
    from impasto.images import require_writable
    from impasto.learning import augment_search as craft
    from impasto.learning.classifier import default_tap
    from impasto.learning.features import default_cache
    from impasto.learning.lesson import require_classes
    from impasto.learning.pictures import Preprocessing
    from impasto.learning.sample import sample as sampled
    from impasto.learning.scan import read_data
    from impasto.networks.device import pick_device

    if out:
        require_writable(out)
    with listener(voice) as bar:
        rows = read_data(data, progress=bar.part)
        rows = rows.take([i for i, (split, label) in enumerate(zip(rows.column("split"), rows.column("label")))
                          if split in (None, "train", "valid") and label is not None])  # fmt: skip
        rows = rows.having(split=[None] * len(rows))
        require_classes(rows, data)
        if sample and len(rows) > sample:
            rows = sampled(rows, count=sample, seed=seed)
        loaded = networks.load(network, weights=weights, progress=bar.download)
        device = pick_device()
        found = craft.augment_search(
            rows,
            loaded.to(device),
            tap or default_tap(loaded),
            tried=try_ or craft.TRIED,
            preprocessing=Preprocessing(size),
            copies=copies,
            epochs=epochs,
            repeats=repeats,
            cache=default_cache(),
            device=device,
            seed=seed,
            progress=bar.part,
        )
    if out:
        craft.plot(found, out)
    words = [
        (" + ".join(one.augmentations) or "none", f"{one.log_loss:.4f}", one.accuracy.percent(),
         f"{one.gain.value:+.4f} ({one.gain.low:+.4f} to {one.gain.high:+.4f})", "helps" if one.helps else "")
        for one in found.trials
    ]  # fmt: skip
    if not voice.json:
        say_table(("augmentation", "log loss", "accuracy", "log loss saved", ""), words)
    best = found.best
    say(
        f"{len(rows)} pictures, {found.steps} steps each: train with --augment {' '.join(best.augmentations)} (on "
        f"other folds it saves {best.gain.value:+.4f}, {best.gain.low:+.4f} to {best.gain.high:+.4f})"
        if best
        else f"{len(rows)} pictures, {found.steps} steps each: none of them helps by more than chance",
        voice,
        pictures=len(rows),
        steps=found.steps,
        best=best and best.to_json(),
        trials=[one.to_json() for one in found.trials],
    )
