"""Options of labelling: the one definition of its keywords, flags, options files and recipes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from impasto.translation.apply_options import MEMORY, Device, Memory, Overlap, Tile


class SegmentOptions(BaseModel):
    """How every pixel of a picture is labelled."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    tile: Tile = None
    overlap: Overlap = None
    memory: Memory = MEMORY
    device: Device = "auto"
