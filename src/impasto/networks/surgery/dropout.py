"""Dropout changed or removed in a trained network, in both of its conventions."""

import copy
from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks.network import Network
from impasto.networks.surgery.proof import OUTPUT, Proof, batches, noise, outputs, prove, with_module

Convention = Literal["inverted", "classic"]
Subject = TypeVar("Subject", bound=Network | nn.Module)

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
# what lets a mask through as it is, or adds up: a scale before it is the same scale behind it
PASSING = (nn.Identity, nn.Flatten, nn.ReLU, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
WEIGHTED = (nn.Linear, nn.Conv2d)


class ClassicDropout(nn.Module):
    """Dropout as Srivastava et al. (2014, section 4) wrote it: m·x in training, (1 − p)·x in evaluation.

    m is 0 with probability p, else 1. Today's layers, ``nn.Dropout`` and Keras's, are *inverted*: m·x / (1 − p) in
    training, x in evaluation. The mean over masks is (1 − p)·x here and x there, in both cases what evaluation gives.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "b *rest"]) -> Float[Tensor, "b *rest"]:
        """The shape stays."""
        return x * torch.empty_like(x).bernoulli_(1 - self.p) if self.training else x * (1 - self.p)

    def extra_repr(self) -> str:
        """What is shown of it."""
        return f"p={self.p}"


def change_dropout(
    subject: Subject,
    p: float,
    convention: Convention = "inverted",
    pictures: Tensor | Iterable[Tensor] | None = None,
) -> tuple[Subject, Proof]:
    """A copy with every dropout at ``p`` (0 removes it), whose mean over masks is what it was.

    *inverted*, the convention of PyTorch and Keras: the layer itself divides by 1 − p, so no weight changes, and
    the proof is that evaluation gives the same, bit for bit. (The course halves the weights and the biases here.)

    *classic*: the weights were trained behind m·x, whose mean is (1 − p)·x. The weights of the layer after each
    dropout, but not its biases, are multiplied by (1 − p_old) / (1 − p_new), so that the mean over masks of what comes
    out of it, W·(1 − p)·x + b, stays. The dropouts of the copy are :class:`ClassicDropout`, and the proof is
    that the evaluation of the copy equals that of the original with classic dropouts, to rounding. With p = 0 the copy
    runs in any convention: that is how classic weights come to PyTorch.

    Args:
        subject: A network or a module; it stays as it is.
        p: The new probability of dropping, in [0, 1).
        convention: How the weights were trained.
        pictures: What to prove it on: batches of pictures for a network (default: noise), of inputs for a module.

    Raises:
        UsageError: No dropout, a p outside [0, 1), or in the classic convention a dropout without a linear or
            convolutional layer after it.
        ImpastoError: The outputs changed.
    """
    if not 0 <= p < 1:
        raise UsageError(f"dropout drops with a probability in [0, 1), not {p}")
    if convention not in get_args(Convention):
        raise UsageError(f"no convention {convention!r} of dropout: there are {', '.join(get_args(Convention))}")
    old = subject.module if isinstance(subject, Network) else subject
    paths = [path for path, layer in old.named_modules() if isinstance(layer, (*DROPOUTS, ClassicDropout))]
    if not paths:
        raise UsageError(f"{_name(subject)} has no dropout to change")
    new = copy.deepcopy(old)
    if convention == "inverted":
        if any(isinstance(layer, ClassicDropout) for layer in old.modules()):
            raise UsageError(f"{_name(subject)} has classic dropout: change it in the classic convention")
        for path in paths:
            new.get_submodule(path).p = p  # type: ignore[assignment]
    else:
        old = copy.deepcopy(old)
        _rescale(new, paths, p)
        for path in paths:
            before = float(old.get_submodule(path).p)  # type: ignore[arg-type]
            _put(old, path, ClassicDropout(before))
            _put(new, path, ClassicDropout(p))
    operation = f"{convention} dropout to {p:g} in {len(paths)} place{'s' * (len(paths) != 1)}"
    if isinstance(subject, Network):
        before_, after = outputs(with_module(subject, old)), outputs(with_module(subject, new))
        proof = prove(operation, before_, after, noise() if pictures is None else batches(pictures))
        return cast(Subject, with_module(subject, new)), proof.require_identity()
    if pictures is None:
        raise UsageError("a module alone does not say what it takes: give inputs to prove the surgery on")
    inputs = [pictures] if isinstance(pictures, Tensor) else pictures
    return cast(Subject, new), prove(operation, _evaluation(old), _evaluation(new), inputs).require_identity()


@torch.no_grad()
def _rescale(module: nn.Module, paths: list[str], p: float) -> None:
    """Multiply the weights behind each dropout by (1 − p_old) / (1 − p), in place."""
    following = dict(_following(module))
    for path in paths:
        layer = following.get(path)
        if layer is None or not isinstance(layer[1], WEIGHTED):
            what = f"{layer[0]}, a {type(layer[1]).__name__}" if layer else "nothing that is known"
            raise UsageError(
                f"the weights after the classic dropout {path} cannot be rescaled: behind it is {what}, "
                "and it must be a linear or a convolutional layer"
            )
        before = float(module.get_submodule(path).p)  # type: ignore[arg-type]
        if not before < 1:
            raise UsageError(f"the dropout {path} drops everything: what follows has learnt nothing from it")
        layer[1].weight.mul_((1 - before) / (1 - p))


def _following(module: nn.Module) -> Iterator[tuple[str, tuple[str, nn.Module]]]:
    """For each dropout in a Sequential: the layer after it that is not merely passed through, by its path."""
    for path, sequence in module.named_modules():
        if not isinstance(sequence, nn.Sequential):
            continue
        leaves = list(_leaves(sequence, path))
        for index, (name, layer) in enumerate(leaves):
            if isinstance(layer, (*DROPOUTS, ClassicDropout)):
                for after in leaves[index + 1 :]:
                    if not isinstance(after[1], (*PASSING, *DROPOUTS, ClassicDropout)):
                        yield name, after
                        break


def _leaves(sequence: nn.Sequential, path: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in sequence.named_children():
        full = f"{path}.{name}" if path else name
        if isinstance(child, nn.Sequential):
            yield from _leaves(child, full)
        else:
            yield full, child


def _put(module: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, layer.train(module.get_submodule(path).training))


def _evaluation(module: nn.Module):  # type: ignore[no-untyped-def]
    module = copy.deepcopy(module).eval()
    return lambda inputs: {OUTPUT: module(inputs)}


def _name(subject: Network | nn.Module) -> str:
    return subject.name if isinstance(subject, Network) else f"this {type(subject).__name__}"
