"""Loading: from a name and perhaps a file of weights to a network that is ready to be tapped."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks import catalogue, pocket
from impasto.networks.layers import Padding, Pooling, exchange
from impasto.networks.names import nearest
from impasto.networks.network import Network, chain, vgg_aliases
from impasto.networks.surgery.normalised import insert_as_in
from impasto.networks.weights import Download, WeightsFile, fetch, hub_file, sha256_of


def load(
    name: str = "pocket",
    *,
    weights: Path | str | None = None,
    pooling: Pooling = "max",
    padding: Padding = "zeros",
    progress: Download | None = None,
) -> Network:
    """A network of the catalogue, frozen and in evaluation mode, on the CPU.

    Args:
        name: ``pocket``, ``vgg16``, ``vgg19``, ``squeezenet1_0``, ``squeezenet1_1`` or ``timm:NAME``.
        weights: A safetensors or .pth file to take instead of the published weights. A file that holds only the
            first layers gives the network down to there.
        pooling: What stands in place of max pooling.
        padding: What convolutions see beyond the picture's border.
        progress: Called with (bytes done, bytes in all) during a download.

    Raises:
        UsageError: An unknown network, or a file that does not hold its weights.
        ImpastoError: The weights cannot be downloaded; the message says which file to put where.
    """
    if name.startswith("timm:"):
        network = _load_timm(name, weights, progress)
    else:
        entry = catalogue.entry(name)
        if weights is not None:
            path = Path(weights)
        else:
            path = fetch(entry.weights, progress=progress) if entry.weights else pocket.packaged()
        state = read_weights(path)
        network = (_pocket if name == "pocket" else _torchvision)(entry, state, path)
    network.module.requires_grad_(False).eval().to(memory_format=torch.channels_last)
    exchange(network.module, pooling=pooling, padding=padding)
    # the chain's layers are those of the module after the exchange
    trunk = tuple((path, network.module.get_submodule(path)) for path, _ in network.trunk)
    return replace(network, trunk=trunk, geometry={})


def require(name: str) -> None:
    """Check that there is such a network, without loading it."""
    if name.startswith("timm:"):
        _require_timm(name.removeprefix("timm:"))
    else:
        catalogue.entry(name)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors or .pth file; nothing that the file holds is ever run.

    Raises:
        UsageError: No such file, or not a file of weights.
    """
    if not path.is_file():
        raise UsageError(f"no weights file {path}: check the name given with --weights")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UsageError(
            f"{path} is not a readable file of weights ({type(error).__name__}): give a safetensors or a .pth file"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise UsageError(f"{path} does not hold a dictionary of tensors: save the network's state_dict()")
    return state


def _pocket(entry: catalogue.Entry, state: dict[str, Tensor], path: Path) -> Network:
    module = pocket.architecture()
    _fill(module, state, entry.name, path)
    metrics = {key.removeprefix("metrics."): m.float() for key, m in state.items() if key.startswith("metrics.")}
    return pocket.as_network(module, sha256_of(path), metrics)


def _torchvision(entry: catalogue.Entry, state: dict[str, Tensor], path: Path) -> Network:
    """A torchvision VGG or SqueezeNet, cut to the layers for which there are weights."""
    from torchvision import models

    with torch.device("meta"):
        module = getattr(models, entry.name)()
    depths = [int(key.split(".")[1]) for key in state if key.startswith("features.") and key.split(".")[1].isdigit()]
    if not depths:
        raise UsageError(
            f"{path} holds no weights of {entry.name} (no key features.N.…): is it another network's file?"
        )
    whole = max(depths) == max(int(k.split(".")[1]) for k in module.state_dict() if k.startswith("features."))
    if not whole:
        layers = module.features[: max(depths) + 2]  # and the ReLU after the last convolution
        module.features = layers if isinstance(layers[-1], nn.ReLU) else layers[:-1]
    classifies = whole and any(key.startswith("classifier.") for key in state)
    if not classifies:
        module.avgpool = module.classifier = nn.Identity()
    for layer in module.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # else the tap of a convolution would show what the ReLU made of it
    _fill(module, state, entry.name, path)
    trunk = chain(module, "features")
    aliases = vgg_aliases(trunk) if entry.name.startswith("vgg") else {}
    there = {*aliases, *(name for name, _ in trunk)}
    return Network(
        entry.name,
        module,
        trunk=trunk,
        aliases=aliases,
        style_taps=tuple(tap for tap in entry.style_taps if tap in there),
        content_taps=tuple(tap for tap in entry.content_taps if tap in there) or (_last_relu(trunk, aliases),),
        classes=tuple(models.get_model_weights(entry.name).DEFAULT.meta["categories"]) if classifies else (),
        sha256=sha256_of(path),
    )


def _last_relu(trunk: tuple[tuple[str, nn.Module], ...], aliases: dict[str, str]) -> str:
    """The deepest tap after a ReLU one layer short of the end: what a shortened network offers for content."""
    names = {path: name for name, path in aliases.items()}
    relus = [names.get(path, path) for path, layer in trunk if not isinstance(layer, nn.Conv2d | nn.MaxPool2d)]
    return relus[-2] if len(relus) > 1 else relus[-1]


def _load_timm(name: str, weights: Path | str | None, progress: Download | None) -> Network:
    """Any network of timm, tapped by module path."""
    import timm

    model = name.removeprefix("timm:")
    path = Path(weights) if weights is not None else fetch(timm_weights(model), progress=progress)
    _require_timm(model)
    try:
        module = timm.create_model(model, pretrained=False, dynamic_img_size=True)  # transformers at any size
    except TypeError:
        module = timm.create_model(model, pretrained=False)
    settings = cast(dict[str, Any], module.pretrained_cfg)
    _fill(module, read_weights(path), name, path)
    stages = [info["module"] for info in getattr(module, "feature_info", []) if info.get("module")]
    return Network(
        name,
        module,
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        style_taps=tuple(stages),
        content_taps=tuple(stages[-2:-1] or stages),
        classes=_timm_classes(module),
        sha256=sha256_of(path),
    )


def _timm_classes(module: nn.Module) -> tuple[str, ...]:
    """What the scores of a network of timm stand for: ImageNet's names where there are as many, else numbers."""
    from timm.data import ImageNetInfo, infer_imagenet_subset  # type: ignore[attr-defined]

    count = int(getattr(module, "num_classes", 0) or 0)
    subset = infer_imagenet_subset(module)
    if subset is None:
        return tuple(f"class {index}" for index in range(count))
    names = ImageNetInfo(subset)  # reads a file of 21 000 names
    return tuple(names.index_to_description(index) for index in range(count))


def timm_weights(model: str) -> WeightsFile:
    """Where timm's weights of a model are published.

    Raises:
        UsageError: timm has no such model, or publishes no weights of it.
    """
    from timm.models import get_pretrained_cfg

    _require_timm(model)
    settings = get_pretrained_cfg(model)
    if settings is None or not settings.hf_hub_id:
        raise UsageError(f"timm publishes no weights for {model}: give a tag, {model}.TAG, or --weights FILE")
    return hub_file(settings.hf_hub_id)


def _require_timm(model: str) -> None:
    import timm

    if not timm.is_model(model):
        raise UsageError(f"timm has no model {model!r}: it has {nearest(model, timm.list_models(pretrained=True))}")


def _fill(module: nn.Module, state: dict[str, Tensor], name: str, path: Path) -> None:
    """Put the tensors of ``state`` into the module; extra ones (a classifier that was cut off) are left out.

    Convolutions that have a batch norm in ``state`` (`impasto.networks.surgery`) get one.
    """
    insert_as_in(module, state)
    wanted = module.state_dict()
    missing = [key for key in wanted if key not in state]
    misshapen = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    if missing or misshapen:
        what = f"lacks {missing[0]}" if missing else f"has {misshapen[0]} in another shape"
        raise UsageError(f"{path} is not a weights file of {name}: it {what}")
    module.load_state_dict({key: state[key].to(wanted[key].dtype) for key in wanted}, assign=True)
