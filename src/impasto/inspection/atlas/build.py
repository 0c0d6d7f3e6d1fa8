"""Build: an atlas of a network as a folder that any browser shows, made in pieces of which none is made twice."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.inspection.atlas import cache, layers
from impasto.inspection.atlas import site as site_code
from impasto.inspection.atlas.assembly import assembled
from impasto.inspection.atlas.cache import Piece, Tell, Work, key_of
from impasto.inspection.atlas.content import AtlasContent
from impasto.inspection.atlas.layers import AtlasLayer, atlas_layers
from impasto.inspection.atlas.options import AtlasOptions
from impasto.inspection.atlas.plan import plan
from impasto.inspection.atlas.site.write import write_site
from impasto.inspection.atlas.workers import carry_out
from impasto.inspection.folder.pictures import find_pictures
from impasto.inspection.subject import subject
from impasto.networks import Network
from impasto.networks.device import pick_device
from impasto.networks.weights import Download
from impasto.runs.options_file import merge

log = logging.getLogger("impasto")

_LAYERS = "layers.json"


@dataclass(frozen=True)
class AtlasResult:
    """What came out.

    Attributes:
        index: The site's first page.
        layers: How many layers it shows.
        units: How many units.
        made: Pieces that were made; 0 where all was there already.
        pages: Pages that were written.
    """

    index: Path
    layers: int
    units: int
    made: int
    pages: int


def atlas(
    network: Network | str | None,
    images: Path | str,
    out: Path | str,
    *,
    compare: Network | str | None = None,
    clear: bool = False,
    options: AtlasOptions | None = None,
    progress: Tell | None = None,
    download: Download | None = None,
    **fields: Any,
) -> AtlasResult:
    """Build an atlas of a network: a static site with a page for each of its units.

    The work is done in pieces, each kept in ``out`` under a hash of all it depends on: after a kill only the pieces
    under way are made again, and a second build makes what has changed. New pictures in the folder are looked at, and
    no unit is rendered again for them.

    >>> import impasto
    >>> impasto.atlas("pocket", "photos", "site").index  # doctest: +SKIP
    PosixPath('site/index.html')

    Args:
        network: A network, or a name; None for that of the options.
        images: A folder of pictures: what excites each unit is looked for in them.
        out: The site's folder, new, empty or an earlier atlas.
        compare: Another network, whose units are shown beside the first's. Without ``taps``, the atlas is of the layers
            that both have, with a line of warning of what is left out.
        clear: Remove what other options have left in the folder.
        options: All options at once; ``fields`` go over it.
        progress: Called with the part that is done and a few words.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`AtlasOptions`.

    Raises:
        UsageError: An option out of bounds, a folder without pictures, a network without convolutions or not with the
            layers asked for, networks that are the same or have no layer in common, or a folder that holds something
            else.
        ImpastoError: The weights cannot be had, the disk is full, or a worker process died.
    """
    named = {"network": network} if isinstance(network, str) else {}
    options = merge(AtlasOptions, options, named, fields)
    tell: Tell = progress or (lambda _done, _words: None)
    folder = find_pictures(images)
    device = str(pick_device(options.device))
    networks = [subject(network or options.network, options.weights, "cpu", download)]
    if compare is not None:
        networks.append(subject(compare, None, "cpu", download))
        if cache.fingerprint(networks[0]) == cache.fingerprint(networks[1]):
            raise UsageError(f"{networks[1].name} is the same network: nothing to compare")
    work = Work(tuple(networks), Path(out), device)
    with cache.site_folder(work.site):
        tell(0.0, "looking at the network")
        looked = _looked(work, options.taps)
        shown = _read_layers(work, looked[0])
        planned = plan(work, shown, folder, options)
        made = carry_out(planned.pieces, work, planned.follow, options.workers or _processors(), tell)
        tell(1.0, "writing pages")
        content = assembled(planned, work)
        pages = _write_pages(content, work.site)
        if clear:
            cache.clear(work.site, [*looked, *planned.all_pieces()])
    units = sum(layer.channels for layer in shown)
    return AtlasResult(work.site / "index.html", len(shown), units, made, pages)


def _looked(work: Work, taps: tuple[str, ...]) -> list[Piece]:
    """The pieces that hold the layers of the atlas, the first network's first; all have the same layers there.

    Raises:
        UsageError: Two networks have no layer in common, or not the same ones under the names asked for.
    """
    found = [_layers(work, number, taps) for number in range(len(work.networks))]
    alike = [[_alike(layer) for layer in _read_layers(work, piece)] for piece in found]
    if all(one == alike[0] for one in alike):
        return found
    shared = () if taps else tuple(one[0] for one in alike[0] if one in alike[1])
    if not shared:
        raise UsageError(_difference(alike, [network.name for network in work.networks]))
    others = [
        f"{one[0]} of {network.name}"
        for network, some, those in zip(work.networks, alike, reversed(alike))
        for one in some
        if one not in those
    ]
    log.warning("left out of the comparison, for the other network has no such layer: %s", ", ".join(others))
    # looked for once more by these names, so that each is fed by the nearest of them and not by one that is left out
    return [*_looked(work, shared), *found]


def _alike(layer: AtlasLayer) -> tuple[str, int, str, str]:
    """What two networks' layers must have in common to be compared unit by unit."""
    return layer.tap, layer.channels, layer.rendered, layer.seen


def _layers(work: Work, number: int, taps: tuple[str, ...]) -> Piece:
    """The piece that holds a network's layers, made by running it where the last build has not."""
    key = key_of("layers", layers.VERSION, cache.fingerprint(work.networks[number]), taps)
    piece = Piece(".atlas", key, "layers", "layers", 1.0, partial(_write_layers, number=number, taps=taps))
    if not piece.there(work.site):
        cache.make(piece, work, lambda _done, _words: None)
    return piece


def _write_layers(work: Work, into: Path, _tell: Tell, *, number: int, taps: tuple[str, ...]) -> None:
    found = [asdict(layer) for layer in atlas_layers(work.networks[number], taps)]
    replace_file(into / _LAYERS, json.dumps(found).encode())


def _read_layers(work: Work, piece: Piece) -> tuple[AtlasLayer, ...]:
    found = json.loads((work.site / piece.folder / _LAYERS).read_text())
    return tuple(AtlasLayer(**one | {name: tuple(one[name]) for name in ("inputs", "folded")}) for one in found)


def _difference(alike: list[list[tuple[str, int, str, str]]], names: list[str]) -> str:
    """In a line, which layer differs first."""
    ours, theirs = ([f"{tap} ({channels} units)" for tap, channels, *_ in one] for one in alike)
    ours_only = next((one for one in ours if one not in theirs), "")
    theirs_only = next((one for one in theirs if one not in ours), "")
    where = f"{names[0]} has {ours_only}" if ours_only else f"{names[1]} has {theirs_only}"
    but = f", {names[1]} {theirs_only}" if ours_only and theirs_only else ", the other has not"
    return f"the networks cannot be compared unit by unit: {where}{but}; choose layers that both have with --taps"


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write_pages(content: AtlasContent, site: Path) -> int:
    """Write the site, unless it stands as it would be written; how many pages were.

    To lay out thousands of pages only to find that none has changed would take most of a rebuild's time: what they
    were made of is remembered as a hash, with the size and time of every file that was written.
    """
    note = site / ".atlas" / "site.json"
    key = key_of(_pages_code(), repr(content))  # of thousands of units, four times as fast as asdict
    try:
        last = json.loads(note.read_text())
    except (OSError, ValueError):
        last = {}
    if last.get("key") == key and last.get("files") == _stamps(site, last.get("files", {})):
        return 0
    note.unlink(missing_ok=True)
    written = write_site(content, site)
    files = dict.fromkeys([*written.written, *written.kept])
    replace_file(note, json.dumps({"key": key, "files": _stamps(site, files)}).encode())
    return sum(name.endswith(".html") for name in written.written)


def _stamps(site: Path, names: Iterable[str]) -> dict[str, list[int] | None]:
    def stamp(name: str) -> list[int] | None:
        try:
            found = (site / name).stat()
        except OSError:
            return None
        return [found.st_size, found.st_mtime_ns]

    return {name: stamp(name) for name in names}


def _pages_code() -> str:
    """A hash of what lays the pages out: templates, style, scripts and code."""
    digest = hashlib.sha256()
    for root, folders, names in os.walk(Path(site_code.__file__ or "").parent):
        folders[:] = sorted(folder for folder in folders if folder != "__pycache__")
        for name in sorted(names):
            digest.update(name.encode() + (Path(root) / name).read_bytes())
    return digest.hexdigest()
