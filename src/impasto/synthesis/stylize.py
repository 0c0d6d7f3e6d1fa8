"""Style transfer: a photograph, painted in the style of other pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, read_mask
from impasto.images.colour import keep_colours, match_colours, match_histograms
from impasto.images.resize import fit, resize, size_of
from impasto.networks import Network, Taps
from impasto.networks.device import pick_device
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Input, input_file
from impasto.synthesis.calibration import Fitted, Style, style_transfer_objective
from impasto.synthesis.initial import initial
from impasto.synthesis.memory import Layout, Needs
from impasto.synthesis.objective import Objective
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.painting import require_memory
from impasto.synthesis.preparation import (
    SMALLEST_SIDE,
    Source,
    load_networks,
    read_input,
    sized,
    style_size,
    style_taps,
)
from impasto.synthesis.run import carry_out
from impasto.synthesis.schedule import Stage, schedule
from impasto.synthesis.session import Listener, SynthesisResult, listening

LARGEST_DEFAULT = 1024


def stylize(
    content: Source,
    styles: Source | Sequence[Source],
    *,
    options: StyleTransferOptions | None = None,
    progress: Listener | None = None,
    download: Download | None = None,
    preview: Path | str | None = None,
    run: Path | str | None = None,
    out: Path | str | None = None,
    fitted: Fitted | None = None,
    **fields: Any,
) -> SynthesisResult:
    """Paint ``content`` in the style of ``styles``.

    >>> import impasto
    >>> impasto.stylize("photo.jpg", "painting.jpg", strength=0.7).save("out.png")  # doctest: +SKIP

    Args:
        content: The photograph: a file or a :class:`~impasto.images.Picture`.
        styles: The painting, or several.
        options: All options at once; ``fields`` go over it.
        progress: Called with every step; by default a notebook shows a bar. An interrupt (Ctrl-C) ends the work, and
            the picture so far is returned.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        preview: A picture file, rewritten every other second while the work goes on.
        run: A directory to keep checkpoints and metrics in, new or empty, so that a kill loses next to nothing
            (:func:`impasto.resume`); ``auto`` makes one under ``runs`` for large pictures.
        out: Where the picture is written; with a run, by default ``picture.png`` in its directory.
        fitted: What was measured of the paintings, for the next photograph: give the same dictionary each time.
        fields: Any field of :class:`StyleTransferOptions`.

    Raises:
        UsageError: An option out of bounds, a file that is not a picture, an unknown network or tap, a mask of
            another size.
        ImpastoError: The weights cannot be had, or the memory.
    """
    options = merge(StyleTransferOptions, options, fields)
    with listening(progress, download) as (progress, download):
        one = isinstance(styles, Path | str | Picture)
        craft = prepare(content, [styles] if one else styles, options, download, fitted)  # type: ignore[list-item, arg-type]
        return carry_out(craft, progress=progress, preview=preview, run=run, out=out)


@dataclass(eq=False)
class StyleTransfer:
    """All that a style transfer needs, read and checked: a :class:`~impasto.synthesis.painting.Craft`."""

    options: StyleTransferOptions
    content: Picture
    styles: tuple[Float[Tensor, "1 3 k l"], ...]
    masks: tuple[Float[Tensor, "1 1 h w"], ...]
    style_masks: tuple[Float[Tensor, "1 1 k l"], ...]
    begin: Float[Tensor, "1 3 m n"] | None
    size: tuple[int, int]
    stages: tuple[Stage, ...]
    networks: dict[str, Network]
    inputs: tuple[Input, ...]
    device: torch.device
    keys: tuple[str, ...]
    fitted: Fitted | None = None
    verb: str = field(default="stylize", init=False)

    def needs(self, index: int) -> Needs:
        """What of a stage must be laid out in memory."""
        network = self.networks[self.stages[index].network]
        return Needs(
            self.stages[index],
            self._taps(network),
            self._content_taps(network),
            reach=1 if "mrf" in self.options.loss else 0,
            pictures=2.0 * (self.options.average > 0) + len(self.masks),
        )

    def start(self, index: int, image: Tensor | None) -> Float[Tensor, "1 3 h w"]:
        """The photograph, noise or a picture at first; then the smaller picture with the photograph's finer detail."""
        content = self._content(index)
        if image is None:
            return initial(self.options.init, content, self.begin, self.options.seed)
        if image.shape == content.shape:
            return image
        return enlarge(image, content, self._content(index - 1), self.options.init == "content")

    def objective(self, index: int, layout: Layout) -> Objective:
        """Style and content, calibrated at the photograph."""
        options, stage = self.options, self.stages[index]
        network = self.networks[stage.network]
        return style_transfer_objective(
            self._taps(network),
            self._content(index),
            self._styles(stage),
            losses=options.weighted_losses,
            style_taps=style_taps(network, options),
            content_taps=self._content_taps(network),
            strength=options.strength,
            smoothness=options.smoothness,
            regions=self._regions(stage.size),
            tiles=layout.tiling,
            kept=layout.chosen.kept,
            place=layout.chosen.content,
            fitted=self.fitted,
        )

    def finish(self, image: Float[Tensor, "1 3 h w"], index: int) -> Picture:
        """The picture at its full size, in range, in the photograph's frame."""
        cpu = torch.device("cpu")
        if size_of(image) != self.size:  # interrupted on the way up
            content = sized(self.content.pixels, self.size, cpu)
            smaller = sized(self.content.pixels, size_of(image), cpu)
            image = enlarge(image, content, smaller, with_detail=self.options.init == "content")
        image = image.clamp(0, 1)
        if self.options.color == "keep":
            image = keep_colours(image, sized(self.content.pixels, self.size, cpu))
        alpha = self.content.alpha
        return replace(
            self.content,
            pixels=image.contiguous(),
            alpha=None if alpha is None else resize(alpha, self.size).clamp(0, 1),
        )

    def _content(self, index: int) -> Tensor:
        return sized(self.content.pixels, self.stages[index].size, self.device)

    def _regions(self, size: tuple[int, int]) -> list[Tensor]:
        """The masks at this size; where they overlap, they share the picture between them."""
        masks = [sized(mask, size, self.device) for mask in self.masks]
        if not masks:
            return []
        together = sum(masks[1:], masks[0]).clamp_min(1)
        return [mask / together for mask in masks]

    def _styles(self, stage: Stage) -> list[Style]:
        weights = self.options.style_weights or (1.0,) * len(self.styles)
        found = []
        for number, (picture, weight) in enumerate(zip(self.styles, weights, strict=True)):
            size = style_size(size_of(picture), stage.size, self.options.stroke)
            mask = partial(sized, self.style_masks[number], size, self.device) if self.style_masks else None
            known = self.keys[number]
            found.append(
                Style(
                    partial(sized, picture, size, self.device),
                    weight,
                    region=number if self.masks else None,
                    mask=mask,
                    key=(known, size, stage.network) if known and mask is None else None,
                )
            )
        return found

    def _taps(self, network: Network) -> Taps:
        return Taps(network, (*style_taps(network, self.options), *self._content_taps(network)))

    def _content_taps(self, network: Network) -> tuple[str, ...]:
        if self.options.content_taps and network.name == self.options.network:
            return self.options.content_taps
        return network.content_taps


def prepare(
    content: Source,
    styles: Sequence[Source],
    options: StyleTransferOptions,
    download: Download | None = None,
    fitted: Fitted | None = None,
) -> StyleTransfer:
    """Read the pictures, load the networks, and check that everything fits, before any work is spent."""
    if not styles:
        raise UsageError("no style: give at least one painting")
    if options.style_weights and len(options.style_weights) != len(styles):
        raise UsageError(f"{len(options.style_weights)} style weights for {len(styles)} styles: give one for each")
    for name, given in (("masks", options.masks), ("style_masks", options.style_masks)):
        if given and len(given) != len(styles):
            flag = "--" + name.replace("_", "-")
            raise UsageError(
                f"{len(given)} {flag} for {len(styles)} styles: every style needs one, and each mask a style"
            )
    device = pick_device(options.device)
    inputs: list[Input] = []
    photo = read_input("content", content, inputs)
    pictures = [read_input("style", style, inputs) for style in styles]
    begin = None
    if options.init not in ("content", "noise", "median"):
        begin = read_input("init", Path(options.init), inputs).pixels
    if options.weights and options.weights.is_file():
        inputs.append(input_file("weights", options.weights))
    masks = tuple(_mask("mask", path, size_of(photo.pixels), "the photograph", inputs) for path in options.masks)
    style_masks = tuple(
        _mask("style_mask", mask, size_of(pictures[number].pixels), "its style", inputs)
        for number, mask in enumerate(options.style_masks)
    )
    paintings = [picture.pixels for picture in pictures]
    if options.color in ("match", "histogram"):
        recolour = match_colours if options.color == "match" else match_histograms
        paintings = [recolour(painting, like=photo.pixels) for painting in paintings]
        fitted = None  # a painting's colours depend on the photograph
    size = result_size(photo, options)
    if min(size) < SMALLEST_SIDE:
        raise UsageError(f"the result would be {size[1]}×{size[0]} pixels: both sides must be {SMALLEST_SIDE} or more")
    stages = schedule(size, options)
    if begin is not None:
        begin = sized(begin, stages[0].size, torch.device("cpu"))
    loaded = load_networks(stages, options, device, named=bool(options.taps or options.content_taps), download=download)
    craft = StyleTransfer(
        options,
        photo,
        tuple(paintings),
        masks,
        style_masks,
        begin,
        size,
        stages,
        loaded,
        tuple(inputs),
        device,
        tuple(one.sha256 for one in inputs if one.role == "style"),
        fitted,
    )
    require_memory(craft)
    return craft


def result_size(photo: Picture, options: StyleTransferOptions) -> tuple[int, int]:
    """(height, width) of the picture that comes out."""
    own = (photo.height, photo.width)
    return fit(own, options.size or min(max(own), LARGEST_DEFAULT))


def enlarge(
    image: Float[Tensor, "1 3 h w"],
    content: Float[Tensor, "1 3 H W"],
    smaller: Float[Tensor, "1 3 h w"],
    with_detail: bool,
) -> Float[Tensor, "1 3 H W"]:
    """The picture at the next scale: enlarged, with the detail that the photograph has there and had not here.

    Enlarged alone, it is smooth, far from any painting, and the first steps are spent on getting fine detail back.
    """
    size = size_of(content)
    larger = resize(image, size)
    if not with_detail:
        return larger
    return larger.add_(content).sub_(resize(smaller, size))


def _mask(role: str, path: Path, size: tuple[int, int], of: str, inputs: list[Input]) -> Tensor:
    mask = read_mask(path)
    if size_of(mask) != size:
        raise UsageError(
            f"the mask {path} is {mask.shape[-1]}×{mask.shape[-2]} pixels and {of} {size[1]}×{size[0]}: "
            "draw it on a copy of the picture"
        )
    if float(mask.max()) == 0:
        raise UsageError(f"the mask {path} is black everywhere: paint white where the style is to be")
    inputs.append(input_file(role, path))
    return mask
