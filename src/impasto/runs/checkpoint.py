"""Checkpoints: tensors and facts in one safetensors file, which a kill leaves whole, the old one or the new."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zlib import crc32

import torch
from torch import Tensor

from impasto import __version__
from impasto.errors import UsageError
from impasto.images.replace import replacing
from impasto.runs.parts import remove_parts

FORMAT = "impasto checkpoint"
VERSION = 1
CHUNK = 2**24  # bytes that are written, read and summed at once
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
UNSEALED = "0" * 8
BEGAN = time.time()  # when this process did


@dataclass(frozen=True)
class Checkpoint:
    """All that the work needs to go on as if it had never stopped.

    Attributes:
        tensors: Tensors by name, of any device and strides; they come back on the CPU and contiguous,
            bit for bit, in the same order.
        facts: What JSON holds: floats come back exactly, infinities too; a tuple comes back as a list,
            and keys are strings.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint beside the file and put it in its place once it is on the disk.

    The file is one that the safetensors library reads. Written here and not by its ``save_file``, because
    that wants every tensor on the CPU and contiguous at once and refuses two that share memory; here no
    more than one tensor is copied at a time, and none that lies contiguous on the CPU. A checksum tells a
    disk that has gone bad from a checkpoint. One process at a time saves into a folder: what a killed one
    left half-written there is removed.

    Raises:
        ImpastoError: The disk is full, or the folder missing or not to be written to; the earlier
            checkpoint stays.
    """
    path = Path(path)
    remove_parts(path.parent, before=BEGAN)
    with replacing(path) as file:
        _write(file, checkpoint)
    _sync(path.parent)


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint into memory of its own: the file may be replaced afterwards.

    Raises:
        UsageError: There is none, it was written by another version, or it is damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _read(file)
    except FileNotFoundError as error:
        raise UsageError(f"no checkpoint {path}: there is nothing to resume, start again") from error
    except OSError as error:
        raise UsageError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    except UsageError as error:
        raise UsageError(f"checkpoint {path} {error}") from error


def _write(file: IO[bytes], checkpoint: Checkpoint) -> None:
    # The library wants the data without gaps; the widest first, each lies where its type may.
    by_width = sorted(checkpoint.tensors, key=lambda name: -checkpoint.tensors[name].itemsize)
    offsets, end = {}, 0
    for name in by_width:
        tensor = checkpoint.tensors[name]
        offsets[name] = [end, end + tensor.numel() * tensor.itemsize]
        end = offsets[name][1]
    metadata = {
        "seal": UNSEALED,  # first, and so found first
        "data": UNSEALED,
        "format": FORMAT,
        "version": str(VERSION),
        "impasto": __version__,
        "facts": json.dumps(checkpoint.facts),
    }
    layout = {
        name: {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets[name]}
        for name, tensor in checkpoint.tensors.items()
    }
    header = _header(metadata, layout)
    file.seek(8 + len(header))
    checksum = 0
    for name in by_width:
        for chunk in _chunks(checkpoint.tensors[name].detach().to("cpu").contiguous()):
            file.write(chunk)
            checksum = crc32(chunk, checksum)
    header = _header({**metadata, "data": f"{checksum:08x}"}, layout)
    file.seek(0)
    file.write(len(header).to_bytes(8, "little") + _sealed(header))


def _read(file: IO[bytes]) -> Checkpoint:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    header = file.read(length) if length <= size - 8 else b""
    try:
        layout = json.loads(header)
        metadata = layout.pop("__metadata__")
        kind, version, seal = metadata["format"], metadata["version"], metadata["seal"]
        other = f"was written by impasto {metadata['impasto']}, another version: its format is {version}, not {VERSION}"
        unsealed = header.replace(seal.encode(), UNSEALED.encode(), 1)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError("is no checkpoint of impasto, or damaged: start again") from error
    if kind == FORMAT and version != str(VERSION):
        raise UsageError(f"{other}; resume with that impasto, or start again")
    if _sealed(unsealed) != header:
        raise UsageError("is damaged, its header has changed: start again")
    # From here on the header is what was written: only the data can be wrong.
    if sum(math.prod(one["shape"]) * DTYPES[one["dtype"]].itemsize for one in layout.values()) != size - 8 - length:
        raise UsageError(f"is damaged, its {size:,} bytes are not all: start again")
    tensors = {name: torch.empty(one["shape"], dtype=DTYPES[one["dtype"]]) for name, one in layout.items()}
    checksum = 0
    for name in sorted(tensors, key=lambda name: layout[name]["data_offsets"]):
        for chunk in _chunks(tensors[name]):
            file.readinto(chunk)  # type: ignore[attr-defined]  # short, it fails the checksum
            checksum = crc32(chunk, checksum)
    if metadata["data"] != f"{checksum:08x}":
        raise UsageError("is damaged, its data have changed: start again")
    return Checkpoint(tensors, json.loads(metadata["facts"]))


def _header(metadata: dict[str, str], layout: dict[str, Any]) -> bytes:
    text = json.dumps({"__metadata__": metadata, **layout}, separators=(",", ":"))
    return (text + " " * (-len(text) % 8)).encode()  # as the library aligns it


def _sealed(header: bytes) -> bytes:
    """The header with its own checksum in the place of the first zeros."""
    return header.replace(UNSEALED.encode(), f"{crc32(header):08x}".encode(), 1)


def _chunks(tensor: Tensor) -> Iterator[memoryview]:
    """The memory of a contiguous tensor, in order; little-endian, as every machine is that torch is built for."""
    whole = tensor.reshape(-1).view(torch.uint8).numpy().data
    return (whole[start : start + CHUNK] for start in range(0, len(whole), CHUNK))


def _sync(folder: Path) -> None:
    """Put the folder's names on the disk too, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
