"""What surgery does to the outputs of pretrained networks, on photographs; the wrong ways stand beside the right ones.

uv run python benchmarks/surgery.py --shared ../shared
"""

import argparse
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from impasto import networks
from impasto.images import read
from impasto.networks import Network
from impasto.networks.surgery import Proof, change_dropout, compare, insert_batch_norm, replace_head, split_at
from impasto.networks.surgery.proof import copied


def main() -> None:
    """Print a row per operation, network and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--size", type=int, default=256, help="of the centre that is taken of each photograph")
    options = parser.parse_args()
    files = sorted((options.shared / "data/photos").iterdir())
    spread = [files[i * len(files) // (2 * options.pictures)] for i in range(2 * options.pictures)]
    shown = [centre(read(file).pixels, options.size) for file in spread]
    measured, others = shown[::2], shown[1::2]
    print("| network | operation | precision | pictures | max abs Δ | max abs Δ, relative | worst at |")
    print("|---|---|---|---|---|---|---|")
    vgg = networks.load("vgg19", weights=options.shared / "weights/vgg19_to_conv3_4.safetensors")
    squeezenet = networks.load("squeezenet1_0", weights=options.shared / "weights/squeezenet1_0.safetensors")
    for network in (vgg, squeezenet):
        made, proof = insert_batch_norm(network, measured)
        paths = [name for name, _ in proof.places if name != "output"]
        row(network, proof, "float32")
        row(network, compare("the same, on other pictures", network, made, others, paths), "float32")
        row(network, compare("the same", network, made, measured, paths, dtype=torch.float64), "float32 in float64")
        double = copied(network).to("cpu", torch.float64)
        row(network, insert_batch_norm(double, measured[:4])[1], "float64")
        row(network, compare("γ = σ², the course's", network, wrong(made), measured, paths), "float32")
    row(vgg, split_at(vgg, "relu2_2", measured)[2], "float32")
    row(squeezenet, split_at(squeezenet, "features.7", measured)[2], "float32")
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 2))
    row(squeezenet, replace_head(squeezenet, head, measured)[1], "float32")
    for convention, p in (("inverted", 0.0), ("classic", 0.0), ("classic", 0.2)):
        row(squeezenet, change_dropout(squeezenet, p, convention, measured)[1], "float32")
    halved = copied(squeezenet)
    with torch.no_grad():
        for tensor in halved.module.get_submodule("classifier.1").parameters():
            tensor.mul_(0.5)
    row(squeezenet, compare("dropout removed, W and b halved, the course's", squeezenet, halved, measured), "float32")


def row(network: Network, proof: Proof, precision: str) -> None:
    """Print what was proven."""
    worst = max(proof.places, key=lambda place: place[1])[0] if proof.largest else "nowhere"
    figures = f"{proof.pictures} | {proof.largest:.1e} | {proof.relative:.1e} | {worst}"
    print(f"| {network.name} | {proof.operation} | {precision} | {figures} |", flush=True)


def wrong(network: Network) -> Network:
    """The same norms with γ = σ²."""
    made = copied(network)
    with torch.no_grad():
        for layer in made.module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(layer.running_var)
    return made


def centre(picture: Tensor, size: int) -> Tensor:
    """The square in the middle."""
    top, left = ((side - size) // 2 for side in picture.shape[-2:])
    return picture[..., top : top + size, left : left + size]


if __name__ == "__main__":
    main()
