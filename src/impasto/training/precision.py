"""Precision: the numbers that training computes with, and the device it runs on, through Lightning Fabric."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import torch

from impasto.training.names import PrecisionName

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fabric_for(device: torch.device, precision: PrecisionName = "32-true") -> Fabric:
    """Fabric on one device; with ``16-mixed`` its losses are scaled, so that small gradients are not lost.

    Fabric itself exchanges ``16-mixed`` for ``bf16-mixed`` on a processor; here what is asked for is what is done.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.precision.amp import MixedPrecision

        logging.getLogger("lightning_fabric").setLevel(logging.ERROR)  # which its import has set to INFO
        devices = [device.index or 0] if device.type == "cuda" else 1
        if precision != "32-true":
            mixed = MixedPrecision(precision, device.type)
            # what goes in stays as it is, for autocast rounds what it has to: a picture in bfloat16 has half its levels
            mixed.convert_input = lambda data: data  # type: ignore[method-assign]
            return Fabric(accelerator=device.type, devices=devices, plugins=mixed)
        return Fabric(accelerator=device.type, devices=devices, precision=precision)
