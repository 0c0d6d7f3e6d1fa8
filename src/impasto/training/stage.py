"""Stages: what is trained, for how long, at which size and rate, as a user writes it; without torch."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from impasto.errors import UsageError


class Stage(NamedTuple):
    """What is trained for how long.

    Attributes:
        layers: ``all``; of a classifier ``head`` or the lowest layer that is trained; of a U-Net ``decoder``; of an
            enhancement ``gan``: all of it, against a critic.
        epochs: How often each picture is seen.
        learning_rate: The highest; None for the one of the options.
        size: Side of the pictures; None for the one of the options.
    """

    layers: str
    epochs: int
    learning_rate: float | None = None
    size: int | None = None


def parse_stage(text: str, example: str = "all:10") -> Stage:
    """A stage as it is written: ``LAYERS:EPOCHS``, then ``@SIZE`` and ``*LEARNING_RATE`` as wanted.

    >>> parse_stage("all:3@160*1e-4")
    Stage(layers='all', epochs=3, learning_rate=0.0001, size=160)

    Args:
        text: The stage.
        example: Of what is trained here, for who has written something else.

    Raises:
        UsageError: It is none.
    """
    found = re.fullmatch(r"([^:@*\s]+):(\d+)(?:@(\d+))?(?:\*([\d.eE+-]+))?", text)
    try:
        if not found or int(found[2]) < 1:
            raise ValueError
        stage = Stage(
            found[1], int(found[2]), float(found[4]) if found[4] else None, int(found[3]) if found[3] else None
        )
        if (stage.size is not None and stage.size < 8) or (
            stage.learning_rate is not None and not 0 < stage.learning_rate < math.inf
        ):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{text!r} is no stage: write LAYERS:EPOCHS, as {example}, all:2@160 (pictures of 160 pixels) or "
            "all:3*1e-4 (that learning rate)"
        ) from None
    return stage
