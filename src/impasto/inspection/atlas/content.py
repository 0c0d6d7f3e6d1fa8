"""Content: all that an atlas shows, as data; pictures are named by their paths below the site's folder."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Link:
    """Another unit, and how much it has to do with this one.

    Attributes:
        layer: Its tap.
        channel: Its number.
        weight: Of an excitation or inhibition, the expanded weight relative to the largest of the unit, in [−1, 1];
            of a neighbour, the correlation.
    """

    layer: str
    channel: int
    weight: float


@dataclass(frozen=True)
class Patch:
    """A part of a picture that excites a unit.

    Attributes:
        source: The picture's file name.
        activation: How strongly.
    """

    source: str
    activation: float


@dataclass(frozen=True)
class UnitContent:
    """A unit's page.

    Attributes:
        layer: Its tap.
        channel: Its number.
        name: The class it stands for, or empty.
        picture: The visualization; empty where it is not rendered yet.
        diversity: A sheet of pictures that differ and all excite it, side by side in one file; empty for none.
        patches_picture: The patches of the folder that excite it most, side by side in one file, each as high as the
            file; empty for none.
        patches: One for each of them, the strongest first.
        edges: Of the histogram's bins, one more than counts.
        counts: Positions in each bin.
        dead: The part of positions where it is exactly 0.
        excited_by: Units of the layer before that drive it up, the strongest first.
        inhibited_by: Units of the layer before that drive it down.
        neighbours: Units of its own layer whose activations go together with its own.
        excites: Units of the next layer that it drives up.
        compared: The same unit's visualization in the other network; empty for none.
        compared_patches: The other network's patches, likewise.
        change: How far the unit has moved in the other network (1 − correlation of its activations over the folder's
            positions), or None.
    """

    layer: str
    channel: int
    name: str = ""
    picture: str = ""
    diversity: str = ""
    patches_picture: str = ""
    patches: tuple[Patch, ...] = ()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    dead: float = 0.0
    excited_by: tuple[Link, ...] = ()
    inhibited_by: tuple[Link, ...] = ()
    neighbours: tuple[Link, ...] = ()
    excites: tuple[Link, ...] = ()
    compared: str = ""
    compared_patches: str = ""
    change: float | None = None


@dataclass(frozen=True)
class Cell:
    """A cell of an activation atlas: the average of activations that lie near each other, rendered.

    Attributes:
        row: From the top.
        column: From the left.
        count: Activations that were averaged.
        picture: What renders their average.
        labels: Classes that the average speaks for, the strongest first; empty for networks without classes.
        sources: Names of a few of the pictures that they come from.
    """

    row: int
    column: int
    count: int
    picture: str
    labels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class ActivationAtlas:
    """The activation atlas of a layer: a square grid, of which some cells are empty."""

    layer: str
    side: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class LayerContent:
    """A layer's page.

    Attributes:
        tap: Its name.
        kind: What it is, in words: ``3×3 convolution``, ``Fire``.
        channels: How many units.
        stride: Input pixels from one position to the next; 0 where it sees the whole picture.
        receptive_field: Width in input pixels, or None for the whole picture.
        inputs: Taps of the atlas that feed it; empty for those fed by the picture.
        folded: Layers that only select or pool what this one says (ReLU, pooling), and have no page of their own.
        units: Its units, in order.
    """

    tap: str
    kind: str
    channels: int
    stride: int
    receptive_field: int | None
    inputs: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    units: tuple[UnitContent, ...] = ()


@dataclass(frozen=True)
class AtlasContent:
    """The whole atlas.

    Attributes:
        network: The network's name.
        about: A sentence or two.
        sha256: Of its weights.
        licence: Of the weights, where it is known.
        layers: In running order.
        activation_atlases: One for some of the layers.
        compared: Name of the other network, or empty.
        folder: The folder's name, of which the patches come; empty for none.
        pictures: How many pictures it holds.
        facts: What else is to be said of how the site was made, by name (size, steps, seed, versions).
    """

    network: str
    about: str
    sha256: str
    licence: str = ""
    layers: tuple[LayerContent, ...] = ()
    activation_atlases: tuple[ActivationAtlas, ...] = ()
    compared: str = ""
    folder: str = ""
    pictures: int = 0
    facts: dict[str, str] = field(default_factory=dict)
