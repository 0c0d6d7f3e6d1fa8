"""Features: what chosen layers of a network make of the pictures of a manifest, computed once and kept by content."""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as remembered
from pathlib import Path
from typing import Any, get_args

import numpy as np
import psutil
import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError, UsageError
from impasto.learning import wording
from impasto.learning.augmentation import Augmentation, augment
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Indices, Pictures, Preprocessing, picture_hash
from impasto.learning.pooling import Pool, pooled
from impasto.learning.shards import Buffer, Column, Rows, free_bytes
from impasto.networks.allocator import keep_freed_memory
from impasto.networks.network import Network
from impasto.networks.taps import PIXELS, Taps
from impasto.networks.weights import home

Progress = Callable[[float, str], object]

VERSION = 2  # of what is computed: raised when the same key would give other values
LARGEST = 65504.0  # of float16

_BATCH_PIXELS = 32 * 224 * 224
_LARGEST_BATCH = 64


@dataclass(frozen=True)
class Features:
    """What one tap makes of the rows of a manifest, in their order; copy 0 is of the plain pictures.

    Attributes:
        tap: Its name.
        shape: Of one row's values: (c,) pooled, (c, h, w) not.
        copies: The values of each copy, as float16, memory-mapped.
    """

    tap: str
    shape: tuple[int, ...]
    copies: tuple[Rows, ...]

    def __len__(self) -> int:
        return len(self.copies[0])

    def read(self, indices: Indices, copy: int = 0) -> Float[Tensor, "b ..."]:
        """The values of these rows in float32; of all that is memory-mapped, only they are read."""
        return torch.from_numpy(self.copies[copy].read(np.asarray(indices, dtype=np.int64)).astype(np.float32))

    def array(self, copy: int = 0) -> np.ndarray:
        """The values of all rows, (n, …) float16: memory-mapped where they lie in one shard, else read together."""
        return self.copies[copy].array()


def default_cache() -> Path:
    """The folder of features: ``IMPASTO_FEATURES``, or ``features`` in the folder that impasto keeps things in."""
    chosen = os.environ.get("IMPASTO_FEATURES")
    return Path(chosen).expanduser().absolute() if chosen else home() / "features"


def features(
    manifest: Manifest,
    network: Network,
    taps: Sequence[str],
    *,
    preprocessing: Preprocessing,
    pool: Pool | Mapping[str, Pool] = "avgmax",
    augmentations: Sequence[Augmentation] = (),
    copies: int = 1,
    seed: int = 0,
    cache: Path | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    pictures: Pictures | None = None,
) -> dict[str, Features]:
    """The activations of taps for every row, in float16: those that the cache has from there, the others computed.

    The cache has a folder for each tap and copy, whose name is the hash of all that decides the values: the
    layers down to the tap and their weights, the tap, the pool, the preprocessing, and of augmented copies the
    augmentations, the seed and the copy's number. In it each picture is known by the hash of its file. So a change
    of anything recomputes just what it changes, pictures that are equal are computed once, and a computation that
    was killed goes on from its last whole shard. One run through the network serves all taps.

    Args:
        manifest: The rows.
        network: In evaluation mode.
        taps: Their names, as `Taps` takes them.
        preprocessing: How pictures become squares.
        pool: What is kept of a map: ``avg`` its average over the positions, ``avgmax`` the average and then the
            maximum (fastai's AdaptiveConcatPool2d has the maximum first), ``none`` the map; or one for each tap.
            What has no positions is kept as it is.
        augmentations: What is done to the pictures of copies 1 and up.
        copies: How many there are, with the plain one.
        seed: Of the augmentations.
        cache: The folder; None keeps the values in memory only.
        device: Where the network runs.
        progress: Called with the part done and a few words; first of all with how many bytes will be written.
        pictures: The manifest's pictures, where they are at hand, such as held in memory.

    Raises:
        UsageError: No such tap, a picture that is broken or has changed since the scan, or activations that float16
            cannot hold.
        ImpastoError: The disk or the memory has too little room.

    >>> from impasto import networks
    >>> manifest = Manifest.load("pets.parquet")  # doctest: +SKIP
    >>> found = features(manifest, networks.load(), ["relu3_2"], preprocessing=Preprocessing(96))  # doctest: +SKIP
    >>> found["relu3_2"].read([0, 1]).shape  # doctest: +SKIP
    torch.Size([2, 256])
    """
    if pictures and (pictures.manifest is not manifest or pictures.preprocessing != preprocessing):
        raise ValueError("the pictures are not those of this manifest with this preprocessing")
    keep_freed_memory()
    network = network.to(device)
    plan = _plan(manifest, network, taps, preprocessing, pool, augmentations, copies, seed, cache)
    tell = progress or (lambda done, words: None)
    if plan.rows:
        size = plan.bytes()
        _require_room(size, cache)
        tell(0.0, f"{wording.size(size)} of features to {f'write in {cache}' if cache else 'hold in memory'}")
        _compute(plan, pictures or Pictures(manifest, preprocessing, memory_bytes=0), augmentations, seed, device, tell)
    tell(1.0, f"features of {len(manifest)} pictures")
    made: dict[str, Features] = {}
    for tap in dict.fromkeys(taps):
        rows = tuple(plan.columns[tap, copy].rows(plan.hashes) for copy in range(copies))
        made[tap] = Features(tap, rows[0].parts[0].shape[1:] if rows[0].parts else (), rows)
    return made


def planned_bytes(
    manifest: Manifest,
    network: Network,
    taps: Sequence[str],
    *,
    preprocessing: Preprocessing,
    pool: Pool | Mapping[str, Pool] = "avgmax",
    augmentations: Sequence[Augmentation] = (),
    copies: int = 1,
    seed: int = 0,
    cache: Path | None = None,
) -> int:
    """How many bytes `features` would write, being asked the same: 0 when all is there. Nothing is written."""
    return _plan(manifest, network, taps, preprocessing, pool, augmentations, copies, seed, cache).bytes()


def augmentation_seeds(hashes: Sequence[str], seed: int, copy: int) -> list[int]:
    """What `augment` is given for each picture of a copy: a number that its content, not its row, decides."""
    return [
        int.from_bytes(hashlib.sha256(f"{seed} {copy} {picture}".encode()).digest()[:8], "little") for picture in hashes
    ]


@dataclass(frozen=True)
class _Plan:
    """What there is and what is to be computed.

    Attributes:
        hashes: Of each row's picture.
        columns: By tap and copy.
        facts: What is to be said of each column.
        lacking: Of each column, the pictures that it lacks.
        rows: One row of each picture that any column lacks.
        taps: Those that any column lacks pictures of, or nothing.
        pools: By tap.
        size: The side of the pictures.
    """

    hashes: list[str]
    columns: dict[tuple[str, int], Column]
    facts: dict[tuple[str, int], dict[str, Any]]
    lacking: dict[tuple[str, int], set[str]]
    rows: list[int]
    taps: Taps
    pools: dict[str, Pool]
    size: int

    @property
    def batch(self) -> int:
        """Pictures in a run through the network."""
        return max(1, min(_LARGEST_BATCH, _BATCH_PIXELS // self.size**2))

    def bytes(self) -> int:
        """How many are to be written, asked of the network with one gray picture."""
        if not self.rows:
            return 0
        parameter = next(self.taps.network.module.parameters(), torch.empty(0))
        with torch.no_grad():
            found = self.taps(torch.full((1, 3, self.size, self.size), 0.5, device=parameter.device))
        each = {tap: 2 * pooled(values, self.pools[tap]).numel() for tap, values in found.items()}
        return sum(len(lacking) * each.get(tap, 0) for (tap, _), lacking in self.lacking.items())


def _plan(
    manifest: Manifest,
    network: Network,
    taps: Sequence[str],
    preprocessing: Preprocessing,
    pool: Pool | Mapping[str, Pool],
    augmentations: Sequence[Augmentation],
    copies: int,
    seed: int,
    cache: Path | None,
) -> _Plan:
    if network.module.training:
        raise ValueError("the network must be in evaluation mode, for its dropout and batch norm differ in training")
    if copies < 1 or (copies > 1 and not augmentations):
        raise UsageError(f"{copies} copies of each picture: give 1, or augmentations that make the others differ")
    taps = list(dict.fromkeys(taps))
    Taps(network, taps)  # a wrong name is said before anything is read
    pools = {tap: pool if isinstance(pool, str) else pool[tap] for tap in taps}
    for each in pools.values():
        if each not in get_args(Pool):
            raise UsageError(f"there is no pool {each!r}: there are {', '.join(get_args(Pool))}")
    hashes = _hashes(manifest)
    device_type = next(network.module.parameters(), torch.empty(0)).device.type
    digest = remembered(lambda path: _layer_digest(network, path))
    facts = {}
    for tap in taps:
        plain = {
            "version": VERSION,
            "torch": torch.__version__,
            "device": device_type,
            "tap": network.aliases.get(tap, tap),
            "layers": _layers_digest(network, tap, digest),
            "pool": pools[tap],
            "size": preprocessing.size,
            "fit": preprocessing.fit,
        }
        for copy in range(copies):
            augmented = {"augmentations": [str(one) for one in augmentations], "seed": seed, "copy": copy}
            facts[tap, copy] = plain | augmented if copy else plain
    columns = {key: Column.open(cache / column_key(said)) if cache else Column(None) for key, said in facts.items()}
    lacking = {key: set(hashes) - column.places.keys() for key, column in columns.items()}
    anywhere = set().union(*lacking.values())
    first = {picture: row for row, picture in reversed(list(enumerate(hashes))) if picture in anywhere}
    wanted = [tap for tap in taps if any(lacking[tap, copy] for copy in range(copies))]
    said = {key: {"network": network.name} | each for key, each in facts.items()}
    return _Plan(
        hashes, columns, said, lacking, sorted(first.values()), Taps(network, wanted), pools, preprocessing.size
    )


def column_key(facts: Mapping[str, Any]) -> str:
    """The name of a column's folder: the hash of what decides its values."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _layers_digest(network: Network, tap: str, digest: Callable[[str], str]) -> str:
    """Hash of the layers and weights that decide a tap: of a chain, those down to it; else of the whole network."""
    path = network.aliases.get(tap, tap)
    chain = [name for name, _ in network.trunk]
    if tap == PIXELS:
        return ""
    parts = chain[: chain.index(path) + 1] if path in chain else [""]
    said = [repr(network.mean), repr(network.std), *map(digest, parts)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _layer_digest(network: Network, path: str) -> str:
    """Hash of a layer's architecture and state."""
    layer = network.module.get_submodule(path)
    said = hashlib.sha256(repr(layer).encode())
    for name, tensor in layer.state_dict().items():
        said.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        said.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return said.hexdigest()


def _hashes(manifest: Manifest) -> list[str]:
    """The hash of each row's picture: the manifest's, or where that has none, the file's."""
    known = manifest.column("sha256")
    return [one if one is not None else picture_hash(manifest, row) for row, one in enumerate(known)]


def _require_room(size: int, cache: Path | None) -> None:
    free = free_bytes(cache) if cache else int(psutil.virtual_memory().available)
    if size > free:
        where, mend = ("in memory", "name a cache folder") if cache is None else (f"in {cache}", "free some space")
        raise ImpastoError(
            f"the features need {wording.size(size)} {where}, and {wording.size(free)} are free: "
            f"{mend}, or pool them or make fewer copies"
        )


def _compute(
    plan: _Plan,
    pictures: Pictures,
    augmentations: Sequence[Augmentation],
    seed: int,
    device: torch.device | str,
    tell: Progress,
) -> None:
    buffer = Buffer(plan.columns, plan.lacking, plan.facts)
    checks: deque[Iterator[str]] = deque()
    done = 0
    try:
        for rows, levels in pictures.stream(_batches(plan, pictures, checks)):
            _require_unchanged(plan, rows, pictures.manifest, checks.popleft())
            images = levels.to(device).to(torch.float32).div_(255)
            hashes = [plan.hashes[row] for row in rows]
            for copy in sorted({copy for _, copy in plan.columns}):
                _run(plan, buffer, images, hashes, copy, augmentations, seed)
            done += len(rows)
            tell(done / len(plan.rows), f"features {done} of {len(plan.rows)}")
            buffer.write(only_full=True)
    except (KeyboardInterrupt, UsageError):
        buffer.write()  # what was computed is not lost with what could not be
        raise
    buffer.write()


def _run(
    plan: _Plan,
    buffer: Buffer,
    images: Tensor,
    hashes: list[str],
    copy: int,
    augmentations: Sequence[Augmentation],
    seed: int,
) -> None:
    """One run through the network, for those pictures of a batch that any tap of a copy lacks."""
    lacking = {tap: plan.lacking[tap, copy] for tap in plan.taps.names}
    here = [place for place, picture in enumerate(hashes) if any(picture in each for each in lacking.values())]
    if not here:
        return
    if len(here) < len(hashes):
        images, hashes = images[here], [hashes[place] for place in here]
    if copy:
        images, _ = augment(images, augmentations, augmentation_seeds(hashes, seed, copy))
    # Always as many pictures: libraries choose their algorithm by the batch's size, and the last digits with it.
    spare = plan.batch - len(images)
    batch = torch.cat([images, images[-1:].expand(spare, -1, -1, -1)]) if spare else images
    with torch.no_grad():
        for tap, values in plan.taps(batch).items():
            kept = pooled(values[: len(images)], plan.pools[tap]).to(torch.float16).cpu()
            if not bool(torch.isfinite(kept).all()):
                raise UsageError(
                    f"{tap} of {plan.taps.network.name} has activations beyond ±{LARGEST:.0f}, or none that are "
                    "numbers, which float16 cannot hold: choose another tap"
                )
            buffer.add((tap, copy), hashes, kept.contiguous().numpy())


def _batches(plan: _Plan, pictures: Pictures, checks: deque[Iterator[str]]) -> Iterator[np.ndarray]:
    """The rows to compute, in batches; of each batch the hashes as the files are now are set to be read."""
    for start in range(0, len(plan.rows), plan.batch):
        rows = plan.rows[start : start + plan.batch]
        checks.append(pictures.hashes(rows))
        yield np.array(rows, dtype=np.int64)


def _require_unchanged(plan: _Plan, rows: np.ndarray, manifest: Manifest, hashes: Iterator[str]) -> None:
    """Check that files are still what was scanned, lest values be kept under the hash of another picture."""
    for row, found in zip(rows, hashes, strict=True):
        if found != plan.hashes[row]:
            raise UsageError(f"{manifest.root / manifest.paths[row]} has changed since it was scanned: scan it again")
