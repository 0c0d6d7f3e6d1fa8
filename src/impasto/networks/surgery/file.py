"""Weights after surgery as a safetensors file, with the proof of what was done in its metadata."""

from dataclasses import asdict
from json import dumps
from pathlib import Path

from torch import nn

from impasto.images.replace import replace_file
from impasto.networks.network import Network
from impasto.networks.surgery.proof import Proof


def save_weights(network: Network, module: nn.Module, proof: Proof, path: Path | str) -> None:
    """Write the weights of a module that came out of a network, whole or not at all.

    Keys are the module's own, so ``networks.load`` takes the file of a changed dropout or of a split's lower part with
    ``weights=``; one with batch norm needs :func:`~impasto.networks.surgery.insert_as_in` first.

    Raises:
        ImpastoError: The disk is full, or the folder may not be written to.
    """
    from safetensors.torch import save

    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in module.state_dict().items()}
    about = {"network": network.name, "sha256": network.sha256, "surgery": dumps(asdict(proof))}
    replace_file(Path(path), save(tensors, about))
