"""Live activations: what every layer of a network makes of one picture, as a page to walk through, after Quiver."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.inspection.folder.options import ActivationOptions
from impasto.inspection.folder.page import render
from impasto.inspection.folder.pictures import shape_for, sized
from impasto.inspection.folder.sprites import data_uri
from impasto.inspection.folder.top_patches import geometries
from impasto.inspection.predictions import Prediction, top_classes
from impasto.inspection.progress import Progress
from impasto.inspection.subject import subject
from impasto.inspection.units import Unit, name_of
from impasto.networks import Network, Taps
from impasto.networks.geometry import TapGeometry
from impasto.networks.hooks import at_rest, hooked
from impasto.networks.taps import OUTPUT
from impasto.networks.weights import Download
from impasto.runs.options_file import merge

LAYER_PIXELS = 400_000  # of all maps of a layer together, at most: a page of 20 layers stays a few megabytes
EVERYWHERE = TapGeometry(0, 0, 0, everywhere=True)

_QUALITY = 90


@dataclass(frozen=True, eq=False)
class LayerActivations:
    """What a layer makes of the picture.

    Attributes:
        tap: Its name.
        kind: The class of its module, ``Conv2d`` or ``Fire``.
        shape: Channels, height and width.
        low: Lowest activation of each channel.
        high: Highest.
        mean: Of each channel.
        zero: The part of each that is exactly 0.
        peak: (row, column) of each one's highest.
        maps: The maps in 256 steps from their own lowest to their highest; averaged to fewer positions where a
            layer has too many for a page.
        geometry: Where it looks.
    """

    tap: str
    kind: str
    shape: tuple[int, int, int]
    low: Float[np.ndarray, " c"]
    high: Float[np.ndarray, " c"]
    mean: Float[np.ndarray, " c"]
    zero: Float[np.ndarray, " c"]
    peak: np.ndarray
    maps: np.ndarray
    geometry: TapGeometry


@dataclass(frozen=True, eq=False)
class LiveActivations:
    """All layers of a network, for one picture.

    Attributes:
        layers: In running order.
        predictions: The most probable classes, if the network is a classifier.
        page: All of it, as HTML.
    """

    layers: tuple[LayerActivations, ...]
    predictions: tuple[Prediction, ...]
    page: str

    def save(self, path: Path | str) -> Path:
        """Write the page, whole or not at all."""
        replace_file(path, self.page.encode())
        return Path(path)


def activations(
    image: Path | str,
    *,
    network: Network | str | None = None,
    options: ActivationOptions | None = None,
    progress: Progress | None = None,
    download: Download | None = None,
    **fields: Any,
) -> LiveActivations:
    """Show what every layer makes of a picture, channel by channel.

    Args:
        image: The picture.
        network: Whose layers; a name, or a network as it is. Default: the options' network.
        options: All options at once; ``fields`` go over it.
        progress: Called with the part that is done and a few words.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`ActivationOptions`.

    Raises:
        UsageError: No such picture, network or tap; or the network has no layer with channels to show.
        ImpastoError: The weights cannot be had.
    """
    named = {"network": network} if isinstance(network, str) else {}
    options = merge(ActivationOptions, options, named, fields)
    tell = progress or (lambda _done, _words: None)
    of = subject(network or options.network, options.weights, options.device, download)
    picture = sized(image, options.size, shape_for(of))
    device = next(of.module.parameters(), torch.empty(0)).device
    with torch.inference_mode(), at_rest(of.module):
        taps = options.taps or stages(of, picture.to(device))
        found = Taps(of, taps)(picture.to(device))
    tell(0.3, "measuring receptive fields")
    # what has one position sees everything, or nothing is lost by saying so: to measure it takes long
    geometry = geometries(of, [tap for tap in taps if found[tap].shape[2:].numel() > 1])
    modules = dict(of.module.named_modules())
    layers = []
    for number, tap in enumerate(taps):
        tell(0.4 + 0.6 * number / len(taps), tap)
        module = modules.get(of.aliases.get(tap, tap))
        kind = type(module).__name__ if module is not None else "scores" if tap == OUTPUT else "picture"
        layers.append(_layer(tap, kind, found[tap], geometry.get(tap, EVERYWHERE), of))
    predictions = top_classes(of, picture, options.top) if of.classes else ()
    page = _page(of, Path(image).name, picture, layers, predictions)
    tell(1.0, "shown")
    return LiveActivations(tuple(layers), predictions, page)


def stages(network: Network, picture: Float[Tensor, "1 3 h w"]) -> tuple[str, ...]:
    """The layers that tell the network's story: its parts, and those of parts that are chains, as they run.

    Raises:
        UsageError: None of them gives maps of channels.
    """
    names = {path: name for name, path in network.aliases.items()}
    wanted = []
    for name, part in network.module.named_children():
        inside = list(part.named_children()) if isinstance(part, nn.Sequential) else []
        parts = [(f"{name}.{child}", layer) for child, layer in inside] or [(name, part)]
        wanted += [path for path, layer in parts if not isinstance(layer, nn.Dropout | nn.Flatten)]
    ran: dict[str, int] = {}

    def note(path: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _layer, _inputs, output: ran.update({path: output.ndim if isinstance(output, Tensor) else 0})

    with hooked(network.module, {path: note(path) for path in wanted}):
        network.module(network.normalise(picture))
    shown = [path for path in ran if ran[path] in (3, 4)]
    if not shown:
        raise UsageError(f"{network.name} has no convolution whose maps could be shown: name layers with --taps")
    return tuple(names.get(path, path) for path in shown)


def _layer(tap: str, kind: str, values: Tensor, geometry: TapGeometry, network: Network) -> LayerActivations:
    if values.ndim == 2:
        values = values[:, :, None, None]
    if values.ndim != 4:
        raise UsageError(f"{tap} of {network.name} has no channels: choose a layer that gives maps or scores")
    maps = values[0].detach().float().cpu()
    channels, height, width = maps.shape
    flat = maps.flatten(1)
    where = flat.argmax(1)
    shrink = math.sqrt(LAYER_PIXELS / maps.numel())
    small = maps
    if shrink < 1:
        small = F.adaptive_avg_pool2d(maps[None], (max(1, int(height * shrink)), max(1, int(width * shrink))))[0]
    low, high = flat.amin(1), flat.amax(1)
    span = (high - low).clamp(min=1e-30)[:, None, None]
    steps = ((small - low[:, None, None]) / span * 255).round().clamp(0, 255).byte()
    return LayerActivations(
        tap=tap,
        kind=kind,
        shape=(channels, height, width),
        low=low.numpy(),
        high=high.numpy(),
        mean=flat.mean(1).numpy(),
        zero=(flat == 0).float().mean(1).numpy(),
        peak=torch.stack([where // width, where % width], 1).numpy(),
        maps=steps.numpy(),
        geometry=geometry,
    )


def _page(
    network: Network,
    name: str,
    picture: Float[Tensor, "1 3 h w"],
    layers: Sequence[LayerActivations],
    predictions: Sequence[Prediction],
) -> str:
    height, width = picture.shape[-2:]
    pixels = (picture[0].permute(1, 2, 0) * 255).round().byte().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    data = {
        "width": width,
        "height": height,
        "layers": [_facts(layer, network) for layer in layers],
    }
    return render(
        "live.html.j2",
        title=f"{network.name} sees {name}",
        about=f"{len(layers)} layers; the picture at {width} × {height} pixels",
        picture=data_uri(buffer.getvalue(), "image/jpeg"),
        name=name,
        width=width,
        height=height,
        layers=layers,
        predictions=predictions,
        data=data,
    )


def _facts(layer: LayerActivations, network: Network) -> dict[str, Any]:
    """A layer for the page: its maps as one gray PNG, and its numbers to four digits."""
    count, height, width = layer.maps.shape
    columns = math.ceil(math.sqrt(count * height / width))
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * height, columns * width), np.uint8)
    for number, one in enumerate(layer.maps):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height, left : left + width] = one
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    seen = layer.geometry
    return {
        "tap": layer.tap,
        "kind": layer.kind,
        "shape": layer.shape,
        "sheet": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(),
        "tile": [width, height],
        "columns": columns,
        "low": _numbers(layer.low),
        "high": _numbers(layer.high),
        "mean": _numbers(layer.mean),
        "zero": _numbers(layer.zero),
        "peak": layer.peak.tolist(),
        "names": _names(layer, network),
        "geometry": [0, 0, 0] if seen.everywhere else [seen.stride, seen.before, seen.after],
    }


def _names(layer: LayerActivations, network: Network) -> list[str]:
    """The classes that a layer's channels stand for; none of a layer that only has as many channels."""
    if layer.shape[0] != len(network.classes):
        return []
    names = [name_of(network, Unit(layer.tap, channel)) for channel in range(layer.shape[0])]
    return names if any(names) else []


def _numbers(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
