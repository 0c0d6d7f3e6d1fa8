"""Grad-CAM: where in a deep layer's map there is what raises the score."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.inspection.attribution.attribution import Attribution
from impasto.inspection.attribution.gradients import device_of
from impasto.networks import Network, Taps
from impasto.networks.hooks import After, at_rest, hooked
from impasto.networks.taps import OUTPUT, PIXELS, as_map


def grad_cam(network: Network, image: Float[Tensor, "1 3 h w"], index: int, *, tap: str | None = None) -> Attribution:
    """The channels of a tap, weighted by the mean gradient of the score at each; what is negative is dropped.

    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization" (2017), eq. 1
    and 2. The map is as coarse as the tap; it is enlarged bilinearly. Transformers' tokens count as the map that they
    stand for.

    Args:
        network: A classifier.
        image: In [0, 1].
        index: The class.
        tap: Any layer whose activations have positions. Default: :func:`default_tap`.

    Raises:
        UsageError: No such tap, or it has no positions.
    """
    path = default_tap(network, image, index) if tap is None else _path(network, tap)
    found = _outputs_and_gradients(network, image, index, [path])
    if path not in found:
        raise UsageError(f"{network.name} never runs {tap}, or it gives no tensor: choose another layer")
    activation, slope = found[path]
    if not _has_positions(activation):
        raise UsageError(f"{tap} of {network.name} has no positions, which grad-cam shows: choose a layer with maps")
    weights = slope.mean((2, 3), keepdim=True)
    coarse = (weights * activation).sum(1, keepdim=True).relu()
    map = F.interpolate(coarse, size=image.shape[-2:], mode="bilinear", align_corners=False)[0].cpu()
    h, w = coarse.shape[-2:]
    return Attribution("grad-cam", map, map[0], signed=False, facts={"tap": tap or path, "positions": f"{w}×{h}"})


def default_tap(network: Network, image: Float[Tensor, "1 3 h w"], index: int) -> str:
    """The last layer with positions through which the score's gradient runs.

    Layers that only select or average (pooling, dropout, ReLUs by themselves) do not count, nor do the last layer with
    weights, whose map is the classes', and the inner products of transformers. A transformer that is read at its class
    token sends no gradient to the other tokens of its last block's output: there it is the norm at that block's
    beginning.

    Raises:
        UsageError: There is none.
    """
    layers = {
        path: layer for path, layer in network.module.named_modules() if path and any(True for _ in layer.parameters())
    }
    leaves = {path for path, layer in layers.items() if not any(True for _ in layer.children())}
    order: list[str] = []

    def note(path: str) -> After:
        return lambda _layer, _inputs, _output: order.append(path)

    with at_rest(network.module), torch.no_grad(), hooked(network.module, {path: note(path) for path in layers}):
        Taps(network, [OUTPUT])(image.to(device_of(network)))
    last = max((at for at, path in enumerate(order) if path in leaves), default=0)
    candidates = [path for path in dict.fromkeys(order[:last]) if not isinstance(layers[path], nn.Linear)]
    found = _outputs_and_gradients(network, image, index, candidates)
    with_positions = [path for path in candidates if path in found and _has_positions(found[path][0])]
    if not with_positions:
        raise UsageError(f"{network.name} has no layer with positions, which grad-cam shows: choose another method")
    return next((path for path in reversed(with_positions) if found[path][1].any()), with_positions[-1])


def _outputs_and_gradients(
    network: Network, image: Tensor, index: int, paths: list[str]
) -> dict[str, tuple[Tensor, Tensor]]:
    """By module path, what the layer gives and the score's gradient there, as maps; layers that do not run are left
    out, and those that give no tensor."""
    caught: dict[str, Tensor] = {}

    def catch(path: str) -> After:
        def hook(_layer: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
            if not isinstance(output, Tensor) or not output.requires_grad:
                return None
            caught[path] = output
            return output.clone()  # what the next layer does in place, it does to a copy

        return hook

    with at_rest(network.module), torch.enable_grad():
        x = image.detach().to(device_of(network)).clone().requires_grad_()
        with hooked(network.module, {path: catch(path) for path in paths}):
            score = Taps(network, [OUTPUT])(x)[OUTPUT][:, index].sum()
        slopes = torch.autograd.grad(score, list(caught.values()), materialize_grads=True) if caught else ()
    module = network.module
    return {
        path: (as_map(output.detach(), module, x), as_map(slope, module, x))
        for (path, output), slope in zip(caught.items(), slopes)
    }


def _has_positions(activation: Tensor) -> bool:
    return activation.ndim == 4 and activation.shape[-2] * activation.shape[-1] > 1


def _path(network: Network, tap: str) -> str:
    """The module path of a tap."""
    if tap in (PIXELS, OUTPUT):
        raise UsageError(f"grad-cam looks into layers, and {tap} is none: choose one of {network.name}'s layers")
    Taps(network, [tap])  # says which taps there are, where there is no such
    return network.aliases.get(tap, tap)
