"""The pictures of a folder: found, read and made small, ahead of their use and in batches of one size."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError, UsageError
from impasto.images import idx, read
from impasto.images.folder import pictures_below
from impasto.images.resize import fit, resize, size_of
from impasto.networks import Network
from impasto.runs.recipe import Input

log = logging.getLogger("impasto")

Shape = Literal["own", "square"]
LeftOut = Callable[[Path, ImpastoError], object]

_THREADS = 2
_AHEAD = 8  # pictures that are decoded before they are asked for
_WAITING = 3  # batches' worth of pictures that may wait for others of their size


@dataclass(frozen=True)
class Folder:
    """What a folder holds.

    Attributes:
        source: The folder.
        paths: Its pictures, in order; ``FILE#N`` is picture N of an idx file.
        names: What each is called below the folder, with / between.
        labels: The class of each: what lies beside an idx file, else the folder that the picture is in; else empty.
    """

    source: Path
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)


def find_pictures(source: Path | str, most: int | None = None) -> Folder:
    """The pictures of a folder and of all folders in it, sorted, or those of (a folder of) MNIST's idx files.

    Args:
        source: The folder or idx file.
        most: If it holds more, so many of them are taken, evenly spread.

    Raises:
        UsageError: There is no such folder, or it holds no pictures.
    """
    source = Path(source)
    if not source.exists():
        raise UsageError(f"{source} does not exist: check the name")
    names: list[str]
    if files := idx.image_files(source):
        names, labels = [], []
        for file in files:
            count = len(idx.images(file))
            names += [f"{file.name}#{number}" for number in range(count)]
            labels += idx.labels(file) or [""] * count
        source = source if source.is_dir() else source.parent
    elif source.is_dir():
        names = pictures_below(source)
        labels = [name.split("/")[-2] if "/" in name else "" for name in names]
    else:
        raise UsageError(f"{source} is a file: give a folder of pictures, or an idx file")
    if not names:
        raise UsageError(f"{source} holds no pictures: is it the right file?")
    chosen = range(len(names))
    if most is not None and len(names) > most:
        places = [number * len(names) // most for number in range(most)]
        names, labels, chosen = [names[i] for i in places], [labels[i] for i in places], range(most)
    return Folder(source, tuple(source / names[i] for i in chosen), tuple(names), tuple(labels))


def folder_input(folder: Folder) -> Input:
    """The record of a folder's pictures for a recipe: their files' bytes in all, and one hash.

    The hash is that of the lines ``HASH  NAME`` that ``sha256sum`` writes of the files, in order; a file that cannot be
    read has an empty hash.
    """
    lines, size = hashlib.sha256(), 0
    for path in dict.fromkeys((idx.place(one) or (one, 0))[0] for one in folder.paths):
        digest = ""
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size += path.stat().st_size
        except OSError:
            pass  # the network did not see it either
        lines.update(f"{digest}  {path.relative_to(folder.source).as_posix()}\n".encode("utf-8", "surrogateescape"))
    where = str(folder.source.resolve()).encode("utf-8", "backslashreplace").decode()
    return Input(role="folder", path=where, sha256=lines.hexdigest(), size=size)


def read_pixels(path: Path | str) -> Float[Tensor, "1 3 h w"]:
    """A picture in its own size, on white where it is transparent; ``FILE#N`` is picture N of an idx file.

    Raises:
        UsageError: It cannot be read.
    """
    if inside := idx.place(path):
        digit = torch.from_numpy(idx.read_image(*inside).copy())
        return digit.float().div_(255).expand(1, 3, -1, -1)
    picture = read(path)
    return picture.pixels if picture.alpha is None else 1 + picture.alpha * (picture.pixels - 1)


def shape_for(network: Network) -> Shape:
    """The shape of picture that a network takes: squares alone are taken by transformers with places for patches."""
    return "square" if hasattr(network.module, "patch_embed") else "own"


def sized(path: Path | str, size: int, shape: Shape = "own") -> Float[Tensor, "1 3 h w"]:
    """A picture as the network sees it here, in [0, 1].

    Args:
        path: The picture, as for :func:`read_pixels`.
        size: Its longer side in pixels. The longer and not the shorter one, so that no picture costs more than a
            square, however long it is; and nothing is cut off.
        shape: ``own`` keeps the proportions, ``square`` stretches both sides to ``size``.

    Raises:
        UsageError: It cannot be read.
    """
    pixels = read_pixels(path)
    wanted = (size, size) if shape == "square" else fit(size_of(pixels), size)
    return resize(pixels, wanted).clamp(0, 1)


def warn(path: Path, error: ImpastoError) -> None:
    """One line of warning for a picture that is left out."""
    log.warning("left out: %s", error if str(path) in str(error) else f"{path}: {error}")


def batches(
    paths: Sequence[Path], size: int, batch_size: int, shape: Shape = "own", left_out: LeftOut = warn
) -> Iterator[tuple[list[int], Float[Tensor, "b 3 h w"]]]:
    """Pictures of equal size together, with their places in ``paths``, decoded while the ones before are at work.

    A picture that cannot be read is left out, and told to ``left_out``. At most a few batches of pictures wait for
    others of their size; the order is always the same.
    """
    waiting: dict[tuple[int, int], tuple[list[int], list[Tensor]]] = {}

    def full(most: int) -> Iterator[tuple[list[int], Tensor]]:
        while sum(len(places) for places, _ in waiting.values()) > most:
            places, pictures = waiting.pop(max(waiting, key=lambda key: len(waiting[key][0])))
            yield places, torch.cat(pictures)

    for place, picture in _decoded(paths, size, shape, left_out):
        places, pictures = waiting.setdefault(size_of(picture), ([], []))
        places.append(place)
        pictures.append(picture)
        if len(places) == batch_size:
            del waiting[size_of(picture)]
            yield places, torch.cat(pictures)
        yield from full(_WAITING * batch_size)
    yield from full(0)


def _decoded(paths: Sequence[Path], size: int, shape: Shape, left_out: LeftOut) -> Iterator[tuple[int, Tensor]]:
    """The pictures that can be read, in order, some of them decoded ahead."""
    ahead: deque[tuple[int, Future[Tensor]]] = deque()
    coming = iter(enumerate(paths))
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            while True:
                while len(ahead) < _AHEAD and (following := next(coming, None)):
                    ahead.append((following[0], pool.submit(sized, following[1], size, shape)))
                if not ahead:
                    return
                place, future = ahead.popleft()
                try:
                    picture = future.result()
                except ImpastoError as error:
                    left_out(paths[place], error)
                    continue
                yield place, picture
        finally:
            for _, future in ahead:
                future.cancel()
