"""Plan: which pieces an atlas is made of, and what each of them depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from impasto.inspection.atlas.activation_atlas import cell_pieces, chosen_layers, map_piece
from impasto.inspection.atlas.cache import Piece, Work, fingerprint, folder_key
from impasto.inspection.atlas.compare import change_piece
from impasto.inspection.atlas.expanded import weights_piece
from impasto.inspection.atlas.layers import AtlasLayer
from impasto.inspection.atlas.options import AtlasOptions
from impasto.inspection.atlas.renders import diversity_pieces, render_pieces
from impasto.inspection.atlas.scans import patches_piece, scan_piece
from impasto.inspection.folder.pictures import Folder
from impasto.inspection.units import Unit, name_of


@dataclass(frozen=True)
class Side:
    """What is made of one of the networks.

    Attributes:
        renders: By layer.
        diversity: By layer.
        scan: Of the folder.
        patches: By layer; they follow the scan.
    """

    renders: dict[str, list[Piece]]
    diversity: dict[str, list[Piece]]
    scan: Piece
    patches: dict[str, Piece]


@dataclass(frozen=True)
class Plan:
    """All that an atlas is made of.

    Attributes:
        layers: In running order.
        folder: Whose pictures are looked at.
        options: Of the atlas.
        site: The site's folder.
        sides: The network, and the one it is compared with.
        weights: Expanded weights, by layer; None for those that the picture feeds.
        maps: Layouts of activation atlases, by layer.
        change: Between the two networks, if there are two.
    """

    layers: tuple[AtlasLayer, ...]
    folder: Folder
    options: AtlasOptions
    site: Path
    sides: tuple[Side, ...]
    weights: dict[str, Piece | None]
    maps: dict[str, Piece]
    change: Piece | None

    @property
    def pieces(self) -> list[Piece]:
        """What does not wait for anything else, in the order in which it is made."""
        found = [side.scan for side in self.sides]
        found += [*filter(None, [self.change, *self.weights.values()]), *self.maps.values()]
        for side in self.sides:
            found += [piece for some in side.renders.values() for piece in some]
        for side in self.sides:
            found += [piece for some in side.diversity.values() for piece in some]
        return found

    def follow(self, piece: Piece) -> Iterable[Piece]:
        """What waits for a piece."""
        for side in self.sides:
            if piece.key == side.scan.key:
                yield from side.patches.values()
        for tap in self.maps:
            if piece.key == self.maps[tap].key:
                yield from self.cells(tap)

    def cells(self, tap: str) -> list[Piece]:
        """The pictures of an activation atlas's cells, once they are laid out."""
        layer = next(layer for layer in self.layers if layer.tap == tap)
        return cell_pieces(layer, self.maps[tap], self.site, self.options)

    def all_pieces(self) -> Iterator[Piece]:
        """Every piece, those that follow too."""
        waiting = self.pieces
        while waiting:
            piece = waiting.pop()
            yield piece
            waiting += self.follow(piece)


def plan(work: Work, layers: tuple[AtlasLayer, ...], folder: Folder, options: AtlasOptions) -> Plan:
    """What an atlas of these networks is made of.

    Raises:
        UsageError: An activation atlas is asked for of a layer that there is not, or with UMAP, which is not installed.
    """
    pictures = folder_key(folder)
    known = tuple(fingerprint(network) for network in work.networks)
    mapped = chosen_layers(layers, options, lambda layer: bool(name_of(work.networks[0], Unit(layer.rendered, 0))))
    return Plan(
        layers,
        folder,
        options,
        work.site,
        sides=tuple(_side(layers, one, folder, pictures, options, number) for number, one in enumerate(known)),
        weights={layer.tap: weights_piece(layer, layers, known[0]) for layer in layers},
        maps={layer.tap: map_piece(layer, known[0], folder, pictures, options) for layer in mapped},
        change=change_piece(layers, known, folder, pictures, options),
    )


def _side(
    layers: tuple[AtlasLayer, ...], network: str, folder: Folder, pictures: str, options: AtlasOptions, number: int
) -> Side:
    scan = scan_piece(layers, network, folder, pictures, options, number)
    # of the other network, what changed is looked for in one picture of each unit
    sheets = {layer.tap: diversity_pieces(layer, layers, network, options) for layer in layers} if not number else {}
    return Side(
        renders={layer.tap: render_pieces(layer, network, options, number) for layer in layers},
        diversity=sheets,
        scan=scan,
        patches={layer.tap: patches_piece(layer, scan, folder, options, number) for layer in layers},
    )
