"""Initial weights of DCGAN, of generators and critics alike."""

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
