"""What the engine adds to an evaluation: ours against a bare forward and backward with the same Gram products.

uv run python benchmarks/engine.py --weights ../shared/weights/vgg19_to_conv3_4.safetensors
"""

import argparse
import time
from pathlib import Path

import torch
from torch import nn

from impasto import networks
from impasto.losses.style import STYLE_LOSSES
from impasto.synthesis.calibration import Style, style_transfer_objective
from impasto.synthesis.point import Evaluate, with_autograd

STYLE, CONTENT = ("relu1_1", "relu2_1", "relu3_1"), ("relu3_3",)


def main() -> None:
    """Print the median time of both, taken in turns, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--losses", nargs="+", default=list(STYLE_LOSSES))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.manual_seed(0)
    vgg = networks.load("vgg19", weights=options.weights)
    content, style, image = (torch.rand(1, 3, options.size, options.size) for _ in range(3))
    taps = networks.Taps(vgg, STYLE + CONTENT)
    print("| loss | bare (s) | ours (s) | ratio |\n|---|---|---|---|")
    plain = Bare(vgg, content, style)
    bare = with_autograd(lambda x: {"total": plain(x)})
    for name in options.losses:
        ours = style_transfer_objective(
            taps,
            content,
            [Style(lambda: style)],
            losses=[(name, 1.0)],
            style_taps=STYLE,
            content_taps=CONTENT,
            strength=0.5,
        )
        seconds = {"bare": [], "ours": []}
        for _ in range(options.rounds):
            seconds["bare"].append(evaluation(bare, image))
            seconds["ours"].append(evaluation(ours, image))
        a, b = (sorted(s)[len(s) // 2] for s in (seconds["bare"], seconds["ours"]))
        print(f"| {name} | {a:.3f} | {b:.3f} | {b / a:.3f} |", flush=True)


def evaluation(evaluate: Evaluate, image: torch.Tensor) -> float:
    """Seconds of one forward and one backward."""
    began = time.perf_counter()
    evaluate(image)
    return time.perf_counter() - began


class Bare:
    """The same layers run in a plain loop, a Gram product at each style layer, one squared difference for content."""

    def __init__(self, vgg: networks.Network, content: torch.Tensor, style: torch.Tensor) -> None:
        depth = [path for path, _ in vgg.trunk].index(vgg.aliases["relu3_3"]) + 1
        self.layers = [(path, layer) for path, layer in vgg.trunk[:depth]]
        self.mean = torch.tensor(vgg.mean).view(1, 3, 1, 1)
        self.std = torch.tensor(vgg.std).view(1, 3, 1, 1)
        self.style = {vgg.aliases[tap] for tap in STYLE}
        self.content = vgg.aliases["relu3_3"]
        with torch.no_grad():
            self.grams = self.run(style)[0]
            self.target = self.run(content)[1]

    def run(self, image: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Gram matrices and the content features."""
        x, grams = ((image - self.mean) / self.std).contiguous(memory_format=torch.channels_last), []
        for path, layer in self.layers:
            x = torch.relu_(x) if isinstance(layer, nn.ReLU) else layer(x)
            if path in self.style:
                flat = x[0].permute(1, 2, 0).reshape(-1, x.shape[1])
                grams.append(flat.T @ flat / len(flat))
        return grams, x

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Style and content together."""
        grams, content = self.run(image)
        return (
            sum((g - t).square().sum() for g, t in zip(grams, self.grams, strict=True))
            + (content - self.target).square().sum()
        )


if __name__ == "__main__":
    main()
