"""Field: how far a network from picture to picture looks, measured, and whether it can be worked in tiles at all."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from impasto.networks.hooks import at_rest

NARROW = 16  # pixels across the strips that are tried: few, since all of them are spoiled
SHORTEST, LONGEST = 128, 4096
LARGEST_STEP = 64  # pixels: networks that work on a coarser grid are not tiled exactly
SAME = 1e-4  # of the largest value: closer than this, two results differ by rounding only

_ATTENTION, _POOLING = "self-attention", "global pooling"
_ALWAYS_GLOBAL = {
    "_adaptive_avg_pool2d": _POOLING,
    "adaptive_max_pool2d": _POOLING,
    "native_group_norm": "group norm",
    "_fft_r2c": "a Fourier transform",
    "_fft_c2c": "a Fourier transform",
    "_fft_c2r": "a Fourier transform",
}
_REDUCTIONS = {
    "_softmax": _ATTENTION,
    "_safe_softmax": _ATTENTION,
    "native_layer_norm": "layer norm over positions",
    "mean": _POOLING,
    "sum": _POOLING,
    "amax": _POOLING,
    "amin": _POOLING,
    "max": _POOLING,
    "min": _POOLING,
    "std": "a norm over positions",
    "var": "a norm over positions",
    "var_mean": "a norm over positions",
    "linalg_vector_norm": "a norm over positions",
    "cumsum": "a sum along the picture",
}
_RESAMPLING = ("convolution", "pool2d", "upsample", "_unshuffle", "_shuffle")
_ALONG = (-1, -2)  # dimensions: strips lie, and stand


@dataclass(frozen=True)
class Field:
    """What a tile must see for its part of the result to be that of the whole picture.

    Attributes:
        step: Tiles begin at multiples of this many input pixels, for the network works on such a grid.
        halo: Input pixels that a tile must see beyond its own, on every side.
        everywhere: Why every output pixel depends on the whole picture, in words; empty when it does not.
    """

    step: int
    halo: int
    everywhere: str = ""


@runtime_checkable
class _Knowing(Protocol):
    def own_field(self, scale: int) -> Field: ...


_measured: weakref.WeakKeyDictionary[nn.Module, dict[int, Field]] = weakref.WeakKeyDictionary()


def field_of(module: nn.Module, scale: int = 1) -> Field:
    """The field of a network, measured when it is asked for first.

    Three things are found out by running the network on narrow strips, lying and standing:

    1. the operations that run: what averages, normalises or attends over a number of positions that grows with the
       picture is global (squeeze-and-excitation, instance and group norm, self-attention), and the strides of what
       makes maps smaller give the grid;
    2. what one spoiled column, or row, of the grid spoils: not-a-numbers go through convolutions, poolings and
       activations to exactly what sees them (`impasto.networks.geometry` measures taps so);
    3. whether two tiles with that halo give what the whole strip gives. Where they do not, though nothing else spoke
       against it, the network knows where in the picture it is, or works on a coarser grid, which is tried.

    Args:
        module: (B, 3, H, W) → (B, C, scale·H, scale·W). It may name its grid, ``stride``, may say why it must not be
            tiled, ``everywhere``, and may know its field by that of a part of it, ``own_field(scale)``.
        scale: Times that it enlarges.

    >>> field_of(nn.Conv2d(3, 3, 5, padding=2))
    Field(step=1, halo=2, everywhere='')
    >>> field_of(nn.InstanceNorm2d(3)).everywhere
    'instance norm'
    """
    if isinstance(module, _Knowing):
        return module.own_field(scale)
    known = _measured.setdefault(module, {})
    if scale not in known:
        # cuDNN's Winograd convolutions would spread a not-a-number over the whole of their own little tiles
        with torch.no_grad(), at_rest(module), torch.backends.cudnn.flags(enabled=False):
            known[scale] = _measure(module, scale)
    return known[scale]


def _measure(module: nn.Module, scale: int) -> Field:
    stride, told = getattr(module, "stride", 1), getattr(module, "everywhere", "")
    step, reach, found = _operations(module, stride if isinstance(stride, int) else 1)
    if why := (told if isinstance(told, str) else "") or found:
        return Field(step, 0, why)
    while step <= LARGEST_STEP:
        halos = [_halo(module, scale, step, reach, along) for along in _ALONG]
        if None in halos:
            return Field(step, 0, f"a field of more than {LONGEST // 2} pixels")
        halo = max(halo or 0 for halo in halos)
        if all(_tiles_agree(module, scale, step, halo, along) for along in _ALONG):
            return Field(step, halo)
        step *= 2
    return Field(step, 0, "its position in the picture")


def _strip(module: nn.Module, length: int, along: int) -> Float[Tensor, "1 3 h w"]:
    """Noise: what is computed from it differs from place to place."""
    chance = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, NARROW, length, generator=chance).transpose(-1, along).contiguous()
    like = next((p for p in chain(module.parameters(), module.buffers()) if p.is_floating_point()), noise)
    return noise.to(like)


def _halo(module: nn.Module, scale: int, step: int, reach: int, along: int) -> int | None:
    """Pixels that an output pixel at a multiple of ``step`` sees beyond it; None if more than half of `LONGEST`.

    The strip is long enough for a single layer's reach, in positions of the grid at most: what a dilated convolution
    sees through its holes would else lie outside.
    """
    length = max(SHORTEST, 8 * step, 2 * reach * step)
    while length <= LONGEST:
        strip, middle = _strip(module, length, along), length // 2 // step * step
        strip.narrow(along, middle, step).fill_(float("nan"))
        spoiled = module(strip).isnan().any(dim=1).any(dim=-2 if along == -1 else -1)[0].nonzero().flatten()
        if not len(spoiled):
            return 0
        low, high = int(spoiled[0]), int(spoiled[-1]) + 1
        if low > 0 and high < length * scale:
            # an output pixel before what is spoiled saw it behind it; the first clean one beyond sees nothing of it
            return max(0, middle - low // scale, -(-high // scale) - (middle + step))
        length *= 2
    return None


def _tiles_agree(module: nn.Module, scale: int, step: int, halo: int, along: int) -> bool:
    """Whether parts of a strip, whose length is no multiple of the grid, give what the whole strip gives.

    They begin and end at odd multiples of the step: were the true grid coarser, they would lie beside it.
    """
    reach = -(-halo // step)
    length = (2 * reach + 9) * step + step // 2 + 1
    strip = _strip(module, length, along)
    whole = module(strip)
    for first, last in ((1, None), (3, None), (0, 2 * reach + 7), (1, 2 * reach + 8)):
        start = (first + reach) * step if first else 0
        stop = (last - reach) * step if last else length
        first, last = first * step, last * step if last else length
        seen = module(strip.narrow(along, first, last - first))
        if (whole.shape[along], seen.shape[along]) != (length * scale, (last - first) * scale):
            return False
        own = seen.narrow(along, (start - first) * scale, (stop - start) * scale)
        there = whole.narrow(along, start * scale, (stop - start) * scale)
        if own.shape != there.shape or float((own - there).abs().max()) > SAME * max(1.0, float(there.abs().max())):
            return False
    return True


def _operations(module: nn.Module, stride: int) -> tuple[int, int, str]:
    """The grid that a network works on, the longest kernel, and the global operation that it runs, if any."""
    step, reach = stride, 0
    for along in _ALONG:
        short, long = (_record(module, length, along) for length in (SHORTEST, 2 * SHORTEST))
        reach = max(reach, short.reach)
        if len(short.found) != len(long.found):
            return step, reach, "what it does depends on the picture's size"
        for (name, size, reduced, why), (_, larger, more, _) in zip(short.found, long.found, strict=True):
            if why and (reduced is None or reduced != more):
                return step, reach, why
            if any(word in name for word in _RESAMPLING) and larger > size:
                # a border without padding costs positions: only the difference of two lengths tells the stride
                step = math.lcm(step, max(1, round(SHORTEST / (larger - size))))
    return min(step, 2 * LARGEST_STEP), reach, ""


def _record(module: nn.Module, length: int, along: int) -> _Operations:
    with _Operations(along) as seen:
        module(_strip(module, length, along))
    return seen


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down what runs.

    Attributes:
        along: The dimension along which the picture is long.
        found: Of each operation: name, length of what comes out, over how many values it reduces (None: always all of
            the picture), and why that is global where the number grows with the picture.
        reach: Positions from one end of the longest kernel to the other.
    """

    def __init__(self, along: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.along = along
        self.found: list[tuple[str, int, int | None, str]] = []
        self.reach = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: it would import the whole compiler, which takes seconds, to keep it from what is not compiled."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and write it down."""
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | (kwargs or {})
        first = out[0] if isinstance(out, tuple | list) and out else out
        length = first.shape[self.along] if isinstance(first, Tensor) and first.ndim == 4 else 0
        reduced, why = _reduction(name, given)
        self.found.append((name, length, reduced, why))
        if "convolution" in name and "dilation" in given:
            kernel = given["weight"].shape[2:]
            self.reach = max(self.reach, *(d * (k - 1) for d, k in zip(given["dilation"], kernel, strict=False)), 0)
        return out


def _reduction(name: str, given: dict[str, Any]) -> tuple[int | None, str]:
    """Over how many values an operation reduces, and what such a thing is called; None for always all of them."""
    if name in _ALWAYS_GLOBAL:
        return None, _ALWAYS_GLOBAL[name]
    if "batch_norm" in name:  # with statistics of the picture itself: instance norm
        return (None, "instance norm") if given.get("training") or given.get("use_input_stats") else (0, "")
    if name.startswith("_scaled_dot_product"):
        return int(given["key"].shape[-2]), _ATTENTION
    if name in ("bmm", "mm"):
        second = given["mat2"]
        return int(second.shape[-2]), _ATTENTION
    if name not in _REDUCTIONS:
        return 0, ""
    whole = given.get("self", given.get("input"))
    if name == "native_layer_norm":
        return math.prod(given["normalized_shape"]), _REDUCTIONS[name]
    if not isinstance(whole, Tensor) or isinstance(given.get("other"), Tensor):
        return 0, ""
    over = given.get("dim")
    dims = range(whole.ndim) if over is None or over == [] else [over] if isinstance(over, int) else over
    return math.prod(whole.shape[d] for d in dims), _REDUCTIONS[name]
