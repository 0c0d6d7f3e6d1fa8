"""impasto data sample-size: how many pictures are enough to find things out on."""

from __future__ import annotations

from pathlib import Path

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, say, say_table


def sample_size(
    data: Path,
    /,
    *,
    network: str = "squeezenet1_0",
    weights: Path | None = None,
    tap: str | None = None,
    size: int = 160,
    tolerance: float = 0.03,
    repeats: int = 10,
    test: float = 0.3,
    seed: int = 0,
    out: Path | None = None,
    voice: Voice = QUIET,
) -> None:
    """Find the smallest sample of DATA whose accuracy, and whose ranking of methods, are those of all of it.

    Four methods are tried on samples of growing size: a linear head, nearest neighbours and class means on a network's
    activations, and a linear one on pixels. Intervals are over samples and over the (groups of) pictures that judge.

    Examples:

        impasto data sample-size pets/
        impasto data sample-size pets/ --tolerance 0.02 --out sample-size.png

    Parameters
    ----------
    data
        The pictures, with labels.
    network
        Whose activations.
    weights
        A file of weights for the network, instead of the published ones.
    tap
        The layer. Default: the network's last before its own classifier.
    size
        Side of the pictures in pixels.
    tolerance
        How far an accuracy may be from that of all the data, and how wide its interval to each side.
    repeats
        Samples of each size.
    test
        Part of the pictures that judges, where there is no valid split; a test split is left alone.
    seed
        Of the samples.
    out
        Where to draw it (PNG).
    voice
        How to speak.
    """
    from impasto import networks
    from impasto.images import require_writable
    from impasto.learning import sample_size as craft
    from impasto.learning.classifier import default_tap
    from impasto.learning.features import default_cache
    from impasto.learning.lesson import require_classes
    from impasto.learning.pictures import Preprocessing
    from impasto.learning.scan import read_data
    from impasto.networks.device import pick_device

    if out:
        require_writable(out)
    with listener(voice) as bar:
        rows = read_data(data, progress=bar.part)
        rows = rows.take([i for i, label in enumerate(rows.column("label")) if label is not None])
        require_classes(rows, data)
        loaded = networks.load(network, weights=weights, progress=bar.download)
        device = pick_device()
        found = craft.sample_size_of(
            rows,
            loaded.to(device),
            tap or default_tap(loaded),
            preprocessing=Preprocessing(size),
            judged=test,
            cache=default_cache(),
            device=device,
            repeats=repeats,
            tolerance=tolerance,
            seed=seed,
            progress=bar.part,
        )
    if out:
        craft.plot(found, out)
    if not voice.json:
        sizes = []
        for at in found.sizes:
            order = "" if at.agreement != at.agreement else f"{100 * at.agreement:.0f} %"
            accuracies = [one.percent() for one in at.accuracy.values()]
            sizes.append((at.n, *accuracies, order, "stable" if at.stable else ""))
        say_table(("pictures", *found.sizes[0].accuracy, "same order", ""), sizes)
    say(
        f"from {found.smallest} pictures on, a sample says what all {found.sizes[-1].n} say"
        if found.smallest
        else f"no sample says what all {found.sizes[-1].n} training pictures say, within {tolerance}: use them all",
        voice,
        smallest=found.smallest,
        sizes=[
            vars(at)
            | {"accuracy": {name: one._asdict() for name, one in at.accuracy.items()}}
            | {"agreement": None if at.agreement != at.agreement else at.agreement}
            for at in found.sizes
        ],
    )
