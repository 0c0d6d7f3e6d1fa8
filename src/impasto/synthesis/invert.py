"""Feature inversion: a picture, from noise, whose activations are those of another: what a layer still knows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto import networks
from impasto.images import Picture
from impasto.images.resize import fit, resize, size_of
from impasto.networks import Network, Taps
from impasto.networks.device import pick_device
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Input, input_file
from impasto.synthesis.content_targets import ContentTargets
from impasto.synthesis.initial import noise
from impasto.synthesis.memory import Layout, Needs
from impasto.synthesis.objective import Objective
from impasto.synthesis.options import InversionOptions
from impasto.synthesis.painting import require_memory
from impasto.synthesis.preparation import Source, read_input, sized
from impasto.synthesis.run import carry_out, cells
from impasto.synthesis.schedule import Stage, stage
from impasto.synthesis.session import Listener, SynthesisResult, listening

LARGEST_DEFAULT = 512
STEPS = 200
SHEET_SIZE = 192


def invert(
    image: Source,
    *,
    options: InversionOptions | None = None,
    progress: Listener | None = None,
    download: Download | None = None,
    preview: Path | str | None = None,
    run: Path | str | None = None,
    out: Path | str | None = None,
    **fields: Any,
) -> SynthesisResult:
    """Find a picture with the activations of ``image`` at some taps, starting from noise.

    Mahendran and Vedaldi, "Understanding deep image representations by inverting them" (2015), eq. 1, with the
    content loss of style transfer. The tap ``pixels`` is the picture itself: a plain mean squared error, which shows
    what the optimiser can do at its best. What a deep tap does not tell stays as the noise had it; median-filtered
    noise leaves less grain.

    >>> import impasto
    >>> impasto.invert("photo.jpg", taps="relu2_2").save("inverted.png")  # doctest: +SKIP

    Args:
        image: The picture.
        options: All options at once; ``fields`` go over it.
        progress: Called with every step; by default a notebook shows a bar. An interrupt (Ctrl-C) ends the work, and
            the picture so far is returned.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        preview: A picture file, rewritten every other second while the work goes on.
        run: A directory to keep checkpoints and metrics in, new or empty, so that a kill loses next to nothing
            (:func:`impasto.resume`); ``auto`` makes one under ``runs`` for large pictures.
        out: Where the picture is written; with a run, by default ``picture.png`` in its directory.
        fields: Any field of :class:`InversionOptions`.

    Raises:
        UsageError: An option out of bounds, a file that is not a picture, an unknown network or tap.
        ImpastoError: The weights cannot be had, or the memory.
    """
    options = merge(InversionOptions, options, fields)
    with listening(progress, download) as (progress, download):
        craft = prepare(image, options, download)
        return carry_out(craft, progress=progress, preview=preview, run=run, out=out)


@dataclass(eq=False)
class Inversion:
    """All that an inversion needs, read and checked: a :class:`~impasto.synthesis.painting.Craft`."""

    options: InversionOptions
    picture: Picture
    size: tuple[int, int]
    stages: tuple[Stage, ...]
    networks: dict[str, Network]
    inputs: tuple[Input, ...]
    device: torch.device
    verb: str = field(default="invert", init=False)

    def needs(self, index: int) -> Needs:
        """What of a stage must be laid out in memory."""
        taps = self._taps()
        return Needs(self.stages[index], taps, taps.names, pictures=2.0 * (self.options.average > 0))

    def start(self, index: int, image: Tensor | None) -> Float[Tensor, "1 3 h w"]:
        """Noise around gray, then the smaller picture enlarged."""
        size = self.stages[index].size
        if image is None:
            gray = torch.full((1, 3, 1, 1), 0.5)
            return noise(size, gray, median=self.options.init == "median", seed=self.options.seed).to(self.device)
        return resize(image, size)

    def objective(self, index: int, layout: Layout) -> Objective:
        """The part of the activations that is not met."""
        taps = self._taps()
        picture = sized(self.picture.pixels, self.stages[index].size, self.device)
        targets = ContentTargets(taps, picture, layout.tiling, layout.chosen.content)
        weights = {tap: 1 / len(taps.names) / shown for tap, shown in targets.shown.items()}
        return Objective(
            taps, layout.tiling, (), weights, targets, smoothness=self.options.smoothness, kept=layout.chosen.kept
        )

    def finish(self, image: Float[Tensor, "1 3 h w"], index: int) -> Picture:
        """The picture at its full size, in range."""
        image = image if size_of(image) == self.size else resize(image, self.size)
        return Picture(image.clamp(0, 1).contiguous())

    def _taps(self) -> Taps:
        return Taps(self.networks[self.options.network], self.options.taps)


def prepare(image: Source, options: InversionOptions, download: Download | None = None) -> Inversion:
    """Read the picture, load the network, and check that everything fits, before any work is spent."""
    device = pick_device(options.device)
    inputs: list[Input] = []
    picture = read_input("content", image, inputs)
    if options.weights and options.weights.is_file():
        inputs.append(input_file("weights", options.weights))
    network = networks.load(
        options.network, weights=options.weights, pooling=options.pooling, padding=options.padding, progress=download
    )
    own = (picture.height, picture.width)
    size = fit(own, options.size or min(max(own), LARGEST_DEFAULT))
    scales = options.scales or 1
    sizes = [(max(16, size[0] >> k), max(16, size[1] >> k)) for k in reversed(range(scales))]
    stages = tuple(stage(at, options.network, options.steps or STEPS, options) for at in sizes)
    craft = Inversion(options, picture, size, stages, {options.network: network.to(device)}, tuple(inputs), device)
    require_memory(craft)
    return craft


def inversion_sheet(
    image: Source,
    *,
    options: InversionOptions | None = None,
    progress: Listener | None = None,
    **fields: Any,
) -> list[list[tuple[str, Float[Tensor, "1 3 h w"]]]]:
    """The exercise of the course: a picture inverted at the pixels and every ReLU, from noise and from filtered noise.

    An interrupt (Ctrl-C) ends the sheet with the picture so far, its label followed by ``(interrupted)``.

    Returns:
        Rows of (label, picture) for :func:`impasto.images.contact_sheet.contact_sheet`, two for each start, five
        columns.
    """
    checked = merge(InversionOptions, {"size": SHEET_SIZE}, options, fields)
    network = networks.load(checked.network, weights=checked.weights)
    taps = ["pixels", *(name for name in network.aliases if name.startswith("relu"))]
    taps = taps if len(taps) > 1 else ["pixels", *network.style_taps]
    picture = read_input("content", image, [])

    def inverted(tap: str, init: str) -> SynthesisResult:
        return invert(picture, options=checked.model_copy(update={"taps": (tap,), "init": init}), progress=progress)

    made = cells((f"{tap}, {init}", inverted(tap, init)) for init in ("noise", "median") for tap in taps)
    starts = made[: len(taps)], made[len(taps) :]
    return [row[start : start + 5] for row in starts for start in range(0, len(row), 5)]
