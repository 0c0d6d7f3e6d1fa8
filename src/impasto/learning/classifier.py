"""A classifier: a network down to a tap, and a head on its activations; in a file and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.learning.box_head import BoxHead
from impasto.learning.groups import Groups, layer_groups
from impasto.learning.heads import HeadName, head
from impasto.learning.pictures import Fit, Preprocessing
from impasto.learning.pooling import pooled
from impasto.networks import Network, Taps, load
from impasto.networks.network import IMAGENET_MEAN, IMAGENET_STD
from impasto.networks.scratch import scratch_named
from impasto.networks.weights import Download
from impasto.runs import checkpoint as checkpoints
from impasto.runs.checkpoint import Checkpoint

OURS = "impasto."  # before the names of what stands on the network, in a file of weights


class Description(BaseModel):
    """What a classifier is, beside its weights: kept in their file, enough to build it again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str
    tap: str
    classes: tuple[str, ...]
    head: HeadName = "linear"
    dropout: float = 0.25
    boxes: bool = False
    batch_norm: bool = True
    input_batch_norm: bool = False
    size: int = 224
    fit: Fit = "squish"

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture must come."""
        return Preprocessing(self.size, self.fit)


class Answer(NamedTuple):
    """What a classifier says of a batch.

    Attributes:
        logits: (B, k), one score a class.
        boxes: (B, 4), left, top, right, bottom as parts of the picture, or None.
    """

    logits: Tensor
    boxes: Tensor | None = None


class Classifier(nn.Module):
    """Pictures in [0, 1] to one score a class, and perhaps a box.

    Attributes:
        description: What it is.
        network: The network it began with, whose weights training moves.
    """

    def __init__(self, description: Description, network: Network, seed: int = 0) -> None:
        super().__init__()
        self.description = description
        self.network = network
        self._taps = Taps(network, [description.tap])
        self.input_norm = _input_norm() if description.input_batch_norm else nn.Identity()
        self.body = network.module
        with torch.no_grad():
            size = description.size
            activations = self._taps(torch.zeros(1, 3, size, size))[description.tap]  # not through the new norm
        if description.boxes and activations.ndim != 4:
            raise UsageError(
                f"{description.tap} of {network.name} has no positions, which boxes need: choose another tap"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = head(
                description.head, pooled(activations).shape[1], len(description.classes), description.dropout
            )
            self.box_head = BoxHead(activations.shape[1]) if description.boxes else nn.Identity()

    def activations(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h_t w_t"]:
        """The activations of the tap, before the head pools them."""
        return self._taps(self.input_norm(images))[self.description.tap]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Answer:
        """Scores, and boxes where they are learnt."""
        return self.answer(self.activations(images))

    def answer(self, activations: Float[Tensor, "b c h w"]) -> Answer:
        """The same from the tap's activations."""
        boxes = self.box_head(activations) if self.description.boxes else None
        return Answer(self.head(pooled(activations)), boxes)

    def groups(self) -> Groups:
        """The layer groups of the network below the head."""
        return layer_groups(self.network, self.description.tap)

    def heads(self) -> list[nn.Module]:
        """What stands on the network, and what stands before it: all that is new."""
        return [part for part in (self.input_norm, self.head, self.box_head) if any(True for _ in part.parameters())]


def classifier(
    classes: Sequence[str],
    *,
    network: str = "squeezenet1_0",
    weights: Path | None = None,
    tap: str | None = None,
    seed: int = 0,
    progress: Download | None = None,
    **parts: Any,
) -> Classifier:
    """A new classifier on a network of the catalogue; its head knows nothing yet.

    Args:
        classes: The labels.
        network: The network's name, or one of scratch: ``scratch:plain``, ``scratch:residual``, ``scratch:plain-56x8``.
        weights: A file of weights instead of the published ones.
        tap: The layer that the head stands on; by default the last one before the network's own classifier.
        seed: Of the new weights.
        progress: Called with (bytes done, bytes in all) during a download.
        parts: Further fields of :class:`Description`.

    Raises:
        UsageError: No such network or tap, or pictures too small for it.
    """
    batch_norm = bool(parts.get("batch_norm", True))
    loaded = _network(network, weights, batch_norm, seed, progress)
    description = Description(network=network, tap=tap or default_tap(loaded), classes=tuple(classes), **parts)
    return Classifier(description, loaded, seed)


def default_tap(network: Network) -> str:
    """The deepest layer that says of each place what is there: the last before the network's own classifier.

    Raises:
        UsageError: The network does not tell.
    """
    if network.trunk:
        last = network.trunk[-1][0]
        return next((name for name, path in network.aliases.items() if path == last), last)
    if network.style_taps:
        return network.style_taps[-1]
    raise UsageError(f"{network.name} does not tell which layer a head can stand on: name one with --tap")


def save(model: Classifier, path: Path) -> None:
    """Write a classifier: the network's weights under their own names, so that they load as such, and the head's.

    Raises:
        ImpastoError: The disk is full.
    """
    tensors = dict(model.body.state_dict())
    for part in ("input_norm", "head", "box_head"):
        tensors |= {f"{OURS}{part}.{k}": v for k, v in getattr(model, part).state_dict().items()}
    checkpoints.save(path, Checkpoint(tensors, {"classifier": model.description.model_dump(mode="json")}))


def read(path: Path) -> Classifier:
    """The classifier of a file, in evaluation mode.

    Raises:
        UsageError: There is none, or it is damaged.
    """
    saved = checkpoints.load(path)
    try:
        description = Description.model_validate(saved.facts["classifier"])
    except (KeyError, ValidationError) as error:
        raise UsageError(f"{path} holds no classifier: give a run of `impasto train classify`") from error
    scratch_built = description.network.startswith("scratch:")
    network = _network(description.network, None if scratch_built else path, description.batch_norm)
    model = Classifier(description, network)
    if scratch_built:
        model.body.load_state_dict({k: v for k, v in saved.tensors.items() if not k.startswith(OURS)})
    for part in ("input_norm", "head", "box_head"):
        prefix = f"{OURS}{part}."
        own = {k.removeprefix(prefix): v for k, v in saved.tensors.items() if k.startswith(prefix)}
        getattr(model, part).load_state_dict(own)
    return model.eval()


def _network(
    name: str,
    weights: Path | None,
    batch_norm: bool,
    seed: int = 0,
    progress: Download | None = None,
) -> Network:
    if name.startswith("scratch:"):
        return scratch_named(name, batch_norm=batch_norm, seed=seed)  # which refuses other names
    return load(name, weights=weights, progress=progress)


def _input_norm() -> nn.BatchNorm2d:
    """Batch norm of the pictures that changes nothing yet, where they look like ImageNet's."""
    norm = nn.BatchNorm2d(3)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    norm.running_mean, norm.running_var = mean.clone(), std.square()
    norm.weight.data, norm.bias.data = (std.square() + norm.eps).sqrt(), mean.clone()
    return norm
