"""Manifests: what a run is, where it stands, and what its last digits depend on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.runs.recipe import Input

VERSION = 1


class Manifest(BaseModel):
    """What ``manifest.json`` holds; a verb may add facts of its own.

    Attributes:
        version: Of the directory's format.
        impasto: The version that began the run.
        verb: What is done, ``stylize``.
        status: ``running`` from the beginning, and still after a kill: the lock tells which.
        created: When the run began, in ISO 8601 with its zone.
        options_sha256: Of ``options.yaml``, so that a run is not resumed with other options.
        inputs: The files that went in, in order.
        networks: Hash of the weights by network name.
        made_with: Versions, device and threads: what the last digits depend on.
        seed: Of the run's randomness.
        output: The file that came out, by its name in the directory, or by its whole path if it is elsewhere.
        sha256: Of the output.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    version: int
    impasto: str
    verb: str
    status: Literal["running", "interrupted", "finished"]
    created: str
    options_sha256: str
    inputs: tuple[Input, ...] = ()
    networks: dict[str, str] = {}
    made_with: dict[str, str] = {}
    seed: int | None = None
    output: str | None = None
    sha256: str | None = None


def read_manifest(path: Path) -> dict[str, Any]:
    """What the file holds, checked.

    Raises:
        UsageError: It is damaged, or of another version.
        OSError: It is not there or cannot be read.
    """
    try:
        manifest = json.loads(path.read_bytes())
        if manifest["version"] != VERSION:
            raise UsageError(
                f"{path} was written by impasto {manifest['impasto']}, another version: its format is "
                f"{manifest['version']}, not {VERSION}; resume the run with that impasto, or begin another"
            )
        Manifest.model_validate(manifest)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{path} is damaged, or no manifest of a run: begin another run") from error
    return manifest


def write_manifest(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Replace the file, whole or not at all; returns what reading it would.

    Raises:
        ImpastoError: The disk is full, or the folder may not be written to.
    """
    text = json.dumps(manifest, indent=2, ensure_ascii=False, default=to_jsonable_python)
    written: dict[str, Any] = json.loads(text)
    Manifest.model_validate(written)
    # A lone surrogate, of a file name that is no UTF-8, becomes what JSON escapes it to.
    replace_file(path, text.encode("utf-8", "backslashreplace") + b"\n")
    return written
