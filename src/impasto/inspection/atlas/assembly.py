"""Assembly: from the pieces to all that the site shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from impasto import __version__
from impasto.inspection.atlas.activation_atlas import layout_of, read_map
from impasto.inspection.atlas.cache import Piece, Work
from impasto.inspection.atlas.compare import read_change
from impasto.inspection.atlas.content import ActivationAtlas, AtlasContent, Cell, LayerContent, Link, Patch, UnitContent
from impasto.inspection.atlas.expanded import read_weights, strongest
from impasto.inspection.atlas.layers import AtlasLayer
from impasto.inspection.atlas.plan import Plan
from impasto.inspection.atlas.scans import read_scan
from impasto.inspection.folder.embedding import TITLES
from impasto.inspection.folder.scan import TapScan
from impasto.inspection.units import Unit, name_of
from impasto.networks import catalogue

_LINKS = 8  # of each kind


def assembled(plan: Plan, work: Work) -> AtlasContent:
    """All that the site shows, of pieces that are there."""
    network = work.networks[0]
    scans = read_scan(work, plan.sides[0].scan)
    weights = {tap: read_weights(work, piece) for tap, piece in plan.weights.items()}
    change = read_change(work, plan.change)
    layers = tuple(
        _layer(layer, scans[layer.seen], weights, change.get(layer.seen), plan, work) for layer in plan.layers
    )
    options = plan.options
    return AtlasContent(
        network=network.name,
        about=_about(work),
        sha256=network.sha256,
        licence=catalogue.ENTRIES[network.name].licence if network.name in catalogue.ENTRIES else "",
        layers=layers,
        activation_atlases=tuple(_activation_atlas(tap, plan, work) for tap in plan.maps),
        compared=work.networks[1].name if len(work.networks) > 1 else "",
        folder=plan.folder.source.resolve().name,
        pictures=len(plan.folder),
        facts={
            "Visualizations": f"{options.size} pixels, {options.steps} steps of Adam",
            "Precision": options.precision,
            **({"Activation atlases": f"laid out by {TITLES[layout_of(options)]}"} if plan.maps else {}),
            "Seed": str(options.seed),
            "impasto": __version__,
        },
    )


def _about(work: Work) -> str:
    about = (
        "What each unit looks for: a picture moved from noise until the unit answers, the places in your pictures "
        "where it answers most, and the units that drive it up and down or go together with it."
    )
    if len(work.networks) > 1:
        about += f" Beside it stands the same unit of {work.networks[1].name}, and how far it has moved."
    return about


def _layer(
    layer: AtlasLayer,
    scan: TapScan,
    weights: dict[str, dict[str, np.ndarray]],
    change: np.ndarray | None,
    plan: Plan,
    work: Work,
) -> LayerContent:
    names = [name_of(work.networks[0], Unit(layer.rendered, channel)) for channel in range(layer.channels)]
    neighbours = _neighbours(layer.tap, scan)
    pictures, strips = (
        [_files(work.site, some[layer.tap]) for some in of_sides]
        for of_sides in (
            [side.renders for side in plan.sides],
            [{tap: [piece] for tap, piece in side.patches.items()} for side in plan.sides],
        )
    )
    sheets = _files(work.site, plan.sides[0].diversity[layer.tap])
    sources = plan.folder.names
    own = weights[layer.tap]
    onwards = {tap: some[layer.tap].T for tap, some in weights.items() if layer.tap in some}
    up, down, excites = strongest(own, _LINKS, 1), strongest(own, _LINKS, -1), strongest(onwards, _LINKS, 1)
    units = tuple(
        UnitContent(
            layer=layer.tap,
            channel=channel,
            name=names[channel],
            picture=pictures[0].get(channel, ""),
            diversity=sheets.get(channel, ""),
            patches_picture=strips[0].get(channel, ""),
            patches=tuple(
                Patch(sources[number], round(float(value), 4))
                for number, value in zip(scan.pictures[channel].tolist(), scan.values[channel].tolist())
                if number >= 0
            ),
            edges=tuple(round(edge, 5) for edge in scan.edges[channel].tolist()),
            counts=tuple(scan.counts[channel].tolist()),
            dead=round(float(scan.zero[channel]), 4),
            excited_by=up[channel] if up else (),
            inhibited_by=down[channel] if down else (),
            neighbours=neighbours[channel],
            excites=excites[channel] if excites else (),
            compared=pictures[1].get(channel, "") if len(pictures) > 1 else "",
            compared_patches=strips[1].get(channel, "") if len(strips) > 1 else "",
            change=None if change is None or np.isnan(change[channel]) else round(float(change[channel]), 4),
        )
        for channel in range(layer.channels)
    )
    return LayerContent(
        tap=layer.tap,
        kind=layer.kind,
        channels=layer.channels,
        stride=layer.stride,
        receptive_field=layer.receptive_field,
        inputs=layer.inputs,
        folded=layer.folded,
        units=units,
    )


def _files(site: Path, pieces: list[Piece]) -> dict[int, str]:
    """The pictures of some pieces, by channel."""
    found = {}
    for piece in pieces:
        if piece.there(site):
            for file in (site / piece.folder).glob("*.webp"):
                if file.stem.isdecimal():  # and no other system's own ._7.webp
                    found[int(file.stem)] = f"{piece.folder}/{file.name}"
    return found


def _neighbours(tap: str, scan: TapScan) -> list[tuple[Link, ...]]:
    """For each unit those whose activations go together with its own, the most correlated first."""
    correlation = scan.correlation.copy()
    np.fill_diagonal(correlation, -np.inf)
    most = min(_LINKS, len(correlation) - 1)
    order = np.argsort(-correlation, axis=1, kind="stable")[:, :most]
    return [
        tuple(Link(tap, int(other), round(float(row[other]), 4)) for other in others if row[other] > 0)
        for row, others in zip(correlation, order)
    ]


def _activation_atlas(tap: str, plan: Plan, work: Work) -> ActivationAtlas:
    found = read_map(work.site, plan.maps[tap])
    # each piece names its files by the cells' places in the layout
    pictures = _files(work.site, plan.cells(tap))
    return ActivationAtlas(
        layer=tap,
        side=found["side"],
        cells=tuple(
            Cell(
                row=cell["row"],
                column=cell["column"],
                count=cell["count"],
                picture=pictures[index],
                labels=tuple(cell["labels"]),
                sources=tuple(cell["sources"]),
            )
            for index, cell in enumerate(found["cells"])
        ),
    )
