"""Options of applying a network to a picture of any size, which every verb has that does so."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import Field

Tile = Annotated[
    int | None, Field(ge=16, description="Side of the tiles of a large picture. Default: what memory allows.")
]
Overlap = Annotated[
    int | None,
    Field(ge=0, description="Pixels that tiles see beyond their own. Default: all that the network looks at."),
]
Memory = Annotated[
    float,
    Field(gt=0, description="GiB that may be used, if they are free. Tiles are made as large as that allows."),
]
MEMORY = 4.0  # GiB, unless asked otherwise
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], Field(description="Where to compute; auto takes the fastest there is.")
]


class Applied(Protocol):
    """Options that say how a network is applied."""

    @property
    def tile(self) -> int | None:
        """Side of the tiles."""

    @property
    def overlap(self) -> int | None:
        """Pixels that tiles see beyond their own."""

    @property
    def memory(self) -> float:
        """GiB that may be used."""
