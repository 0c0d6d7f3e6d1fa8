"""Trained network: what a run has made of a network, as a network like any other, to be looked into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from jaxtyping import Float
from torch import Tensor, nn

from impasto.learning.classifier import Classifier
from impasto.learning.pooling import pooled
from impasto.learning.predict import MODEL, classifier_of
from impasto.networks import Network, Taps
from impasto.networks.weights import sha256_of


def trained_network(run: Path | str) -> Network:
    """The classifier of a finished run: its layers have the names that they had before, its classes are its labels.

    Its last layer is ``head``, on the tap that it was trained on; what the network had behind that tap is never run.

    Raises:
        UsageError: No run, none of a classifier, or one that is not finished.
    """
    model = classifier_of(run)
    network = as_network(model)
    return replace(network, name=str(Path(run)), sha256=sha256_of(Path(run, MODEL)))


def as_network(model: Classifier) -> Network:
    """A classifier, with all that comes before and behind its network, as a network."""
    network = model.network
    module = _Whole(model).eval().requires_grad_(False)
    last = model.description.tap
    order = [path for path, _ in module.named_modules()]

    def runs(tap: str) -> bool:
        path, end = (network.aliases.get(name, name) for name in (tap, last))
        return path.startswith(f"{end}.") or (path in order and order.index(path) <= order.index(end))

    return replace(
        network,
        module=module,
        mean=(0.0, 0.0, 0.0),  # the network within normalises
        std=(1.0, 1.0, 1.0),
        trunk=(),
        aliases={name: path for name, path in network.aliases.items() if runs(name)},
        style_taps=tuple(filter(runs, network.style_taps)) or (last,),
        content_taps=tuple(filter(runs, network.content_taps)) or (last,),
        classes=model.description.classes,
        sha256="",  # that of the network it began with is not its own
        geometry={},
    )


class _Whole(nn.Module):
    """A network's layers at their own paths, and ``head`` behind the tap that it was trained on."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        for name, layer in model.body.named_children():
            self.add_module(name, layer)
        self.input_norm = model.input_norm
        self.head = _PooledHead(model.head)
        # not a layer of this one: its layers are. Without its chain, so that each of them is called, and can be tapped
        self._within = (Taps(replace(model.network, trunk=()), [model.description.tap]), model.description.tap)

        for name in ("output_fmt", "num_prefix_tokens"):  # by which the maps of timm's networks are known
            if hasattr(model.body, name):
                setattr(self, name, getattr(model.body, name))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move, beside the layers, what a network holds by itself: a transformer's tokens."""
        self._within[0].network.module._apply(fn, recurse=False)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        """Scores of the classes, for pictures in [0, 1]."""
        taps, tap = self._within
        scores: Tensor = self.head(taps(self.input_norm(images))[tap])
        return scores


class _PooledHead(nn.Module):
    """A head on activations as it was trained: pooled."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, activations: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Scores of the classes."""
        scores: Tensor = self.head(pooled(activations))
        return scores
