"""The catalogue: which networks impasto knows, where their weights come from, and under which licence."""

from dataclasses import dataclass

from impasto.errors import UsageError
from impasto.networks.names import nearest
from impasto.networks.weights import WeightsFile

VGG_STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
FIRE_STYLE = {
    "squeezenet1_0": ("features.1", "features.3", "features.5", "features.7", "features.10"),
    "squeezenet1_1": ("features.1", "features.3", "features.4", "features.6", "features.9"),
}


@dataclass(frozen=True)
class Entry:
    """One network of the catalogue.

    Attributes:
        name: What the user writes.
        about: One line on what it is good for.
        licence: Licence of the weights.
        weights: Where the weights come from; None when they are in the package.
        style_taps: Taps that describe a style well, from fine to coarse.
        content_taps: Taps that keep what the picture shows.
    """

    name: str
    about: str
    licence: str
    weights: WeightsFile | None
    style_taps: tuple[str, ...]
    content_taps: tuple[str, ...]


# Full digests where one is published in public code and begins with the eight digits in torchvision's file name
# (vgg19, vgg16, squeezenet1_1); else those eight digits alone, which is what torchvision itself checks.
def _torchvision(file: str, sha256: str, size: int | None = None) -> WeightsFile:
    return WeightsFile(name=file, url=f"https://download.pytorch.org/models/{file}", sha256=sha256, size=size)


ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "pocket",
            "embedded, 0.6 MB: a student of VGG-19 and SqueezeNet; offline, nine times faster than VGG-19",
            "Apache-2.0",
            None,
            ("relu1_1", "relu2_2", "relu3_2"),
            ("relu2_2", "relu3_2"),
        ),
        Entry(
            "vgg19",
            "the network of Gatys et al.: the reference for style; to conv5_4, with its classifier",
            "CC BY 4.0",
            _torchvision(
                "vgg19-dcbb9e9d.pth", "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44", 574673361
            ),
            VGG_STYLE,
            ("relu4_2",),
        ),
        Entry(
            "vgg16",
            "the smaller VGG, of Johnson et al.'s perceptual losses",
            "CC BY 4.0",
            _torchvision(
                "vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", 553433881
            ),
            VGG_STYLE,
            ("relu3_3",),
        ),
        Entry(
            "squeezenet1_0",
            "5 MB: ImageNet classes at 58 % top-1; strides 2 to 16",
            "BSD-2-Clause",
            _torchvision("squeezenet1_0-b66bff10.pth", "b66bff10"),
            FIRE_STYLE["squeezenet1_0"],
            ("features.7",),
        ),
        Entry(
            "squeezenet1_1",
            "5 MB: as squeezenet1_0 at 2.4 times less computation",
            "BSD-2-Clause",
            _torchvision(
                "squeezenet1_1-b8a52dc0.pth", "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b"
            ),
            FIRE_STYLE["squeezenet1_1"],
            ("features.6",),
        ),
    )
}


def entry(name: str) -> Entry:
    """The catalogue's entry of that name.

    Raises:
        UsageError: No such network; the message lists those there are.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    raise UsageError(f"no network {name!r}: there are {nearest(name, list(ENTRIES))}, and timm:NAME for any of timm")
