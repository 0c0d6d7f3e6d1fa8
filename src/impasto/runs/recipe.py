"""Recipes: how a picture was made, kept inside the picture, enough to make it again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from impasto.errors import UsageError
from impasto.runs.circumstances import changes

NAMED = 3  # missing files, at most, in one line


class Input(BaseModel):
    """A file that went in: what it was for, where it was, and how to know it again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str
    path: str
    sha256: str
    size: int


class Recipe(BaseModel):
    """Verb, options, inputs and circumstances of one picture.

    Attributes:
        verb: What was done, ``stylize``.
        options: The options that differed from their defaults.
        inputs: The files that went in, in order.
        networks: Hash of the weights by network name.
        made_with: Versions of impasto and torch, device and threads: what the last digits depend on.
        losses: The last losses.
        finished: False when the work was interrupted and this is the picture it had.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    verb: str
    options: dict[str, Any] = {}
    inputs: tuple[Input, ...] = ()
    networks: dict[str, str] = {}
    made_with: dict[str, str] = {}
    losses: dict[str, float] = {}
    finished: bool = True


def input_file(role: str, path: Path, sha256: str = "") -> Input:
    """The record of a file, with its hash, which is computed unless it is known."""
    return Input(
        role=role,
        path=str(path.resolve()).encode("utf-8", "backslashreplace").decode(),
        sha256=sha256 or _sha256(path),
        size=path.stat().st_size,
    )


def parse(text: str | None, path: Path) -> Recipe:
    """The recipe in a picture's text.

    Raises:
        UsageError: There is none, or it is not one of ours.
    """
    if text is None:
        raise UsageError(f"{path} carries no recipe: only pictures written by impasto do")
    try:
        return Recipe.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(f"the recipe in {path} is not one that this version of impasto reads") from error


def causes(was: Recipe, now: Recipe) -> list[str]:
    """Why what is made again may differ: each circumstance, and all weights, that are not as they were."""
    weights = [name for name, digest in was.networks.items() if now.networks.get(name) != digest]
    return changes(was.made_with, now.made_with) + [f"other weights of {name}" for name in weights]


def find(inputs: Iterable[Input], search: Iterable[Path] = ()) -> dict[str, Path]:
    """Where each input is now, by hash: at its old place, or anywhere under the folders ``search``.

    Raises:
        UsageError: One is missing or has changed; the message names it and its place.
    """
    wanted = list(inputs)
    found: dict[str, Path] = {}
    for one in wanted:
        path = Path(one.path)
        if _is(path, {one.size}, {one.sha256}):
            found[one.sha256] = path
    missing = {one.sha256: one for one in wanted if one.sha256 not in found}
    sizes = {one.size for one in missing.values()}
    for folder in search:
        if not folder.is_dir():
            raise UsageError(f"--search {folder} is not a folder")
        for root, _, names in os.walk(folder):
            for name in sorted(names):
                path = Path(root, name)
                digest = _is(path, sizes, missing.keys())
                if digest:
                    found[digest] = path
                    del missing[digest]
    if missing:
        gone = ", ".join(f"{one.role} {one.path}" for one in list(missing.values())[:NAMED])
        gone += f" and {len(missing) - NAMED} others" if len(missing) > NAMED else ""
        raise UsageError(f"missing or changed since: {gone}; say where to look with --search DIR")
    return found


def places(recipe: Recipe, search: Iterable[Path | str] = ()) -> dict[str, Path]:
    """Where each input of a recipe is now, by its role; for recipes that have one of each.

    Raises:
        UsageError: One is missing or has changed.
    """
    found = find(recipe.inputs, [Path(folder) for folder in search])
    return {one.role: found[one.sha256] for one in recipe.inputs}


def _is(path: Path, sizes: Container[int], digests: Container[str]) -> str | None:
    """The file's hash, when it is one of the digests; files of other sizes, or that may not be read, are not hashed."""
    try:
        if path.is_file() and path.stat().st_size in sizes and (digest := _sha256(path)) in digests:
            return digest
    except OSError:
        return None
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
