"""Feature visualization: pictures that excite units most, of one network or of two side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.images.contact_sheet import contact_sheet
from impasto.images.inline import inline_png
from impasto.inspection.expression import parse_objectives
from impasto.inspection.objectives import Objective, diverse
from impasto.inspection.options import VisualizationOptions
from impasto.inspection.predictions import scores
from impasto.inspection.progress import Progress
from impasto.inspection.recipe import recipe_of
from impasto.inspection.render import Rendering, render
from impasto.inspection.subject import subject
from impasto.inspection.units import Unit, has_positions, name_of
from impasto.networks import Network, Taps
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Recipe

COLUMNS = 8
CELL = 160  # height of a cell of the sheet, at most


@dataclass(frozen=True, eq=False)
class Visualized:
    """The pictures of one objective.

    Attributes:
        label: What they excite; of a map of class scores, the class's number and name.
        pictures: (n, 3 or 4, h, w) in [0, 1]: one, or several that differ.
        value: What the objective reached.
        predicted: What the whole network takes each picture for, where it is a classifier that takes pictures of
            this size; else empty.
    """

    label: str
    pictures: Float[Tensor, "n c h w"] = field(repr=False)
    value: float
    predicted: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Visualization:
    """What units look for.

    Attributes:
        units: By objective, in the order asked for.
        compared: The same of another network; empty for none.
        recipe: What makes the pictures again.
        finished: Whether all steps were made, of all units.
    """

    units: tuple[Visualized, ...]
    compared: tuple[Visualized, ...]
    recipe: Recipe = field(repr=False)
    finished: bool = True

    @property
    def tensor(self) -> Float[Tensor, "n c h w"]:
        """All pictures of the first network."""
        return torch.cat([one.pictures for one in self.units])

    def rows(self) -> list[list[tuple[str, Float[Tensor, "1 3 h w"]]]]:
        """Rows of (label, picture), for :func:`impasto.images.contact_sheet.contact_sheet`."""
        if any(len(one.pictures) > 1 for one in self.units):
            pairs = [self.units, *([self.compared] if self.compared else [])]
            return [_cells(network[i]) for i in range(len(self.units)) for network in pairs if i < len(network)]
        rows = []
        for start in range(0, len(self.units), COLUMNS):
            for network in filter(None, (self.units, self.compared)):
                if part := network[start : start + COLUMNS]:
                    rows.append([_cells(one)[0] for one in part])
        return rows

    def sheet(self) -> Picture:
        """All pictures with their labels; one picture alone is itself, with alpha where it has any."""
        if len(self.units) == 1 and not self.compared and len(self.units[0].pictures) == 1:
            alone = self.units[0].pictures
            picture = Picture(alone[:, :3].contiguous(), alpha=alone[:, 3:] if alone.shape[1] == 4 else None)
        else:
            height = min(CELL, self.units[0].pictures.shape[-2])
            picture = Picture(contact_sheet(self.rows(), height=height))
        return replace(picture, recipe=self.recipe.model_dump_json(exclude_defaults=True))

    def save(self, path: Path | str) -> Path:
        """Write the sheet, its recipe inside, in the format of the path's suffix."""
        write(path, self.sheet())
        return Path(path)

    def _repr_png_(self) -> bytes:
        """The sheet inline in a notebook."""
        return inline_png(self.save)


def visualize(
    *units: str | Objective,
    network: Network | str | None = None,
    compare: Network | str | None = None,
    options: VisualizationOptions | None = None,
    progress: Progress | None = None,
    download: Download | None = None,
    **fields: Any,
) -> Visualization:
    """Make pictures that excite units of a network.

    Olah, Mordvintsev and Schubert (2017), "Feature visualization". With ``compare``, the same units of another
    network stand beside them: before and after fine-tuning, say. An interrupt (Ctrl-C) ends the work with the
    pictures so far.

    >>> import impasto
    >>> made = impasto.visualize("relu2_1:0-1", network="pocket", size=32, steps=4)
    >>> [unit.label for unit in made.units], tuple(made.tensor.shape)
    (['relu2_1:0', 'relu2_1:1'], (2, 3, 32, 32))

    Args:
        units: ``features.7:42``, ``features.7:0-15``, ``class:goldfish``, sums such as ``features.7:42 - features.7:3``
            (:mod:`impasto.inspection.expression`), or objectives (:mod:`impasto.inspection.objectives`).
        network: Whose units; a name, or a network as it is. Default: the options' network.
        compare: Another network that has the same units.
        options: All options at once; ``fields`` go over it.
        progress: Called with (part done, a few words).
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`VisualizationOptions`.

    Raises:
        UsageError: An unknown network or unit, or an option out of bounds.
        ImpastoError: The weights cannot be had.
    """
    named = {"network": network} if isinstance(network, str) else {}
    options = merge(VisualizationOptions, options, named, fields)
    if wrong := [unit for unit in units if not isinstance(unit, str | Objective)]:
        raise UsageError(f"{wrong[0]!r} is no unit: give TAP:NUMBER as a string, or an objective")
    if not units:
        raise UsageError("no unit is named: give --unit TAP:NUMBER; `impasto networks show` lists a network's taps")
    of = subject(network or options.network, options.weights, options.device, download)
    other = subject(compare, None, options.device, download) if compare is not None else None
    both = [(of, _objectives(units, of, options))]
    if other is not None:
        both.append((other, _objectives(units, other, options)))
    made: list[list[Visualized]] = [[] for _ in both]
    finished = True
    try:
        for which, done in _batches(both, options, progress):
            made[which] += done[0]
            finished = finished and done[1]
            if not finished:
                break
    except KeyboardInterrupt:
        if not made[0]:
            raise
        finished = False
    beside = {"compare": other.name} if other else {}
    recipe = recipe_of("visualize", of, options, (), units=[str(unit) for unit in units], **beside)
    hashes = recipe.networks | ({f"{other.name} (compared)": other.sha256} if other else {})
    recipe = recipe.model_copy(update={"networks": hashes, "finished": finished})
    return Visualization(tuple(made[0]), tuple(made[1]) if len(made) > 1 else (), recipe, finished)


def rendering(options: VisualizationOptions) -> Rendering:
    """How the options have pictures moved."""
    return Rendering(
        (options.size, options.size),
        **options.model_dump(
            include={
                *("steps", "rate", "parameterisation", "decorrelate", "robustness"),
                *("rescue", "alpha", "precision", "seed"),
            }
        ),
    )


def _objectives(units: Sequence[str | Objective], network: Network, options: VisualizationOptions) -> list[Objective]:
    found = [
        one
        for unit in units
        for one in ([unit] if isinstance(unit, Objective) else parse_objectives(unit, network, neuron=options.neuron))
    ]
    for one in found:
        Taps(network, one.taps)  # says now which tap there is not
    if options.diversity == 1:
        return found
    return [
        replace(diverse(one, _diversity_tap(one, network), options.diversity_weight), label=one.label) for one in found
    ]


def _diversity_tap(objective: Objective, network: Network) -> str:
    """Where an objective's pictures must differ: at its own tap, or for scores at the network's last style tap."""
    maps = [tap for tap in objective.taps if has_positions(network, tap)]
    if not maps and not network.style_taps:
        raise UsageError(
            f"{network.name} does not tell where pictures of {objective} must differ: leave out --diversity"
        )
    return maps[-1] if maps else network.style_taps[-1]


def _batches(
    both: Sequence[tuple[Network, list[Objective]]], options: VisualizationOptions, progress: Progress | None
) -> Iterator[tuple[int, tuple[list[Visualized], bool]]]:
    """Which network, and what was made of some of its objectives and whether it was finished."""
    each = max(1, options.batch // options.diversity)
    work = [
        (which, network, objectives[start : start + each])
        for which, (network, objectives) in enumerate(both)
        for start in range(0, len(objectives), each)
    ]
    how = rendering(options)
    whole, before = sum(len(part) for _, _, part in work), 0
    for which, network, part in work:

        def tell(done: float, words: str, before: int = before, count: int = len(part)) -> None:
            if progress:
                progress((before + done * count) / whole, f"unit {before + 1} to {before + count} of {whole}, {words}")

        rendered = render(network, part, how, per=options.diversity, progress=tell)
        before += len(part)
        each_ones = zip(part, torch.split(rendered.pictures, options.diversity), rendered.values.tolist(), strict=True)
        yield which, ([_visualized(network, *one) for one in each_ones], rendered.finished)


def _visualized(network: Network, objective: Objective, made: Tensor, value: float) -> Visualized:
    predicted: tuple[str, ...] = ()
    if network.classes:
        parameter = next(network.module.parameters())
        try:
            said = scores(network, made[:, :3].to(parameter))
            predicted = tuple(network.classes[k] for k in said.argmax(dim=1).tolist())
        except UsageError:
            pass  # large enough for the unit's layer, and too small for the whole network
    tap, _, number = objective.label.rpartition(":")
    name = name_of(network, Unit(tap, int(number))) if tap and number.isdigit() else ""
    return Visualized(f"{number} {name}" if name else objective.label, made, value, predicted)


def _cells(one: Visualized) -> list[tuple[str, Float[Tensor, "1 3 h w"]]]:
    """A unit's pictures with labels; what is transparent is shown on white."""
    shown = one.pictures[:, :3]
    if one.pictures.shape[1] == 4:
        shown = shown * one.pictures[:, 3:] + 1 - one.pictures[:, 3:]
    return [(one.label if i == 0 else "", picture[None]) for i, picture in enumerate(shown)]
