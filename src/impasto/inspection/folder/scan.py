"""Scan: one pass of a network over the pictures of a folder: what excites each channel, and its statistics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.inspection.folder.pictures import LeftOut, warn
from impasto.inspection.folder.shown import shown
from impasto.inspection.progress import Progress
from impasto.networks import Network, Taps
from impasto.networks.hooks import at_rest

SIZE = 224  # pixels of a picture's longer side: what ImageNet's networks were trained on
VERSION = 1  # of the file

_FIRST = 32  # pictures, spread over the folder, whose activations fix the histogram's edges
_VALUES = 4_000_000  # activations that are counted and multiplied at a time: 16 MB


@dataclass(frozen=True, eq=False)
class TapScan:
    """What a tap says over n pictures, for each of its C channels; the positions of all pictures count alike.

    Attributes:
        tap: Its name.
        values: The k highest activations, each from another picture, falling.
        pictures: The number of each one's picture; −1 where there were fewer pictures.
        positions: (row, column) of each in the map; (0, 0) for vectors.
        maps: Height and width of each picture's map; 0 for a picture that was left out.
        edges: Of the histogram's bins, equal but for the outer two: a first sample of the folder fixes the inner
            edges, and the outermost are the lowest and the highest activation of all.
        counts: Positions in each bin.
        mean: Of the activations.
        std: Their standard deviation.
        zero: The part of them that is exactly 0.
        correlation: Between channels over positions; 0 with a channel that never changes, 1 with itself.
    """

    tap: str
    values: Float[np.ndarray, "C k"]
    pictures: Int[np.ndarray, "C k"]
    positions: Int[np.ndarray, "C k 2"]
    maps: Int[np.ndarray, "n 2"]
    edges: Float[np.ndarray, "C bins+1"]
    counts: Int[np.ndarray, "C bins"]
    mean: Float[np.ndarray, " C"]
    std: Float[np.ndarray, " C"]
    zero: Float[np.ndarray, " C"]
    correlation: Float[np.ndarray, "C C"]

    @property
    def channels(self) -> int:
        """How many there are."""
        return len(self.mean)

    @property
    def left_out(self) -> list[int]:
        """The pictures that could not be read, or were too small for the network."""
        return np.flatnonzero(self.maps.prod(1) == 0).tolist()


def scan(
    network: Network,
    paths: Sequence[Path],
    taps: Sequence[str],
    *,
    size: int = SIZE,
    top: int = 9,
    bins: int = 32,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> dict[str, TapScan]:
    """Show a network the pictures, all taps at once.

    What is held in memory is a few batches, and (C, C) numbers of each tap. Sums are kept in float64, around the
    channels' means over the first sample, so that nothing cancels.

    Args:
        network: The network, on any device.
        paths: The pictures, as `impasto.inspection.folder.pictures.find_pictures` lists them. Unreadable ones are
            left out, with one line of warning each.
        taps: Names of taps.
        size: Pixels of a picture's longer side; see `impasto.inspection.folder.pictures.sized`.
        top: How many of the highest activations of each channel to keep.
        bins: Of the histograms.
        batch_size: Pictures that go through the network together.
        progress: Called with the part that is done and a few words.

    Raises:
        UsageError: An unknown tap, one that is no map of channels, or no picture could be shown to the network.
    """
    taken = Taps(network, taps)
    tell = progress or (lambda _done, _words: None)
    first = sorted({number * len(paths) // _FIRST for number in range(min(_FIRST, len(paths)))})
    first = first if len(paths) > _FIRST else list(range(len(paths)))
    work = len(first) + len(paths)

    def activations(
        places: Sequence[int], words: str, before: int, left_out: LeftOut
    ) -> Iterable[tuple[list[int], dict[str, Tensor]]]:
        """The activations of these pictures, batch by batch, and how far it is."""
        done = before
        some = [paths[place] for place in places]
        for inside, (found,) in shown([taken], some, size, batch_size, left_out=left_out):
            here = [places[place] for place in inside]
            yield here, {tap: _as_maps(network, tap, values) for tap, values in found.items()}
            done += len(here)
            tell(done / work, f"{words} {done - before} of {len(places)} pictures")

    with torch.inference_mode(), at_rest(network.module):
        ranges: dict[str, _Range] = {}
        for _, found in activations(first, "sampling", 0, lambda _path, _error: None):  # the second pass says it
            for tap, values in found.items():
                ranges.setdefault(tap, _Range()).add(values)
        gathered: dict[str, _Gathered] = {}
        for here, found in activations(range(len(paths)), "scanning", len(first), warn):
            for tap, values in found.items():
                if tap not in gathered:
                    known = ranges.get(tap) or _Range().add(values)
                    gathered[tap] = _Gathered(tap, known, len(paths), top, bins)
                gathered[tap].add(here, values)
        tell(1.0, "scanned")
        if not gathered:
            raise UsageError(f"none of {len(paths)} pictures could be shown to {network.name}: give others")
        return {tap: gathered[tap].result() for tap in taken.names}


def save(scans: dict[str, TapScan], path: Path | str) -> None:
    """Write what was found to a safetensors file, whole or not at all; names and version are in its metadata."""
    from safetensors.numpy import save as packed

    arrays = {
        f"{number}.{field.name}": np.ascontiguousarray(getattr(one, field.name))
        for number, one in enumerate(scans.values())
        for field in fields(one)
        if field.name != "tap"
    }
    facts = {"version": VERSION, "taps": list(scans)}
    replace_file(path, packed(arrays, metadata={"scan": json.dumps(facts)}))


def load(path: Path | str) -> dict[str, TapScan]:
    """What :func:`save` has written.

    Raises:
        UsageError: It is no such file, or one of another version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {}).get("scan", "{}"))
            if facts.get("version") != VERSION:
                raise UsageError(f"{path} is no scan of version {VERSION}: scan the folder again")
            names = [field.name for field in fields(TapScan) if field.name != "tap"]
            return {
                tap: TapScan(tap, **{name: file.get_tensor(f"{number}.{name}") for name in names})
                for number, tap in enumerate(facts["taps"])
            }
    except (OSError, SafetensorError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a scan ({error}): scan the folder again") from error


def _as_maps(network: Network, tap: str, values: Tensor) -> Float[Tensor, "b c h w"]:
    """A map as it is, a vector as a map of one position, tokens (b, n, c) as one of a column."""
    if values.ndim == 2:
        return values[:, :, None, None]
    if values.ndim == 3:
        return values.transpose(1, 2)[..., None]
    if values.ndim != 4:
        raise UsageError(f"{tap} of {network.name} gives {values.ndim} dimensions, and no channels: choose another")
    return values


def _rows(values: Float[Tensor, "b c h w"]) -> Iterable[Float[Tensor, "n c"]]:
    """Positions by channels in float32, some pictures at a time."""
    step = max(1, _VALUES // max(1, values[0].numel()))
    for some in torch.split(values, step):
        yield some.float().permute(0, 2, 3, 1).reshape(-1, values.shape[1])


class _Range:
    """Lowest, highest and mean activation of each channel."""

    def __init__(self) -> None:
        self.low = self.high = self.sum = torch.empty(0)
        self.count = 0

    def add(self, values: Tensor) -> _Range:
        low, high = values.float().amin((0, 2, 3)).cpu(), values.float().amax((0, 2, 3)).cpu()
        total = values.float().sum((0, 2, 3)).cpu().double()
        if self.count:
            low, high, total = torch.minimum(low, self.low), torch.maximum(high, self.high), total + self.sum
        self.low, self.high, self.sum = low, high, total
        self.count += values.numel() // values.shape[1]
        return self


class _Gathered:
    """All that is gathered of one tap."""

    def __init__(self, tap: str, first: _Range, pictures: int, top: int, bins: int) -> None:
        channels = len(first.low)
        self.tap, self.bins = tap, bins
        self.low, self.high = first.low.clone(), first.high.clone()
        flat = first.high <= first.low
        self.start = first.low
        self.width = torch.where(flat, torch.ones(channels), first.high - first.low) / bins
        self.centre = (first.sum / first.count).float()
        self.values = torch.full((channels, top), -torch.inf)
        self.pictures = torch.full((channels, top), -1)
        self.positions = torch.zeros(channels, top, 2, dtype=torch.long)
        self.maps = torch.zeros(pictures, 2, dtype=torch.long)
        self.counts = torch.zeros(channels * bins, dtype=torch.long)
        self.zeros = torch.zeros(channels, dtype=torch.long)
        self.sum = torch.zeros(channels, dtype=torch.float64)
        self.products = torch.zeros(channels, channels, dtype=torch.float64)
        self.positions_seen = 0

    def add(self, places: list[int], values: Float[Tensor, "b c h w"]) -> None:
        self.maps[places] = torch.tensor(values.shape[2:])
        self._add_highest(places, values)
        device = values.device
        start, width, centre = self.start.to(device), self.width.to(device), self.centre.to(device)
        first = torch.arange(len(start), device=device, dtype=torch.int32) * self.bins
        for rows in _rows(values):
            self.positions_seen += len(rows)
            self.zeros += (rows == 0).sum(0).cpu()
            self.low = torch.minimum(self.low, rows.amin(0).cpu())
            self.high = torch.maximum(self.high, rows.amax(0).cpu())
            bin_ = ((rows - start) / width).clamp_(0, self.bins - 1).to(torch.int32).add_(first)
            self.counts += torch.bincount(bin_.flatten(), minlength=len(self.counts)).cpu()
            away = rows - centre
            self.sum += away.sum(0).cpu().double()
            self.products += (away.T @ away).cpu().double()

    def _add_highest(self, places: list[int], values: Float[Tensor, "b c h w"]) -> None:
        """Put the batch's highest among the k highest; where they lie is looked up for those only that come in."""
        peaks = values.float().amax((2, 3)).cpu()  # (b, c)
        pictures = torch.tensor(places)[:, None].expand_as(peaks)
        k = self.values.shape[1]
        all_values = torch.cat([self.values, peaks.T], 1)
        all_pictures = torch.cat([self.pictures, pictures.T], 1)
        # equal activations: that of the earlier picture first, whatever batch it came in
        by_picture = all_pictures.where(all_pictures >= 0, torch.iinfo(torch.long).max).argsort(1)
        order = by_picture.gather(1, all_values.gather(1, by_picture).argsort(dim=1, descending=True, stable=True))[
            :, :k
        ]
        channel, rank = (order >= k).nonzero(as_tuple=True)
        old = order.clamp(max=k - 1)
        positions = self.positions.gather(1, old[..., None].expand(-1, -1, 2))
        if len(channel):
            batch = order[channel, rank] - k
            where = values[batch.to(values.device), channel.to(values.device)].flatten(1).argmax(1).cpu()
            positions[channel, rank] = torch.stack([where // values.shape[3], where % values.shape[3]], 1)
        self.values, self.pictures, self.positions = (
            all_values.gather(1, order),
            all_pictures.gather(1, order),
            positions,
        )

    def result(self) -> TapScan:
        inner = self.start.double()[:, None] + self.width.double()[:, None] * torch.arange(self.bins + 1)
        inner[:, 0] = torch.minimum(inner[:, 0], self.low)
        inner[:, -1] = torch.where(self.high > self.low, self.high.double(), inner[:, -1]).maximum(inner[:, -2])
        offset = self.sum / self.positions_seen
        covariance = self.products / self.positions_seen - torch.outer(offset, offset)
        std = covariance.diagonal().clamp(min=0).sqrt()
        moving = std > 1e-7 * (self.centre.double() + offset).abs()  # less is float32's rounding
        scale = torch.where(moving, std, torch.inf)
        correlation = (covariance / torch.outer(scale, scale)).clamp(-1, 1)
        correlation.fill_diagonal_(1.0)
        none = self.pictures < 0
        return TapScan(
            tap=self.tap,
            values=self.values.masked_fill(none, 0.0).numpy(),
            pictures=self.pictures.numpy(),
            positions=self.positions.numpy(),
            maps=self.maps.numpy(),
            edges=inner.float().numpy(),
            counts=self.counts.view(-1, self.bins).numpy(),
            mean=(self.centre.double() + offset).float().numpy(),
            std=std.float().numpy(),
            zero=(self.zeros.double() / self.positions_seen).float().numpy(),
            correlation=correlation.float().numpy(),
        )
