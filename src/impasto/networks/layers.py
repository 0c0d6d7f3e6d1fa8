"""Layers exchanged in place: what pools, and what a convolution sees beyond the border."""

from typing import Literal

from torch import Tensor, nn

from impasto.errors import UsageError

Pooling = Literal["max", "average", "l2"]
Padding = Literal["zeros", "replicate"]

# An average of ReLU outputs is smaller than their maximum, and the layers behind were trained on maxima. These
# factors bring the scale back (crowsonkb/style-transfer-pytorch, measured there on VGG-19).
AVERAGE_SCALE = 2.0
L2_SCALE = 0.78


class ScaledPool(nn.Module):
    """Average or L2 pooling over the windows of a max pooling, rescaled to its size of output."""

    def __init__(self, like: nn.MaxPool2d, kind: Literal["average", "l2"]) -> None:
        super().__init__()
        self.kind = kind
        kernel = like.kernel_size
        self.area = kernel**2 if isinstance(kernel, int) else kernel[0] * kernel[1]
        self.mean = nn.AvgPool2d(like.kernel_size, like.stride, like.padding, like.ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h / stride, w / stride)."""
        if self.kind == "average":
            return AVERAGE_SCALE * self.mean(x)  # type: ignore[no-any-return]
        # the root of the sum of squares; ε keeps the gradient of an all-zero window finite
        return (self.mean(x.square()) * self.area + 1e-8).sqrt() * L2_SCALE  # type: ignore[no-any-return]


def exchange(module: nn.Module, *, pooling: Pooling = "max", padding: Padding = "zeros") -> None:
    """Put other poolings and paddings into a network, in place; ``max`` and ``zeros`` leave it as it was trained."""
    if pooling != "max" and not any(isinstance(layer, nn.MaxPool2d) for layer in module.modules()):
        raise UsageError(f"--pooling {pooling} has nothing to exchange: the network has no max pooling")
    if pooling != "max":
        for parent in list(module.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.MaxPool2d):
                    setattr(parent, name, ScaledPool(child, pooling))
    if padding != "zeros":
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d) and any(layer.padding) and not isinstance(layer.padding, str):
                layer.padding_mode = padding
                layer._reversed_padding_repeated_twice = [p for p in reversed(layer.padding) for _ in range(2)]
