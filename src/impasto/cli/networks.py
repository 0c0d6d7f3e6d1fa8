"""impasto networks: what there is, what it can be asked for, and its weights on this machine."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from impasto.cli.terminal import QUIET, Voice, say, say_table

networks = App(
    name="networks", help="The networks: list them, show their taps, fetch and verify their weights.", help_epilogue=""
)


@networks.command(name="list")
def list_(*, voice: Voice = QUIET) -> None:
    """List the catalogue: names, licences, sizes, and which weights are on this machine.

    For example:

        impasto networks list

    Parameters
    ----------
    voice
        How to speak.
    """
    from impasto.networks.catalogue import ENTRIES

    rows = [
        {"name": e.name, "weights": _state(e), "megabytes": _megabytes(e), "licence": e.licence, "about": e.about}
        for e in ENTRIES.values()
    ]
    if voice.json:
        say("", voice, networks=rows)
        return
    cells = (["?" if value is None else value for value in row.values()] for row in rows)
    say_table(rows[0], cells, whole=rows[0].keys() - {"about"})
    say("and timm:NAME for any network of timm; any of these with --weights FILE")


@networks.command
def show(name: str, /, *, weights: Path | None = None, voice: Voice = QUIET) -> None:
    """Show a network: its taps with channels, strides and receptive fields, its input, its licence.

    Example:

        impasto networks show pocket

    Parameters
    ----------
    name
        A name of `impasto networks list`, or timm:NAME.
    weights
        A file of weights to take instead of the published ones.
    voice
        How to speak.
    """
    import torch

    from impasto.networks import Taps, load
    from impasto.networks.catalogue import ENTRIES

    with _download_bar(voice) as progress:
        network = load(name, weights=weights, progress=progress)
    wanted = list(network.aliases) or [path for path, _ in network.trunk] or list(network.style_taps)
    taps = Taps(network, wanted)
    geometry = taps.geometry()
    with torch.no_grad():
        channels = {tap: f.shape[1] for tap, f in taps(torch.full((1, 3, 224, 224), 0.5)).items()}
    rows = [
        {
            "tap": tap,
            "channels": channels[tap],
            "stride": geometry[tap].stride or "whole picture",
            "field": geometry[tap].receptive_field or "whole picture",
            "default": "style" * (tap in network.style_taps) + " content" * (tap in network.content_taps),
        }
        for tap in wanted
    ]
    entry = ENTRIES.get(name)
    facts = {
        "name": name,
        "about": entry.about if entry else "a network of timm",
        "licence": entry.licence if entry else "see timm's model card",
        "input": f"RGB in [0, 1], mean {network.mean}, deviation {network.std}",
        "parameters": sum(p.numel() for p in network.module.parameters()),
        "sha256": network.sha256,
    }
    if voice.json:
        say("", voice, **facts, taps=rows)
        return
    for key, value in facts.items():
        say(f"{key:>10}  {value}")
    say_table(rows[0], (row.values() for row in rows))


@networks.command
def fetch(name: str, /, *, voice: Voice = QUIET) -> None:
    """Download the weights of a network now: resumed when cut, verified, cached.

    The cache is a folder of the user's, or IMPASTO_HOME. With IMPASTO_OFFLINE=1 nothing is downloaded, and the
    message says which file to put where.

    Example:

        impasto networks fetch vgg19

    Parameters
    ----------
    name
        A name of `impasto networks list`, or timm:NAME.
    voice
        How to speak.
    """
    from impasto.networks.weights import fetch as fetch_file

    file = _file(name)
    if file is None:
        say("pocket is in the package: nothing to download", voice, path=str(_packaged()))
        return
    with _download_bar(voice) as progress:
        path = fetch_file(file, progress=progress)
    say(str(path), voice, path=path)


@networks.command
def verify(name: str | None = None, /, *, voice: Voice = QUIET) -> None:
    """Hash the cached weights in full and compare; without a name, all that are cached.

    Example:

        impasto networks verify

    Parameters
    ----------
    name
        A name of `impasto networks list`, or timm:NAME.
    voice
        How to speak.
    """
    from impasto.networks.catalogue import ENTRIES
    from impasto.networks.weights import verify as verify_file

    names = [name] if name else [e.name for e in ENTRIES.values() if e.weights and e.weights.path.exists()]
    good = {}
    for each in names:
        file = _file(each)
        if file is not None:
            good[each] = verify_file(file)
    say(
        "\n".join(f"{n}: {path} is right" for n, path in good.items()) or "no downloaded weights to verify",
        voice,
        verified=good,
    )


def _file(name: str):  # type: ignore[no-untyped-def]
    if name.startswith("timm:"):
        from impasto.networks.loading import timm_weights

        return timm_weights(name.removeprefix("timm:"))
    from impasto.networks.catalogue import entry

    return entry(name).weights


def _state(entry) -> str:  # type: ignore[no-untyped-def]
    if entry.weights is None:
        return "in the package"
    return "cached" if entry.weights.path.exists() else "to download"


def _megabytes(entry) -> float | None:  # type: ignore[no-untyped-def]
    size = entry.weights.size if entry.weights else _packaged().stat().st_size
    return size and round(size / 1e6, 1)


def _packaged() -> Path:
    from importlib import resources

    return Path(str(resources.files("impasto"))) / "assets" / "pocket.safetensors"


def _download_bar(voice: Voice):  # type: ignore[no-untyped-def]
    from contextlib import nullcontext

    from impasto.runs.bar import DownloadBar

    return nullcontext(None) if voice.json else DownloadBar()
