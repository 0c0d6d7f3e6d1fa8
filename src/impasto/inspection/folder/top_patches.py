"""Top patches: what in a folder's pictures excites a unit most, exactly as much of it as the unit sees."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.images.contact_sheet import contact_sheet
from impasto.inspection.folder.options import PatchOptions
from impasto.inspection.folder.patches import Box, patch, patch_box
from impasto.inspection.folder.pictures import find_pictures, folder_input, shape_for, sized
from impasto.inspection.folder.scan import TapScan, scan
from impasto.inspection.progress import Progress
from impasto.inspection.recipe import recipe_of
from impasto.inspection.subject import subject
from impasto.inspection.units import Unit, name_of, parse_units
from impasto.networks import Network, Taps
from impasto.networks.geometry import TapGeometry
from impasto.networks.taps import OUTPUT
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Recipe

MOST_UNITS = 256  # on a sheet
_HELD = 64  # pictures kept decoded: the same one often excites several units


@dataclass(frozen=True, eq=False)
class TopPatch:
    """A part of a picture.

    Attributes:
        source: The picture's name in the folder.
        activation: What the unit says of it.
        position: (row, column) in the tap's map.
        box: (top, left, bottom, right) in pixels of the picture as the network saw it.
        pixels: The part itself; beyond the picture's border gray.
    """

    source: str
    activation: float
    position: tuple[int, int]
    box: Box
    pixels: Float[Tensor, "1 3 h w"]


@dataclass(frozen=True, eq=False)
class UnitPatches:
    """What excites a unit.

    Attributes:
        unit: The unit.
        name: The class it stands for, or empty.
        patches: The strongest first, each from another picture.
        edges: Of the histogram over all positions of all pictures.
        counts: Positions in each bin.
        mean: Of the activations.
        std: Their standard deviation.
        zero: The part of positions where it is exactly 0.
    """

    unit: Unit
    name: str
    patches: tuple[TopPatch, ...]
    edges: Float[np.ndarray, " bins+1"]
    counts: Int[np.ndarray, " bins"]
    mean: float
    std: float
    zero: float


@dataclass(frozen=True, eq=False)
class FolderPatches:
    """What units see in a folder.

    Attributes:
        units: In the order asked for.
        pictures: How many were shown.
        left_out: Names of those that could not be.
        cell: Height of a patch on the sheet.
        recipe: How they were found.
    """

    units: tuple[UnitPatches, ...]
    pictures: int
    left_out: tuple[str, ...]
    cell: int
    recipe: Recipe

    def rows(self) -> list[list[tuple[str, Float[Tensor, "1 3 h w"]]]]:
        """A row for each unit: its histogram, then its patches with their activations."""
        rows = []
        for one in self.units:
            title = f"{one.unit} {one.name}".strip()
            cells = [(figure_of(each.activation), each.pixels) for each in one.patches]
            rows.append([(title, histogram(one, self.cell)), *cells])
        return rows

    def sheet(self) -> Picture:
        """All units with their patches and histograms, the recipe inside."""
        drawn = Picture(contact_sheet(self.rows(), height=self.cell).contiguous())
        return replace(drawn, recipe=self.recipe.model_dump_json(exclude_defaults=True))

    def save(self, path: Path | str) -> Path:
        """Write the sheet in the format of the path's suffix."""
        write(path, self.sheet())
        return Path(path)


def patches(
    *units: str,
    folder: Path | str,
    network: Network | str | None = None,
    options: PatchOptions | None = None,
    progress: Progress | None = None,
    download: Download | None = None,
    **fields: Any,
) -> FolderPatches:
    """Find the parts of a folder's pictures that excite units most.

    Zeiler and Fergus (2014), fig. 2, show the like; here a part is exactly the unit's receptive field, measured on the
    network, and what of it lies beyond the picture's border is gray.

    Args:
        units: ``features.7:42``, ``features.7:0-15``, ``class:goldfish``; see `impasto.inspection.units.parse_units`.
        folder: The pictures.
        network: Whose units; a name, or a network as it is. Default: the options' network.
        options: All options at once; ``fields`` go over it.
        progress: Called with the part that is done and a few words.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`PatchOptions`.

    Raises:
        UsageError: No such folder, network or unit, or no picture that can be read.
        ImpastoError: The weights cannot be had.
    """
    named = {"network": network} if isinstance(network, str) else {}
    options = merge(PatchOptions, options, named, fields)
    held = find_pictures(folder, options.most)
    of = subject(network or options.network, options.weights, options.device, download)
    wanted = list(dict.fromkeys(unit for text in units for unit in parse_units(text, of)))
    if not wanted:
        raise UsageError("no unit is named: give some, features.7:42 or class:goldfish")
    if len(wanted) > MOST_UNITS:
        raise UsageError(f"{len(wanted)} units are more than the {MOST_UNITS} of a sheet: name fewer")
    taps = list(dict.fromkeys(unit.tap for unit in wanted))
    scans = scan(
        of,
        held.paths,
        taps,
        size=options.size,
        top=options.top,
        bins=options.bins,
        batch_size=options.batch_size,
        progress=progress,
    )
    geometry = geometries(of, taps)
    seen = lru_cache(_HELD)(lambda place: sized(held.paths[place], options.size, shape_for(of)))
    left_out = scans[taps[0]].left_out
    return FolderPatches(
        tuple(
            unit_patches(scans[unit.tap], unit, name_of(of, unit), geometry[unit.tap], held.names, seen)
            for unit in wanted
        ),
        len(held) - len(left_out),
        tuple(held.names[place] for place in left_out),
        options.cell,
        recipe_of("patches", of, options, [folder_input(held)], units=list(units)),
    )


def geometries(network: Network, taps: Sequence[str]) -> dict[str, TapGeometry]:
    """Where each tap looks; a classifier's scores and the blocks of a transformer see everything."""
    local = [tap for tap in taps if tap != OUTPUT] if shape_for(network) == "own" else []
    found = Taps(network, local).geometry() if local else {}
    return {tap: found.get(tap, TapGeometry(0, 0, 0, everywhere=True)) for tap in taps}


def unit_patches(
    one: TapScan,
    unit: Unit,
    name: str,
    geometry: TapGeometry,
    names: Sequence[str],
    seen: Callable[[int], Float[Tensor, "1 3 h w"]],
) -> UnitPatches:
    """Cut out what a scan has found for a unit.

    Args:
        one: The scan of its tap.
        unit: The unit.
        name: The class it stands for, or empty.
        geometry: Of its tap.
        names: Of the pictures, by their number.
        seen: A picture as the network saw it, by its number.
    """
    found = []
    k = unit.channel
    for value, place, position in zip(one.values[k], one.pictures[k], one.positions[k], strict=True):
        if place < 0:
            continue
        picture = seen(int(place))
        where = int(position[0]), int(position[1])
        box = patch_box(geometry, where, (picture.shape[-2], picture.shape[-1]))
        found.append(TopPatch(names[place], float(value), where, box, patch(picture, box)))
    return UnitPatches(
        unit,
        name,
        tuple(found),
        one.edges[k],
        one.counts[k],
        float(one.mean[k]),
        float(one.std[k]),
        float(one.zero[k]),
    )


def figure_of(value: float) -> str:
    """An activation to three digits, and thousands as they are.

    >>> figure_of(4171.3), figure_of(0.01234)
    ('4,171', '0.0123')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def histogram(one: UnitPatches, height: int) -> Float[Tensor, "1 3 height width"]:
    """A unit's histogram, its counts on a logarithmic scale, with what is zero in words."""
    from matplotlib.figure import Figure
    from PIL import Image

    dots = 2 * height  # drawn at twice the size, and shrunk by the sheet
    figure = Figure(figsize=(dots / 100 * 1.5, dots / 100), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    widths = np.maximum(np.diff(one.edges), 1e-12)
    # the outer bins may be wider than the others: as many positions as a bin of the usual width would hold of them
    heights = np.log10(1 + one.counts * float(np.median(widths)) / widths)
    axes.bar(one.edges[:-1], heights, widths, align="edge", color="#0072b2", linewidth=0)
    if one.patches:
        axes.axvline(one.patches[-1].activation, color="#d55e00", linewidth=1)
    axes.tick_params(labelsize=9, colors="#6b7178")
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_title(
        f"mean {figure_of(one.mean)}, σ {figure_of(one.std)}, {100 * one.zero:.0f} % zero", fontsize=9, color="#6b7178"
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    pixels = np.asarray(Image.open(buffer).convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
