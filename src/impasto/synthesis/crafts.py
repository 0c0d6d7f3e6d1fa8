"""Crafts from records: a picture's recipe, or a run's options and inputs, back to work that can be done again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from impasto.errors import UsageError
from impasto.networks.weights import Download
from impasto.runs.options_file import validate
from impasto.runs.recipe import Input, find
from impasto.synthesis import invert, stylize, texture
from impasto.synthesis.options import InversionOptions, StyleTransferOptions, TextureOptions
from impasto.synthesis.painting import Craft


def rebuild(
    verb: str,
    options: dict[str, Any],
    inputs: Sequence[Input],
    *,
    name: Path,
    search: Sequence[Path | str] = (),
    download: Download | None = None,
) -> Craft:
    """The craft that a recipe or a run describes, its inputs found by their content.

    Args:
        verb: ``stylize``, ``texture`` or ``invert``.
        options: The options that differ from the defaults.
        inputs: The files that went in, with their hashes.
        name: What the record is of, for messages.
        search: Folders in which to look for inputs that have moved.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: A verb of another version, inputs that were in memory, or that cannot be found.
    """
    if verb == "train":
        raise UsageError(f"{name} is a run of a classifier: impasto.learning.classify.resume goes on with it")
    if verb not in ("stylize", "texture", "invert"):
        raise UsageError(f"{name} was made by {verb!r}, which this version cannot do again")
    if not all(one.path for one in inputs):
        raise UsageError(f"{name} was made from pictures in memory, not from files: it cannot be made again")
    places = find(inputs, [Path(folder) for folder in search])
    by_role: dict[str, list[Path]] = {}
    for one in inputs:
        by_role.setdefault(one.role, []).append(places[one.sha256])
    needed = {"stylize": ("content", "style"), "texture": ("style",), "invert": ("content",)}[verb]
    if any(role not in by_role for role in needed):
        raise UsageError(f"{name} was made from pictures in memory, not from files: it cannot be made again")
    options = dict(options)
    for role in ("weights", "init"):
        if role in by_role:
            options[role] = str(by_role[role][0])
    for role, field in (("mask", "masks"), ("style_mask", "style_masks")):
        if role in by_role:
            options[field] = [str(path) for path in by_role[role]]
    if verb == "texture":
        return texture.prepare(by_role["style"], validate(TextureOptions, options), download)
    if verb == "invert":
        return invert.prepare(by_role["content"][0], validate(InversionOptions, options), download)
    return stylize.prepare(by_role["content"][0], by_role["style"], validate(StyleTransferOptions, options), download)
