"""Tiles against the whole picture: is the gradient the same, and what do tiles cost?

uv run python benchmarks/tiling.py            # exactness, every loss
uv run python benchmarks/tiling.py --cost     # time at 1024-pixel tiles
uv run python benchmarks/tiling.py --cost --network vgg19 --sizes 1536
"""

import argparse
import os
import time
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from impasto import networks
from impasto.images import read
from impasto.images.resize import resize
from impasto.losses.style import STYLE_LOSSES
from impasto.networks import Taps
from impasto.synthesis.calibration import Style, style_terms
from impasto.synthesis.content_targets import ContentTargets
from impasto.synthesis.objective import Objective
from impasto.synthesis.tiles import tiling


def main() -> None:
    """Print the table asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--network", default="pocket", choices=["pocket", "vgg19"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048], help="longest sides, for --cost")
    parser.add_argument("--losses", nargs="+", default=list(STYLE_LOSSES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    weights = None if options.network == "pocket" else options.shared / "weights" / "vgg19_to_conv3_4.safetensors"
    if options.cost:
        cost(options, weights)
    else:
        exactness(options, weights)


def exactness(options: argparse.Namespace, weights: Path | None) -> None:
    """‖tiled − whole‖ / ‖whole‖ of the gradient, at an odd size, two styles, soft masks."""
    print("| loss | masks | float32 | float64 |\n|---|---|---|---|")
    for loss in options.losses:
        for masks in (False, True):
            errors = []
            for dtype in (torch.float32, torch.float64):
                network = networks.load(options.network, weights=weights, padding="replicate").to("cpu", dtype)
                whole, image = objective(options, network, loss, (301, 283), None, masks, dtype)
                tiled, _ = objective(options, network, loss, (301, 283), 96, masks, dtype)
                assert len(tiled.tiling.tiles) == 12
                expected = whole(image).gradient
                errors.append(float((tiled(image).gradient - expected).norm() / expected.norm()))
            print(f"| {loss} | {'two, soft' if masks else 'none'} | {errors[0]:.1e} | {errors[1]:.1e} |", flush=True)


def cost(options: argparse.Namespace, weights: Path | None) -> None:
    """Seconds of an evaluation at 1024-pixel tiles against the whole picture's, in turns; nothing kept but the last."""
    network = networks.load(options.network, weights=weights, padding="replicate")
    print("| network | size | tiles | whole (s) | tiled (s) | ratio |\n|---|---|---|---|---|---|")
    for side in options.sizes:
        size = (side, side)
        whole, image = objective(options, network, "gram", size, None, False, torch.float32)
        tiled, _ = objective(options, network, "gram", size, 1024, False, torch.float32)
        seconds: dict[str, list[float]] = {"whole": [], "tiled": []}
        for _ in range(options.rounds + 1):
            seconds["whole"].append(evaluation(whole, image))
            seconds["tiled"].append(evaluation(tiled, image))
        a, b = (sorted(s[1:])[(len(s) - 1) // 2] for s in seconds.values())
        count = len(tiled.tiling.tiles)
        print(f"| {options.network} | {side}×{side} | {count} | {a:.2f} | {b:.2f} | {b / a:.2f} |", flush=True)


def evaluation(evaluate: Objective, image: torch.Tensor) -> float:
    """Seconds of one evaluation."""
    began = time.perf_counter()
    evaluate(image)
    return time.perf_counter() - began


def objective(
    options: argparse.Namespace,
    network: networks.Network,
    loss: str,
    size: tuple[int, int],
    side: int | None,
    masks: bool,
    dtype: torch.dtype,
) -> tuple[Objective, torch.Tensor]:
    """Two paintings' style and a photograph's content, and a picture that is neither."""

    def picture(folder: str, name: str, at: tuple[int, int]) -> torch.Tensor:
        return resize(read(options.shared / "data" / folder / name).pixels.to(dtype), at).clamp(0, 1)

    style_taps, content_taps = network.style_taps, network.content_taps
    taps = Taps(network, (*style_taps, *content_taps))
    content = picture("contents", "tubingen.jpg", size)
    image = (content + 0.1 * torch.randn(content.shape, generator=torch.Generator().manual_seed(0)).to(dtype)).clamp(
        0, 1
    )
    tiles = tiling(size, side, taps.geometry() if side else {}, reach=1 if loss == "mrf" else 0)
    regions = []
    if masks:
        soft = torch.rand(1, 1, 6, 5, generator=torch.Generator().manual_seed(1)).to(dtype)
        left = F.interpolate(soft, size=size, mode="bilinear")
        regions = [left, 1 - left]
    styles = [
        Style(partial(picture, "paintings", "starry_night_google.jpg", (250, 199)), 1.0, region=0 if masks else None),
        Style(partial(picture, "paintings", "the_scream.jpg", (211, 260)), 2.0, region=1 if masks else None),
    ]
    terms = style_terms(taps, styles, [(loss, 1.0)], style_taps, start=(content, tiles, regions))
    targets = ContentTargets(Taps(network, content_taps), content, tiles)
    weights = {tap: 0.01 / len(content_taps) / targets.shown[tap] for tap in content_taps}
    return Objective(taps, tiles, terms, weights, targets, 0.0, regions), image


if __name__ == "__main__":
    main()
