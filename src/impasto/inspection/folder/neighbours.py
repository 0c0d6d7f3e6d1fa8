"""Neighbours: the pictures of a folder that a layer takes for most like a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.images.contact_sheet import contact_sheet
from impasto.images.idx import place as inside_idx
from impasto.inspection.folder.features import default_tap, features, features_of
from impasto.inspection.folder.nearest import nearest
from impasto.inspection.folder.options import NeighbourOptions
from impasto.inspection.folder.pictures import find_pictures, folder_input, sized
from impasto.inspection.progress import Progress
from impasto.inspection.recipe import picture_input, recipe_of
from impasto.inspection.subject import subject
from impasto.networks import Network
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Recipe

COLUMNS = 7
CELL = 144  # height of a picture on the sheet
_WORDS = 22  # letters of a name under a picture


@dataclass(frozen=True)
class Neighbour:
    """A picture like another.

    Attributes:
        path: Its file.
        name: What it is called in the folder.
        label: Its class, or empty.
        distance: 1 − cos, or the Euclidean distance.
    """

    path: Path
    name: str
    label: str
    distance: float


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """A picture's nearest in a folder.

    Attributes:
        picture: Whose.
        tap: In whose space.
        metric: ``cosine`` or ``euclidean``.
        found: The nearest first.
        recipe: How they were found.
    """

    picture: Path
    tap: str
    metric: str
    found: tuple[Neighbour, ...]
    recipe: Recipe

    def rows(self) -> list[list[tuple[str, Float[Tensor, "1 3 h w"]]]]:
        """The picture, then its neighbours with their distances."""
        cells = [(_short(self.picture.name), sized(self.picture, CELL))]
        cells += [
            (f"{one.distance:.3g}  {_short(one.label or Path(one.name).name)}", sized(one.path, CELL))
            for one in self.found
        ]
        return [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]

    def sheet(self) -> Picture:
        """The rows as one picture, the recipe inside."""
        drawn = Picture(contact_sheet(self.rows(), height=CELL).contiguous())
        return replace(drawn, recipe=self.recipe.model_dump_json(exclude_defaults=True))

    def save(self, path: Path | str) -> Path:
        """Write the sheet in the format of the path's suffix."""
        write(path, self.sheet())
        return Path(path)


def neighbours(
    picture: Path | str,
    folder: Path | str,
    *,
    network: Network | str | None = None,
    options: NeighbourOptions | None = None,
    progress: Progress | None = None,
    download: Download | None = None,
    **fields: Any,
) -> Neighbourhood:
    """Find the pictures of a folder that are nearest to a picture in a tap's space.

    Krizhevsky, Sutskever and Hinton (2012), fig. 4, did so with the last layer before the scores. The picture may lie
    in the folder; it is not its own neighbour.

    Args:
        picture: The picture; ``FILE#N`` is picture N of an idx file.
        folder: Where neighbours are looked for.
        network: In whose eyes; a name, or a network as it is. Default: the options' network.
        options: All options at once; ``fields`` go over it.
        progress: Called with the part that is done and a few words.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`NeighbourOptions`.

    Raises:
        UsageError: No such picture, folder, network or tap, or the folder holds no other picture.
        ImpastoError: The weights cannot be had.
    """
    named = {"network": network} if isinstance(network, str) else {}
    options = merge(NeighbourOptions, options, named, fields)
    picture = Path(picture)
    held = find_pictures(folder, options.most)
    sized(picture, CELL)  # says now what is wrong with it
    of = subject(network or options.network, options.weights, options.device, download)
    tap = options.tap or default_tap(of)
    known = features(
        of,
        held.paths,
        tap,
        size=options.size,
        pool=options.pool,
        batch_size=options.batch_size,
        progress=progress,
    )
    vectors = np.concatenate([known.vectors, features_of(of, picture, known)])
    itself = _file(picture)
    others = [place for place, row in enumerate(known.rows) if _file(held.paths[row]) != itself]
    if not others:
        raise UsageError(f"{folder} holds no other picture than {picture}: give a larger folder")
    found, distances = nearest(vectors, [len(vectors) - 1], others, options.count, options.metric)
    rows = known.rows[found[0]]
    inside = inside_idx(picture)
    number = {} if inside is None else {"number": inside[1]}
    return Neighbourhood(
        picture,
        tap,
        options.metric,
        tuple(
            Neighbour(held.paths[row], held.names[row], held.labels[row], float(distance))
            for row, distance in zip(rows, distances[0], strict=True)
        ),
        recipe_of("neighbours", of, options, [*picture_input(picture), folder_input(held)], tap=tap, **number),
    )


def _file(path: Path) -> tuple[Path, int]:
    """What tells a picture from others, whatever way leads to it."""
    file, number = inside_idx(path) or (path, -1)
    return file.resolve(), number


def _short(name: str) -> str:
    return name if len(name) <= _WORDS else name[: _WORDS - 1] + "…"
