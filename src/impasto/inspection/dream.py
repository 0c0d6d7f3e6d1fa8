"""Dreams: a picture in which a network sees more and more of what it sees already."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, read, write
from impasto.images.inline import inline_png
from impasto.images.resize import fit, resize, size_of
from impasto.inspection import objectives
from impasto.inspection.expression import parse_objectives
from impasto.inspection.objectives import Objective
from impasto.inspection.options import DreamOptions
from impasto.inspection.progress import Progress
from impasto.inspection.recipe import recipe_of
from impasto.inspection.subject import subject
from impasto.networks import Network, Taps
from impasto.networks.hooks import at_rest
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Input, Recipe, input_file

LARGEST_DEFAULT = 1024
SMALLEST = 32  # no octave is smaller
GUIDE_SIZE = 224


@dataclass(frozen=True, eq=False)
class Dream:
    """What was dreamt.

    Attributes:
        picture: What :meth:`save` writes: pixels, and the photograph's alpha, profile, EXIF and depth.
        objective: What was made stronger, in words.
        values: Of the objective, by octave, before its first step and after its last.
        recipe: What makes the picture again.
        finished: Whether all octaves were dreamt.
    """

    picture: Picture = field(repr=False)
    objective: str
    values: tuple[tuple[float, float], ...]
    recipe: Recipe = field(repr=False)
    finished: bool = True

    @property
    def tensor(self) -> Float[Tensor, "1 3 h w"]:
        """The pixels, float32 RGB in [0, 1]."""
        return self.picture.pixels

    def save(self, path: Path | str) -> Path:
        """Write the picture, its recipe inside, in the format of the path's suffix."""
        write(path, self.picture)
        return Path(path)

    def _repr_png_(self) -> bytes:
        """The picture inline in a notebook."""
        return inline_png(self.save)


def dream(
    image: Path | str | Picture,
    objective: str | Objective | None = None,
    *,
    network: Network | str | None = None,
    options: DreamOptions | None = None,
    progress: Progress | None = None,
    download: Download | None = None,
    **fields: Any,
) -> Dream:
    """Climb from a picture towards an objective, octave by octave.

    Mordvintsev, Olah and Tyka (2015), "Inceptionism", as their notebook has it: every octave is 1.4 times larger than
    the one before, the detail that was dreamt is carried upward, and a step is the gradient over its mean size. The
    picture is rolled at random before each step and worked in tiles, so that any size takes bounded memory and no seam
    stays. An interrupt (Ctrl-C) ends the work with the picture so far.

    >>> import impasto
    >>> impasto.dream("photo.jpg", network="pocket").save("dream.png")  # doctest: +SKIP

    Args:
        image: The picture: a file, or a :class:`~impasto.images.Picture`.
        objective: What is made stronger: ``layer(features.7)``, ``features.7:42``, ``class:goldfish`` or a sum of such,
            or an objective. Default: all of a layer that lies rather deep.
        network: A name, or a network as it is. Default: the options' network.
        options: All options at once; ``fields`` go over it.
        progress: Called with (part done, a few words).
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`DreamOptions`.

    Raises:
        UsageError: An unreadable picture, an unknown network or unit, or an option out of bounds.
        ImpastoError: The weights cannot be had.
    """
    named = {"network": network} if isinstance(network, str) else {}
    options = merge(DreamOptions, options, named, fields)
    inputs: list[Input] = []
    photograph = _read(image, "content", inputs)
    of = subject(network or options.network, options.weights, options.device, download)
    wanted = _objective(objective, of, options, inputs)
    device = next(of.module.parameters()).device
    own = (photograph.height, photograph.width)
    size = fit(own, options.size or min(max(own), LARGEST_DEFAULT))
    start = resize(photograph.pixels, size).to(device)
    generator = torch.Generator().manual_seed(options.seed)
    sizes = octaves(size, options.octaves, options.octave_scale)
    taps = Taps(of, wanted.taps)
    values: list[tuple[float, float]] = []
    detail = torch.zeros(1, 3, *sizes[0], device=device)
    finished = True
    with at_rest(of.module), torch.enable_grad():
        try:
            for number, at in enumerate(sizes):
                ground = resize(start, at)
                seen = (ground + resize(detail, at)).clamp(0, 1)
                reached: list[float] = []
                for step in range(options.steps):
                    seen, value = _step(taps, wanted, seen, options, generator)
                    detail = seen - ground
                    reached.append(value)
                    if progress:
                        done = (number + (step + 1) / options.steps) / len(sizes)
                        progress(done, f"octave {number + 1} of {len(sizes)}, {at[1]}×{at[0]}")
                values.append((reached[0], reached[-1]))
        except KeyboardInterrupt:
            if not values and not detail.any():
                raise
            finished = False
    pixels = (start + resize(detail, size)).clamp(0, 1).cpu().contiguous()
    asked = None if objective is None else str(objective)
    recipe = recipe_of("dream", of, options, inputs, objective=asked).model_copy(update={"finished": finished})
    alpha = photograph.alpha if photograph.alpha is None else resize(photograph.alpha, size).clamp(0, 1)
    framed = replace(photograph, pixels=pixels, alpha=alpha, recipe=recipe.model_dump_json(exclude_defaults=True))
    return Dream(framed, str(wanted), tuple(values), recipe, finished)


def octaves(size: tuple[int, int], count: int, factor: float) -> list[tuple[int, int]]:
    """Sizes from the smallest to the picture's own, each ``factor`` times the one before; those too small are left out.

    >>> octaves((140, 280), 3, 1.4)
    [(71, 143), (100, 200), (140, 280)]
    """
    sizes = [(round(size[0] / factor**k), round(size[1] / factor**k)) for k in reversed(range(count))]
    return [at for at in sizes if min(at) >= SMALLEST] or [size]


def _step(
    taps: Taps, wanted: Objective, seen: Float[Tensor, "1 3 h w"], options: DreamOptions, generator: torch.Generator
) -> tuple[Float[Tensor, "1 3 h w"], float]:
    """One step of gradient ascent, in tiles of a picture that was rolled by chance; its seams are elsewhere next time.

    The steps of the notebook are of pixels in 0 … 255.
    """
    h, w = size_of(seen)
    # as far as the notebook's jitter, and in tiles anywhere
    reach_h, reach_w = (options.jitter if side <= options.tile else side // 2 for side in (h, w))
    down = int(torch.randint(-reach_h, reach_h + 1, (), generator=generator))
    right = int(torch.randint(-reach_w, reach_w + 1, (), generator=generator))
    rolled = torch.roll(seen, (down, right), (2, 3))
    gradient = torch.zeros_like(rolled)
    value = 0.0
    for top, bottom in spans(h, options.tile):
        for left, end in spans(w, options.tile):
            tile = rolled[..., top:bottom, left:end].clone().requires_grad_()
            half = options.precision == "bf16-mixed"
            with torch.autocast(tile.device.type, torch.bfloat16, enabled=half):
                found = taps(tile)
            reached = wanted.value({tap: one.float() for tap, one in found.items()})
            (part,) = torch.autograd.grad(reached, tile)
            share = (bottom - top) * (end - left) / (h * w)
            gradient[..., top:bottom, left:end] = part * share
            value += reached.item() * share
    size = gradient.abs().mean()
    moved = rolled + options.strength / 255 * gradient / size.clamp_min(torch.finfo(size.dtype).tiny)
    return torch.roll(moved.clamp(0, 1), (-down, -right), (2, 3)).detach(), value


def spans(length: int, most: int) -> list[tuple[int, int]]:
    """A length cut into parts of at most ``most``, of sizes that differ by one at most.

    >>> spans(10, 4)
    [(0, 3), (3, 6), (6, 10)]
    """
    count = -(-length // most)
    edges = [length * k // count for k in range(count + 1)]
    return list(pairwise(edges))


def _read(source: Path | str | Picture, role: str, inputs: list[Input]) -> Picture:
    if isinstance(source, Picture):
        inputs.append(Input(role=role, path="", sha256="", size=0))  # in memory: it cannot be found again
        return source
    picture = read(source)
    inputs.append(input_file(role, Path(source)))
    return picture


def _objective(
    objective: str | Objective | None, network: Network, options: DreamOptions, inputs: list[Input]
) -> Objective:
    """What is made stronger; with a guide, what the guide shows at the layer."""
    if options.guide is not None:
        if objective is not None and not (isinstance(objective, str) and objective in network.tap_names()):
            raise UsageError("with --guide, name a layer to be guided at (--unit features.7), or none")
        guide = _read(options.guide, "guide", inputs)
        pixels = resize(guide.pixels, fit((guide.height, guide.width), GUIDE_SIZE))
        device = next(network.module.parameters()).device
        return objectives.like(network, str(objective or default_tap(network)), pixels.to(device))
    if isinstance(objective, Objective):
        return objective
    found = parse_objectives(objective or f"layer({default_tap(network)})", network)
    if len(found) > 1:
        raise UsageError(f"{objective!r} is {len(found)} units: name one, or layer({objective}) for all of it at once")
    return found[0]


def default_tap(network: Network) -> str:
    """A layer that knows parts of things and not yet things: the last but one of the network's style taps.

    Raises:
        UsageError: The network names none.
    """
    if not network.style_taps:
        raise UsageError(f"{network.name} does not tell which layer to dream with: name one with --unit 'layer(TAP)'")
    return network.style_taps[-2:][0]
