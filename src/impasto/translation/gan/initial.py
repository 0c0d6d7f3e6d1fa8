"""Initial weights: DCGAN's, and He's where no norm brings a layer's output to size."""

from __future__ import annotations

from torch import nn


def begin_as_dcgan(module: nn.Module) -> None:
    """Weights from N(0, 0.02²), scales of norms from N(1, 0.02²), no biases, in place, by torch's own chance.

    Radford et al. (2016), section 4; the scales of norms as their code has it.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def begin_as_he(module: nn.Module, slope: float) -> None:
    """Weights from N(0, gain²/inputs of a unit), no biases, in place, by torch's own chance: layers keep the size of x.

    He et al. (2015), for leaky ReLUs of that slope. Without norms DCGAN's 0.02 makes x smaller from layer to layer: the
    slope of a critic 16 channels wide was 0.005 with it, and is near 1 with these, where a gradient penalty wants it.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, slope)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
