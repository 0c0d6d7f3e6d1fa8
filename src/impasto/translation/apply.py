"""Apply: a network over a picture of any size, whole or in tiles, as memory allows, into one output."""

from __future__ import annotations

import gc
import logging
import math
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import ImpastoError
from impasto.networks.allocator import keep_freed_memory
from impasto.synthesis.memory import free_memory
from impasto.translation.apply_options import MEMORY, Applied
from impasto.translation.field import field_of
from impasto.translation.footprint import footprint
from impasto.translation.model import TranslationModel
from impasto.translation.tiling import Span, Tile, ramps, tiles

log = logging.getLogger("impasto")

Progress = Callable[[float, str], object]  # the part that is done, in [0, 1], and a few words
Precision = Literal["auto", "32", "16", "bf16"]
Made = TypeVar("Made")

GIB = 2**30
BASE = 0.8 * GIB  # Python, torch and what reading and writing take
FREE_SHARE = 0.8  # of what is free, this part is counted on
SMALLEST_BUDGET = 0.25 * GIB
HELD = 1.6  # times what a network needs at once, malloc keeps on a CPU, where blocks of many sizes come and go
LARGEST_SIDE = 1024  # of automatic tiles, where the halo is small: larger ones would save little
SMALLEST_SIDE = 16
SMALL = 128 * 128  # pixels that fit in any case
BLENDED = 64  # pixels that tiles of a network that looks everywhere see beyond their own
PROBE = 96  # pixels a side on which half precision is tried
STRAY = 4 / 255  # how far half precision may be off there; of segmentation, in which part of the pixels

_NO_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "allocate memory",
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED
)


class Turn(NamedTuple):
    """One of the eight symmetries of the square: rows and columns swapped, then turned around."""

    swap: bool
    rows: bool
    columns: bool


TURNS = [Turn(swap, rows, columns) for swap in (False, True) for rows in (False, True) for columns in (False, True)]


@torch.no_grad()
def apply(
    model: TranslationModel,
    pixels: Float[Tensor, "1 3 h w"],
    *,
    tile: int | Literal["auto"] = "auto",
    overlap: int | None = None,
    memory: float = MEMORY,
    device: torch.device | None = None,
    precision: Precision = "auto",
    self_ensemble: bool = False,
    progress: Progress | None = None,
) -> Float[Tensor, "1 c H W"]:
    """The picture through the network; not clamped. Of segmentation, scores.

    Tiles see what the network's field asks for (:func:`~impasto.translation.field.field_of`), so that the result is
    that of the whole picture. A network that looks everywhere is given the whole picture if that fits, else blended
    tiles, with a warning. When memory runs out, the tile is divided and its parts are begun anew: what is in the output
    is only ever what a finished tile has given.

    Args:
        model: What is applied.
        pixels: The picture, wherever it is; the output is there too.
        tile: Side of the tiles, without what they see beyond; ``auto``: the whole picture if memory allows, else what
            it allows.
        overlap: Pixels that tiles see beyond their own. None: what the field asks for. Fewer are blended.
        memory: GiB that the process may take, by which tiles are chosen; on a GPU, its own free memory is.
        device: Where to compute; None: where the picture is.
        precision: ``auto`` is half precision on CUDA, where it is safe, else single. ``16`` and ``bf16`` are tried on
            a part of the picture first, and given up, with a warning, where they overflow or stray.
        self_ensemble: Mean over the eight flips and rotations (Timofte et al. 2016, "Seven ways to improve
            example-based single image super resolution"): eight times the work.
        progress: Called with (part done, a few words).

    Raises:
        ImpastoError: Not even the smallest tile fits into memory, or the network gives something else than a picture
            of its scale.

    >>> bright = TranslationModel("bright", nn.Conv2d(3, 3, 1), "restore")
    >>> apply(bright, torch.zeros(1, 3, 40, 30), tile=16).shape
    torch.Size([1, 3, 40, 30])
    """
    device = device or pixels.device
    if device.type == "cpu":
        keep_freed_memory()  # a third of the time goes into giving it back and taking it again
    # channels last: on a CPU its convolutions take two thirds of the time
    module = tried(lambda: model.module.to(device).to(memory_format=torch.channels_last).eval(), device)
    if module is None:
        raise _no_memory(model, device)
    height, width = pixels.shape[-2:]
    require_room(model, (height * model.scale, width * model.scale), pixels.device)
    shape = (1, channels_of(model), height * model.scale, width * model.scale)
    out = tried(lambda: torch.zeros(shape, device=pixels.device), device)
    if out is None:
        raise _no_memory(model, pixels.device)
    longest = max(height, width)
    side = _side(model, pixels, out, memory, device) if tile == "auto" else min(longest, tile)
    work = _Work(model, module, pixels, out, device, overlap, side, chosen=tile != "auto")
    work.half = _half(work, precision)
    turns = TURNS if self_ensemble else TURNS[:1]
    for number, turn in enumerate(turns):
        _through(work, turn, 1 / len(turns), number / len(turns), progress)
    return out


def kept_out(model: TranslationModel, options: Applied) -> set[str]:
    """The options that a result does not depend on, and which its recipe leaves out.

    Memory, by which tiles are chosen, is one of them unless these are blended.
    """
    if options.memory == MEMORY or options.tile:
        return {"device", "memory"}
    blended = options.overlap is not None or bool(field_of(model.module, model.scale).everywhere)
    return {"device"} if blended else {"device", "memory"}


def channels_of(model: TranslationModel) -> int:
    """Of what a model gives: a picture, or scores of classes."""
    return len(model.classes) if model.task == "segment" else 3


def require_room(model: TranslationModel, size: tuple[int, int], device: torch.device) -> None:
    """Find out before the work that there is no memory for a result of that (height, width).

    Raises:
        ImpastoError: There is none.
    """
    height, width = size
    needed, free = channels_of(model) * height * width * 4, free_memory(device)
    if needed > free:
        raise ImpastoError(
            f"{model.name} makes {width}×{height} pixels of this picture, which take {needed / GIB:.1f} GiB, and "
            f"{free / GIB:.1f} are free: cut the picture, or make it smaller first"
        )


@dataclass
class _Work:
    """What is worked, and how, as far as it is known by now."""

    model: TranslationModel
    module: nn.Module
    pixels: Tensor
    out: Tensor
    device: torch.device
    overlap: int | None
    side: int
    chosen: bool  # by the user
    half: torch.dtype | None = None
    grid: _Grid | None = None


class _Grid(NamedTuple):
    """How the picture is divided: where tiles begin, what they see beyond, and how much of that is blended."""

    step: int
    halo: int
    blend: int

    @property
    def smallest(self) -> int:
        """Side of the smallest tiles."""
        # blended, none may end up narrower than the two ramps on it
        return max(SMALLEST_SIDE, self.step, 4 * self.blend + 3 * self.step if self.blend else 0)


def _through(work: _Work, turn: Turn, share: float, before: float, progress: Progress | None) -> None:
    """Add a part of the result of the turned picture to the output."""
    height, width = work.pixels.shape[-2:]
    size = (width, height) if turn.swap else (height, width)
    done, all_pixels = 0, height * width
    waiting = deque([Tile(*(Span(0, length, 0, length) for length in size))])
    while waiting:
        tile = waiting.popleft()
        if max(tile.rows.own, tile.columns.own) > work.side:
            waiting.extendleft(reversed(_divided(work, tile, size)))
            continue
        result = _attempt(work, tile, turn, size)
        if result is None:
            _shrink(work, tile)
            waiting.appendleft(tile)
            continue
        _add(work, tile, turn, size, result, share)
        done += tile.pixels
        if progress:
            count = f"{len(waiting)} tiles to go" if waiting else "last tile"
            progress(before + share * done / all_pixels, f"{work.model.name}, {count}")


def _divided(work: _Work, tile: Tile, size: tuple[int, int]) -> list[Tile]:
    grid = work.grid = work.grid or _grid(work)
    if max(work.side, grid.smallest) >= max(tile.rows.own, tile.columns.own):
        # a side smaller than the smallest tile's: this tile is as small as they get
        work.side = max(tile.rows.own, tile.columns.own)
        return [tile]
    return tiles(size, max(work.side, grid.smallest), step=grid.step, halo=grid.halo, of=tile)


def _grid(work: _Work) -> _Grid:
    """How tiles are laid, said aloud where they are not exact."""
    field = tried(lambda: field_of(work.module, work.model.scale), work.device)
    if field is None:
        raise _no_memory(work.model, work.device)
    name, overlap = work.model.name, work.overlap
    if not field.everywhere and (overlap is None or overlap >= field.halo):
        return _Grid(field.step, field.halo, 0)
    if field.everywhere:
        overlap = max(2, BLENDED if overlap is None else overlap)
        why = "in tiles as you ask" if work.chosen else "which does not fit into memory at once"
        log.warning(
            "%s looks at the whole picture (%s), %s: overlapping tiles are blended, and the result depends on them; "
            "a smaller picture or a larger --memory is exact",
            *(name, field.everywhere, why),
        )
    else:
        overlap = max(2, overlap or 0)
        log.warning(
            "%s looks %d pixels far, tiles see only %d beyond their own: they are blended, and seams may be seen",
            *(name, field.halo, overlap),
        )
    return _Grid(field.step, overlap, overlap // 2)


def _attempt(work: _Work, tile: Tile, turn: Turn, size: tuple[int, int]) -> Tensor | None:
    """What the network gives for a tile and what it sees; None when memory runs out."""
    rows, columns = _unturned(turn, size, [(span.first, span.last) for span in (tile.rows, tile.columns)])

    def given() -> Tensor:
        crop = _turned(work.pixels[..., rows, columns].to(work.device), turn)
        result = _run(work, crop)
        if work.half is not None and not bool(result.isfinite().all()):
            log.warning("%s overflows in half precision: going on in single precision", work.model.name)
            work.half = None
            result = _run(work, crop)
        return result

    return tried(given, work.device)


def tried(call: Callable[[], Made], device: torch.device) -> Made | None:
    """What a call gives; None, all that can be freed being free again, when memory runs out."""
    try:
        return call()
    except (MemoryError, RuntimeError) as error:
        if not _is_no_memory(error):
            raise
    gc.collect()  # not in the handler: the exception holds what has to be freed
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return None


def _no_memory(model: TranslationModel, device: torch.device) -> ImpastoError:
    return ImpastoError(f"not enough memory on {device} for {model.name}: close other programs")


def _is_no_memory(error: BaseException) -> bool:
    """Whether an exception says that memory has run out: torch says it in several ways."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error).lower() for words in _NO_MEMORY
    )


def _run(work: _Work, crop: Tensor) -> Tensor:
    half = torch.autocast(work.device.type, work.half) if work.half else nullcontext()
    crop = crop.contiguous(memory_format=torch.channels_last)
    with half:
        result: Tensor = work.module(crop)
    scale = work.model.scale
    wanted = (1, work.out.shape[1], crop.shape[-2] * scale, crop.shape[-1] * scale)
    if tuple(result.shape) != wanted:
        raise ImpastoError(
            f"{work.model.name} gives {tuple(result.shape)}, not {wanted} as its scale and classes promise: "
            "its file says something else than its weights"
        )
    return result.float()


def _shrink(work: _Work, tile: Tile) -> None:
    """Choose smaller tiles after memory has run out.

    Raises:
        ImpastoError: There are none.
    """
    grid = work.grid = work.grid or _grid(work)
    now = max(tile.rows.own, tile.columns.own)
    if now <= grid.smallest:
        raise ImpastoError(
            f"not enough memory on {work.device} for {work.model.name}, even in tiles of {now} pixels that see "
            f"{grid.halo} beyond: close other programs, or take a smaller model"
        )
    work.side = max(grid.smallest, -(-now // 2) // grid.step * grid.step)


def _add(work: _Work, tile: Tile, turn: Turn, size: tuple[int, int], result: Tensor, share: float) -> None:
    """Add a tile's own part of a result, blended with its neighbours' where it must be, to the output."""
    scale, blend = work.model.scale, work.grid.blend if work.grid else 0
    spans = (tile.rows, tile.columns)
    if blend:
        (own_rows, down), (own_columns, across) = ramps(tile, size, blend, scale)
        weight = (down[:, None] * across[None]).to(result)
        own = [own_rows, own_columns]
    else:
        own = [slice(span.start * scale, span.stop * scale) for span in spans]
        weight = None
    inside = [
        slice(o.start - span.first * scale, o.stop - span.first * scale) for o, span in zip(own, spans, strict=True)
    ]
    part = result[..., inside[0], inside[1]]
    part = (part if weight is None else part * weight) * share
    rows, columns = _unturned(turn, (size[0] * scale, size[1] * scale), [(o.start, o.stop) for o in own])
    work.out[..., rows, columns] += _turned_back(part, turn).to(work.out.device)


def _turned(image: Tensor, turn: Turn) -> Tensor:
    image = image.transpose(-2, -1) if turn.swap else image
    dims = [dim for dim, flipped in ((-2, turn.rows), (-1, turn.columns)) if flipped]
    return image.flip(dims) if dims else image


def _turned_back(image: Tensor, turn: Turn) -> Tensor:
    dims = [dim for dim, flipped in ((-2, turn.rows), (-1, turn.columns)) if flipped]
    image = image.flip(dims) if dims else image
    return image.transpose(-2, -1) if turn.swap else image


def _unturned(turn: Turn, size: tuple[int, int], window: list[tuple[int, int]]) -> list[slice]:
    """Where a window of the turned picture, whose (height, width) is ``size``, lies in the picture itself."""
    found = [
        slice(whole - stop, whole - start) if flipped else slice(start, stop)
        for whole, (start, stop), flipped in zip(size, window, turn[1:], strict=True)
    ]
    return found[::-1] if turn.swap else found


def _side(model: TranslationModel, pixels: Tensor, out: Tensor, memory: float, device: torch.device) -> int:
    """Side of the tiles that memory allows: the longer one for the whole, the least where it cannot be told."""
    height, width = pixels.shape[-2:]
    if height * width <= SMALL:
        return max(height, width)
    takes = tried(lambda: footprint(model.module), device)
    if takes is None:
        return SMALLEST_SIDE
    free = free_memory(device) * FREE_SHARE
    if device.type != "cuda":
        free = (min(free, memory * GIB - BASE - pixels.nbytes) - out.nbytes) / HELD
    budget = max(free, SMALLEST_BUDGET)
    if takes.bytes(height * width) <= budget:
        return max(height, width)
    field = tried(lambda: field_of(model.module, model.scale), device)
    if field is None:
        return SMALLEST_SIDE
    halo = BLENDED if field.everywhere else field.halo
    side = math.isqrt(takes.pixels(budget)) - 2 * (halo + field.step)
    return max(SMALLEST_SIDE, min(side, max(LARGEST_SIDE, 8 * halo)))


def _half(work: _Work, precision: Precision) -> torch.dtype | None:
    """The half precision to work in; None for single precision."""
    if precision == "32" or (precision == "auto" and work.device.type != "cuda"):
        return None
    half = torch.bfloat16 if precision == "bf16" else torch.float16
    if work.model.card.get("bf16" if precision == "bf16" else "half", True) is False:
        if precision != "auto":
            log.warning("%s does not work in half precision: single precision is taken", work.model.name)
        return None
    height, width = work.pixels.shape[-2:]
    top, left = max(0, (height - PROBE) // 2), max(0, (width - PROBE) // 2)

    def probed() -> tuple[float, bool]:
        crop = work.pixels[..., top : top + PROBE, left : left + PROBE].to(work.device)
        exact = _run(work, crop)
        tried = _run(replace(work, half=half), crop)
        if work.model.task == "segment":  # scores may be of any size: what counts is which is the highest
            off = (tried.argmax(1) != exact.argmax(1)).float().mean()
        else:
            off = (tried - exact).abs().max()
        return float(off), bool(tried.isfinite().all())

    found = tried(probed, work.device)
    if found is None:
        log.warning("no memory to try %s in half precision: single precision is taken", work.model.name)
        return None
    off, finite = found
    if off <= STRAY and finite:
        return half
    log.warning(
        "%s %s in %s precision on this picture: single precision is taken",
        *(work.model.name, "strays" if finite else "overflows", "half" if precision == "auto" else precision),
    )
    return None
