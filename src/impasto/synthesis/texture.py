"""Texture synthesis: a picture of any size that looks like another one everywhere, and shows nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture
from impasto.images.resize import resize, size_of
from impasto.networks import Network, Taps
from impasto.networks.device import pick_device
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Input, input_file
from impasto.synthesis.calibration import Style, style_terms
from impasto.synthesis.initial import noise
from impasto.synthesis.memory import Layout, Needs
from impasto.synthesis.objective import Objective
from impasto.synthesis.options import TextureOptions
from impasto.synthesis.painting import require_memory
from impasto.synthesis.preparation import Source, load_networks, read_input, sized, style_taps
from impasto.synthesis.run import carry_out
from impasto.synthesis.schedule import Stage, schedule
from impasto.synthesis.session import Listener, SynthesisResult, listening

# Sides of a tileable texture are multiples of this at every scale, so that the positions of taps down to this stride
# go round it evenly.
TILEABLE_MULTIPLE = 16


def texture(
    styles: Source | Sequence[Source],
    *,
    options: TextureOptions | None = None,
    progress: Listener | None = None,
    download: Download | None = None,
    preview: Path | str | None = None,
    run: Path | str | None = None,
    out: Path | str | None = None,
    **fields: Any,
) -> SynthesisResult:
    """Make a texture that looks like ``styles``, from noise.

    Gatys, Ecker and Bethge, "Texture synthesis using convolutional neural networks" (2015), coarse to fine and with
    any of the style losses. With ``tileable``, the picture lies on a torus: the network sees it go on at the opposite
    border, so copies of it fit together without a seam.

    >>> import impasto
    >>> impasto.texture("bark.jpg", size="768x512", tileable=True).save("tile.png")  # doctest: +SKIP

    Args:
        styles: A picture of the texture, or several to mix.
        options: All options at once; ``fields`` go over it.
        progress: Called with every step; by default a notebook shows a bar. An interrupt (Ctrl-C) ends the work.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        preview: A picture file, rewritten every other second while the work goes on.
        run: A directory to keep checkpoints and metrics in, new or empty, so that a kill loses next to nothing
            (:func:`impasto.resume`); ``auto`` makes one under ``runs`` for large pictures.
        out: Where the picture is written; with a run, by default ``picture.png`` in its directory.
        fields: Any field of :class:`TextureOptions`.

    Raises:
        UsageError: An option out of bounds, a file that is not a picture, a tileable size that no stride divides.
        ImpastoError: The weights cannot be had, or the memory.
    """
    options = merge(TextureOptions, options, fields)
    with listening(progress, download) as (progress, download):
        one = isinstance(styles, Path | str | Picture)
        craft = prepare([styles] if one else styles, options, download)  # type: ignore[list-item, arg-type]
        return carry_out(craft, progress=progress, preview=preview, run=run, out=out)


@dataclass(eq=False)
class Texture:
    """All that a texture needs, read and checked: a :class:`~impasto.synthesis.painting.Craft`."""

    options: TextureOptions
    styles: tuple[Float[Tensor, "1 3 k l"], ...]
    size: tuple[int, int]
    stages: tuple[Stage, ...]
    networks: dict[str, Network]
    inputs: tuple[Input, ...]
    device: torch.device
    verb: str = field(default="texture", init=False)

    def needs(self, index: int) -> Needs:
        """What of a stage must be laid out in memory."""
        return Needs(
            self.stages[index],
            self._taps(self.stages[index]),
            reach=1 if "mrf" in self.options.loss else 0,
            wraps=self.options.tileable,
            pictures=2.0 * (self.options.average > 0),
        )

    def start(self, index: int, image: Tensor | None) -> Float[Tensor, "1 3 h w"]:
        """Noise around the first style's mean colour at first, then the smaller picture enlarged."""
        size = self.stages[index].size
        if image is None:
            colour = self.styles[0].mean(dim=(2, 3), keepdim=True)
            return noise(size, colour, median=self.options.init == "median", seed=self.options.seed).to(self.device)
        return image if size_of(image) == size else _enlarge(image, size, wraps=self.options.tileable)

    def objective(self, index: int, layout: Layout) -> Objective:
        """Style alone: 1 for an empty picture, about."""
        options, stage = self.options, self.stages[index]
        network, taps = self.networks[stage.network], self._taps(stage)
        scale = options.stroke * max(stage.size) / max(self.size)
        styles = []
        for picture, weight in zip(self.styles, options.style_weights or (1.0,) * len(self.styles), strict=True):
            height, width = size_of(picture)
            at = max(32, round(height * scale)), max(32, round(width * scale))
            styles.append(Style(partial(sized, picture, at, self.device), weight))
        terms = style_terms(taps, styles, options.weighted_losses, style_taps(network, options))
        return Objective(taps, layout.tiling, terms, smoothness=options.smoothness, kept=layout.chosen.kept)

    def finish(self, image: Float[Tensor, "1 3 h w"], index: int) -> Picture:
        """The picture at its full size, in range."""
        if size_of(image) != self.size:  # interrupted on the way up
            image = _enlarge(image, self.size, wraps=self.options.tileable)
        return Picture(image.clamp(0, 1).contiguous())

    def _taps(self, stage: Stage) -> Taps:
        network = self.networks[stage.network]
        return Taps(network, style_taps(network, self.options))


def prepare(styles: Sequence[Source], options: TextureOptions, download: Download | None = None) -> Texture:
    """Read the pictures, load the networks, and check that everything fits, before any work is spent."""
    if not styles:
        raise UsageError("no style: give at least one picture")
    if options.style_weights and len(options.style_weights) != len(styles):
        raise UsageError(f"{len(options.style_weights)} style weights for {len(styles)} styles: give one for each")
    device = pick_device(options.device)
    inputs: list[Input] = []
    pictures = [read_input("style", style, inputs).pixels for style in styles]
    if options.weights and options.weights.is_file():
        inputs.append(input_file("weights", options.weights))
    size = options.height_and_width
    stages = schedule(size, options, multiple=TILEABLE_MULTIPLE if options.tileable else 1)
    loaded = load_networks(stages, options, device, named=bool(options.taps), download=download)
    craft = Texture(options, tuple(pictures), size, stages, loaded, tuple(inputs), device)
    require_memory(craft)
    return craft


def _enlarge(image: Tensor, size: tuple[int, int], wraps: bool) -> Tensor:
    """The picture at a larger size; one that wraps is enlarged with what lies beyond its borders."""
    if not wraps:
        return resize(image, size)
    margin = 8
    height, width = size_of(image)
    rows, columns = (torch.arange(-margin, side + margin, device=image.device) % side for side in (height, width))
    scale = size[0] / height, size[1] / width
    # where a margin is no whole number of the larger pixels, what is cut off lies up to half of one beside
    around = round((height + 2 * margin) * scale[0]), round((width + 2 * margin) * scale[1])
    larger = resize(image[:, :, rows][:, :, :, columns], around)
    top, left = (round(margin * s) for s in scale)
    return larger[:, :, top : top + size[0], left : left + size[1]].contiguous()
