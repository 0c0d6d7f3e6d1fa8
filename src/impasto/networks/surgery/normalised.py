"""A convolution that carries its batch norm: the norm comes in, and no name, index or key of the network moves."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class NormalisedConv2d(nn.Conv2d):
    """A convolution whose output goes through its own batch norm, ``norm``.

    A norm of its own in the chain would push every later layer along by one (``features.2`` would become
    ``features.3``), and with it every name, alias and key. Inside the convolution, ``features.0.weight`` and
    ``conv1_1`` stay what they were, ``features.0.norm.weight`` and its like are new, and what asks whether a layer is
    a convolution is told that it is. The tap of the convolution shows what its norm makes of it; the ReLU comes after.
    """

    def __init__(self, *arguments: Any, eps: float = 1e-5, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.norm = nn.BatchNorm2d(self.out_channels, eps=eps, device=self.weight.device, dtype=self.weight.dtype)

    @classmethod
    def of(cls, convolution: nn.Conv2d, eps: float = 1e-5) -> "NormalisedConv2d":
        """The same convolution, with its very weights, and a norm that is yet to be filled."""
        made = cls(
            convolution.in_channels,
            convolution.out_channels,
            convolution.kernel_size,
            convolution.stride,
            convolution.padding,
            convolution.dilation,
            convolution.groups,
            convolution.bias is not None,
            convolution.padding_mode,
            eps=eps,
            device="meta",
        )
        made.weight, made.bias = convolution.weight, convolution.bias
        made.norm = nn.BatchNorm2d(
            convolution.out_channels, eps=eps, device=convolution.weight.device, dtype=convolution.weight.dtype
        )
        made.norm.requires_grad_(convolution.weight.requires_grad)
        return made.train(convolution.training)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """(B, C, h, w) → (B, D, h / stride, w / stride)."""
        return self.norm(super().forward(x))  # type: ignore[no-any-return]


def insert(module: nn.Module, path: str, eps: float = 1e-5) -> nn.BatchNorm2d:
    """Give the convolution at ``path`` a norm, in place; the norm, as it stands there."""
    made = NormalisedConv2d.of(module.get_submodule(path), eps)  # type: ignore[arg-type]
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, made)
    return made.norm


def insert_as_in(module: nn.Module, keys: "set[str] | dict[str, Tensor]") -> list[str]:
    """Give a norm, in place, to each convolution that has one in a file with these keys; their paths.

    What stands between :func:`insert_batch_norm` and loading: the file that holds ``features.0.norm.running_mean``
    is of a network whose ``features.0`` has a norm.

    >>> insert_as_in(nn.Sequential(nn.Conv2d(3, 4, 3)), {"0.weight", "0.bias", "0.norm.running_mean"})
    ['0']
    """
    ending = ".norm.running_mean"
    plain = {path for path, layer in module.named_modules() if type(layer) is nn.Conv2d}
    paths = [key.removesuffix(ending) for key in keys if key.endswith(ending)]
    found = [path for path in paths if path in plain]
    for path in found:
        insert(module, path)
    return found


@torch.no_grad()
def fill(norm: nn.BatchNorm2d, mean: Float[Tensor, " c"], variance: Float[Tensor, " c"]) -> None:
    """Set a norm so that it changes nothing: running mean μ, running variance σ², β = μ, γ = √(σ² + ε).

    In evaluation a norm gives γ·(x − μ) / √(σ² + ε) + β (Ioffe and Szegedy 2015, algorithm 2), which is x for this γ
    and β. The course's notebook set γ = σ² instead, which scales every channel by √σ² or so. γ comes from the variance
    as the norm will hold it, so that the rounding of σ² cancels; a channel that never varies gets γ = √ε, and
    is still left as it is.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.bias.copy_(mean)
    norm.weight.copy_((norm.running_var.double() + norm.eps).sqrt())
