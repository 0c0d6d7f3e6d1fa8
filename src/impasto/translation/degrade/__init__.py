"""Degradations: good pictures made bad, for networks to learn the way back.

A `Recipe` is a sequence of seeded operations with bounded parameters. It is written as a line of text, a YAML file or a
preset's name, kept as JSON in every checkpoint, and called on a batch of pictures on any device.
"""

from impasto.translation.degrade.parse import parse
from impasto.translation.degrade.recipe import Recipe

__all__ = ["Recipe", "parse"]
