"""Build: an atlas of a network as a folder that any browser shows, made in pieces of which none is made twice."""

from __future__ import annotations

import hashlib
import json
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
from impasto.inspection.subject import Download, subject
from impasto.networks import Network
from impasto.networks.device import pick_device
from impasto.runs.options_file import validate


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
    network: Network | str = "pocket",
    images: Path | str = ".",
    out: Path | str = "atlas",
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
        network: A network, or a name; it takes the place of ``options.network``.
        images: A folder of pictures: what excites each unit is looked for in them.
        out: The site's folder, new, empty or an earlier atlas.
        compare: Another network of the same layers, whose units are shown beside the first's.
        clear: Remove what other options have left in the folder.
        options: All options at once; ``fields`` go over it.
        progress: Called with the part that is done and a few words.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`AtlasOptions`.

    Raises:
        UsageError: An option out of bounds, a folder without pictures, a network without convolutions or not with the
            layers asked for, networks that cannot be compared, or a folder that holds something else.
        ImpastoError: The weights cannot be had, the disk is full, or a worker process died.
    """
    base = options.model_dump(exclude_unset=True) if options else {}
    named = {"network": network} if isinstance(network, str) else {}
    options = validate(AtlasOptions, base | named | fields)
    tell: Tell = progress or (lambda _done, _words: None)
    folder = find_pictures(images)
    device = str(pick_device(options.device))
    networks = [subject(network, options.weights, "cpu", download)]
    if compare is not None:
        networks.append(subject(compare, None, "cpu", download))
    work = Work(tuple(networks), Path(out), device)
    with cache.site_folder(work.site):
        tell(0.0, "looking at the network")
        shown = [_layers(work, number, options.taps) for number in range(len(networks))]
        _require_alike(shown, networks)
        planned = plan(work, shown[0], folder, options)
        made = carry_out(planned.pieces, work, planned.follow, options.workers or _processors(), tell)
        tell(1.0, "writing pages")
        content = assembled(planned, work)
        pages = _write_pages(content, work.site)
        if clear:
            cache.clear(work.site, list(planned.all_pieces()))
    units = sum(layer.channels for layer in shown[0])
    return AtlasResult(work.site / "index.html", len(shown[0]), units, made, pages)


def _layers(work: Work, number: int, taps: tuple[str, ...]) -> tuple[AtlasLayer, ...]:
    """A network's layers, from the last build where nothing has changed: to find them the network must run."""
    key = key_of("layers", layers.VERSION, cache.fingerprint(work.networks[number]), taps)
    piece = Piece(".atlas", key, "layers", "layers", 1.0, partial(_write_layers, number=number, taps=taps))
    if not piece.there(work.site):
        cache.make(piece, work, lambda _done, _words: None)
    found = json.loads((work.site / piece.folder / "layers.json").read_text())
    return tuple(AtlasLayer(**one | {name: tuple(one[name]) for name in ("inputs", "folded")}) for one in found)


def _write_layers(work: Work, into: Path, _tell: Tell, *, number: int, taps: tuple[str, ...]) -> None:
    found = [asdict(layer) for layer in atlas_layers(work.networks[number], taps)]
    (into / "layers.json").write_text(json.dumps(found))


def _require_alike(shown: list[tuple[AtlasLayer, ...]], networks: list[Network]) -> None:
    """Two networks are compared unit by unit: they must have the same layers.

    Raises:
        UsageError: They have not; the message says which differs first.
    """
    if len(shown) == 1:
        return
    ours, theirs = ([f"{layer.tap} ({layer.channels} units)" for layer in one] for one in shown)
    if ours == theirs:
        return
    ours_only = next((one for one in ours if one not in theirs), "")
    theirs_only = next((one for one in theirs if one not in ours), "")
    where = f"{networks[0].name} has {ours_only}" if ours_only else f"{networks[1].name} has {theirs_only}"
    but = f", {networks[1].name} {theirs_only}" if ours_only and theirs_only else ", the other has not"
    raise UsageError(
        f"the networks cannot be compared unit by unit: {where}{but}; choose layers that both have with --taps"
    )


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
