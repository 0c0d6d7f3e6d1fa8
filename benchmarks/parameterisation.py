"""What is moved downhill, and where a scale starts: four ways, the same objective and number of evaluations.

    uv run python benchmarks/parameterisation.py --shared ../shared --size 384

* enlarge: pixels; a scale starts at the enlarged picture
* detail: pixels; the photograph's fine detail is carried along (what impasto does)
* laplacian: the same start, moved by a Laplacian pyramid of corrections, each level with a gain of 2 over the finer one
* fourier: the same start, moved by decorrelated colours in Fourier space, amplitudes divided by frequency (lucid's)
"""

import argparse
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from impasto import networks, read
from impasto.images.resize import fit, pyramid, resize, size_of
from impasto.synthesis.calibration import Style, style_transfer_objective
from impasto.synthesis.engine import Descent, Walk
from impasto.synthesis.point import Evaluate, Point
from impasto.synthesis.preparation import sized, style_size
from impasto.synthesis.stylize import enlarge

STEPS = {0: 30, 1: 60, 2: 80}
PAIRS = (("tubingen", "starry_night_google"), ("golden_gate", "woman_with_hat_matisse"), ("brad_pitt", "la_muse"))
# Colour decorrelation of lucid (Olah et al. 2017): the square root of the colour covariance of ImageNet.
COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


def main() -> None:
    """Print, for each way, the loss at the start and at the end of the last scale."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--network", default="pocket")
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    network = networks.load(options.network, weights=options.weights, padding="replicate")
    print(
        "| pair | way | loss at the last scale's start | after 10 steps | at the end | seconds |\n" + "|---" * 6 + "|"
    )
    for content, painting in PAIRS:
        photo = read(options.shared / "data" / "contents" / f"{content}.jpg").pixels
        style = read(options.shared / "data" / "paintings" / f"{painting}.jpg").pixels
        for way in ("enlarge", "detail", "laplacian", "fourier"):
            began = time.perf_counter()
            losses = paint(network, photo, style, fit(size_of(photo), options.size), way)
            seconds = time.perf_counter() - began
            figures = " | ".join(f"{losses[i]:.4f}" for i in (0, 9, -1))
            print(f"| {content}, {painting} | {way} | {figures} | {seconds:.0f} |", flush=True)


def paint(network: networks.Network, photo: torch.Tensor, style: torch.Tensor, size: tuple[int, int], way: str) -> list:
    """Losses of every step at the last scale."""
    taps = networks.Taps(network, (*network.style_taps, *network.content_taps))
    image, smaller, losses = None, None, []
    sizes = pyramid(size, 96)
    for index, at in enumerate(sizes):
        content = resize(photo, at).clamp(0, 1)
        objective = style_transfer_objective(
            taps, content, [Style(partial(sized, style, style_size(size_of(style), at, 1.0), style.device))],
            losses=[("gram", 1.0)], style_taps=network.style_taps, content_taps=network.content_taps, strength=0.5,
        )  # fmt: skip
        start = content if image is None else enlarge(image, content, smaller, with_detail=way != "enlarge")
        picture, first = {"laplacian": laplacian, "fourier": fourier}.get(way, pixels)(start)
        losses = [objective(start).loss] if index == len(sizes) - 1 else []
        steps = STEPS.get(len(sizes) - 1 - index, 80)
        for point in Descent.begin(through(objective, picture), first, Walk(steps, plateau=0)):
            losses.append(point.loss)
            image = picture(point.x).detach()
        smaller = content
    return losses


def through(objective: Evaluate, picture: Callable[[torch.Tensor], torch.Tensor]) -> Evaluate:
    """The objective of what parameters stand for, with its gradient by them."""

    def evaluate(parameters: torch.Tensor) -> Point:
        parameters = parameters.detach().requires_grad_(True)
        shown = picture(parameters)
        point = objective(shown)
        (gradient,) = torch.autograd.grad(shown, parameters, point.gradient)
        return Point(parameters.detach(), point.loss, gradient, point.terms)

    return evaluate


def pixels(start: torch.Tensor):
    """The picture itself."""
    return (lambda z: z), start


def laplacian(start: torch.Tensor, levels: int = 4, gain: float = 2.0):
    """start + Σ gainᵏ · enlarged(zₖ)."""
    height, width = size_of(start)
    shapes = [(max(1, height >> k), max(1, width >> k)) for k in range(levels)]
    counts = [3 * h * w for h, w in shapes]

    def picture(z: torch.Tensor) -> torch.Tensor:
        image = start
        for k, (part, shape) in enumerate(zip(z.split(counts), shapes, strict=True)):
            image = image + gain**k * torch.nn.functional.interpolate(
                part.view(1, 3, *shape), size=(height, width), mode="bilinear", align_corners=False
            )
        return image

    return picture, torch.zeros(sum(counts))


def fourier(start: torch.Tensor):
    """start + colours · inverse FFT of z / frequency."""
    height, width = size_of(start)
    fy = torch.fft.fftfreq(height)[:, None]
    fx = torch.fft.rfftfreq(width)[None]
    scale = 1 / (fy**2 + fx**2).sqrt().clamp_min(1 / max(height, width))
    scale = scale / scale.square().mean().sqrt() * math.sqrt(height * width)
    colours = COLOURS / COLOURS.norm(dim=0).max()

    def picture(z: torch.Tensor) -> torch.Tensor:
        spectrum = torch.view_as_complex(z) * scale
        change = torch.fft.irfft2(spectrum, s=(height, width), norm="ortho") / math.sqrt(height * width)
        return start + torch.einsum("ij,bjhw->bihw", colours, change)

    return picture, torch.zeros(1, 3, height, width // 2 + 1, 2)


if __name__ == "__main__":
    main()
