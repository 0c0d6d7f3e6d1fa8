"""Make: the network that options ask for, its encoder pretrained, and its parameters in groups."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from impasto import networks
from impasto.errors import UsageError
from impasto.networks.network import Network
from impasto.networks.weights import Download
from impasto.training.stage import parse_stage
from impasto.translation import model as models
from impasto.translation.architectures import build
from impasto.translation.architectures.encoder import Encoder, depth_of, fill
from impasto.translation.architectures.unet import UNet
from impasto.translation.names import ArchitectureName
from impasto.translation.options import EnhancementOptions, TranslationOptions

log = logging.getLogger("impasto")

# The architectures that a setting changes something of; those that are not here change all, or are refused elsewhere.
_OF: dict[str, tuple[ArchitectureName, ...]] = {
    "encoder": ("unet",),
    "weights": ("unet",),
    "blur": ("unet",),
    "icnr": ("unet", "light"),
    "attention": ("unet",),
    "cross": ("unet",),
    "norm": ("unet",),
    "factored": ("transformer",),
    "discriminative": ("unet",),
}
# Settings of the stages named gan.
_OF_GAN = (
    "adversarial",
    "adversarial_weight",
    "content_weight",
    "critic",
    "critic_epochs",
    "switch",
    "automatic_stop",
)
# Settings of all other stages.
_OF_OTHERS = ("optimizer", "discriminative", "schedule", "weight_decay", "clip")
# Settings of the network whose activations are compared.
_OF_FEATURES = ("feature_network", "feature_weights", "feature_taps")


def architecture_of(options: TranslationOptions, *, scale: int, out: int, network: Network | None) -> dict[str, Any]:
    """What `impasto.translation.architectures.build` is to make.

    Args:
        options: What was asked.
        scale: Times that it enlarges.
        out: Channels that come out.
        network: The encoder's, of a U-Net that begins pretrained.

    Raises:
        UsageError: An architecture that does not do this.
    """
    kind = kind_of(options)
    given = options.model_dump(include={"width", "blocks", "fold"}, exclude_none=True)
    if kind == "unet":
        if scale != 1:
            raise UsageError("a U-Net keeps the size: superres takes --architecture light or transformer")
        if misplaced := given.keys() - {"width"}:
            raise UsageError(
                f"a U-Net has no {' or '.join(sorted(misplaced))}: leave it out, or take another architecture"
            )
        return {
            "kind": "unet",
            "encoder_name": options.encoder,
            "layers": depth_of(network) if network else None,
            "out": out,
            **given,
            **({} if isinstance(options, EnhancementOptions) else {"residual": False}),  # scores are no picture
            **options.model_dump(include={"blur", "icnr", "attention", "cross", "norm"}),
        }
    if kind == "transformer":
        if "fold" in given:
            raise UsageError("a transformer network folds nothing: leave --fold out, or take --architecture light")
        return {"kind": "transformer", "scale": scale, **options.model_dump(include={"factored"}), **given}
    fold = {"fold": 2} if scale == 1 else {}
    return {"kind": "light", "scale": scale, "icnr": options.icnr, **fold, **given}


def require_used(options: TranslationOptions) -> None:
    """Refuse what was given and would change nothing of this architecture, or of these stages.

    A run's own options hold all fields, so only what differs from the defaults counts, and a run that is resumed is not
    asked.

    Raises:
        UsageError: Something was.
    """
    kind, fields = kind_of(options), type(options).model_fields
    given = [name for name in options.model_fields_set if getattr(options, name) != fields[name].default]
    if idle := [name for name, kinds in _OF.items() if kind not in kinds and name in given]:
        fitting = [one for one in _possible(options) if all(one in _OF[name] for name in idle)]
        other = f", or take --architecture {' or '.join(fitting)}" if fitting else ""
        raise _idle(idle, f"of a {kind} network", other)
    games = [parse_stage(text).layers == "gan" for text in options.stages]
    if not any(games) and (idle := [name for name in _OF_GAN if name in given]):
        raise _idle(idle, "without a stage named gan", ", or add one, as --stages all:10 gan:2")
    if all(games) and (idle := [name for name in _OF_OTHERS if name in given]):
        raise _idle(idle, "of stages named gan", ", or add another stage, as --stages all:10 gan:2")
    if isinstance(options, EnhancementOptions):
        if options.adversarial == "wasserstein" and "switch" in given:
            raise _idle(["switch"], "of wasserstein, whose loss has no level of chance", "")
        if not (options.features or options.gram) and (idle := [name for name in _OF_FEATURES if name in given]):
            raise _idle(idle, "of a loss of pixels alone", ", or give --features or --gram a weight")


def _idle(names: Sequence[str], where: str, other: str) -> UsageError:
    change, it = ("changes", "it") if len(names) == 1 else ("change", "them")
    flags = " and ".join(f"--{name.replace('_', '-')}" for name in names)
    return UsageError(f"{flags} {change} nothing {where}: leave {it} out{other}")


def _possible(options: TranslationOptions) -> tuple[ArchitectureName, ...]:
    if not isinstance(options, EnhancementOptions):
        return ("unet",)
    return ("light", "transformer") if options.scale > 1 else ("unet", "light", "transformer")


def kind_of(options: TranslationOptions) -> ArchitectureName:
    """The architecture, where it was left open the task's."""
    if options.architecture != "auto":
        return options.architecture
    return "unet" if isinstance(options, EnhancementOptions) and options.task == "colorize" else "light"


def make(
    options: TranslationOptions, *, scale: int = 1, out: int = 3, download: Download | None = None
) -> tuple[nn.Module, dict[str, Any], dict[str, str]]:
    """A new network in evaluation mode, what it is made of, and the hashes by name of the weights that it begins with.

    Raises:
        UsageError: An unknown network or model, or settings that do not go together.
        ImpastoError: Weights that cannot be downloaded.
    """
    network = None
    if kind_of(options) == "unet" and options.weights != "none":
        network = networks.load(options.encoder, weights=options.weights, progress=download)
    architecture = architecture_of(options, scale=scale, out=out, network=network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        module = build(architecture)
    if network:
        fill(_encoder(module), network)
    used = {options.encoder: network.sha256} if network else {}
    if options.init:
        used[options.init] = _begin_with(module, options.init)
    module.to(memory_format=torch.channels_last)
    return module.eval(), architecture, used


def groups_of(module: nn.Module, layers: str) -> list[list[nn.Parameter]]:
    """The parameters that a stage trains, in groups from the lowest up: of a U-Net its encoder's halves and the rest.

    Everything else is frozen.

    Raises:
        UsageError: A stage of the decoder, of a network that has none.
    """
    if layers == "decoder" and not isinstance(module, UNet):
        raise UsageError("only a U-Net has a decoder: write all:EPOCHS, or take --architecture unet")
    module.requires_grad_(True)
    if not isinstance(module, UNet):
        return [list(module.parameters())]
    pretrained = list(module.encoder.parameters())
    rest = list(module.decoder.parameters())
    if layers == "decoder":
        module.encoder.requires_grad_(False)
        return [rest]
    half = len(pretrained) // 2
    return [pretrained[:half], pretrained[half:], rest]


def _encoder(module: nn.Module) -> Encoder:
    assert isinstance(module, UNet)
    return module.encoder


def _begin_with(module: nn.Module, name: str) -> str:
    """Give a network what fits of a model's weights, and return their hash; of another scale, all but the end."""
    model = models.load(name)
    state = model.module.state_dict()
    own = module.state_dict()
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    if not fitting:
        raise UsageError(f"nothing of the model {name} fits: its architecture is another")
    module.load_state_dict(own | fitting)
    if left := len(own) - len(fitting):
        log.warning("%d of %d tensors are of %s; the other %d begin anew", len(fitting), len(own), name, left)
    return model.sha256
