"""Style transfer: a photograph, painted in the style of other pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read, require_format, require_writable, write
from impasto.images.colour import keep_colours, match_colours
from impasto.images.resize import fit, resize, size_of
from impasto.losses.style import STYLE_LOSSES
from impasto.networks import Network, Taps
from impasto.networks.device import pick_device
from impasto.runs.bar import NotebookBar, in_notebook
from impasto.runs.options_file import validate
from impasto.runs.recipe import Input, Recipe, input_file
from impasto.synthesis.engine import descend
from impasto.synthesis.initial import initial
from impasto.synthesis.memory import require_memory
from impasto.synthesis.objective import style_transfer_objective
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.schedule import Stage, schedule

LARGEST_DEFAULT = 1024
SMALLEST_SIDE = 16

Source = Path | str | Picture


@dataclass(frozen=True, eq=False)
class StyleTransferProgress:
    """One step of a style transfer.

    Attributes:
        stage: Which scale it is, from 0.
        stages: All the scales, coarse to fine.
        step: Steps made at this scale.
        done: Part of the whole work that is done, by its estimated cost, in [0, 1].
        losses: Weighted terms by name, and ``total``.
        image: The picture so far, (1, 3, h, w) at this scale's size.
    """

    stage: int
    stages: tuple[Stage, ...]
    step: int
    done: float
    losses: dict[str, float]
    image: Float[Tensor, "1 3 h w"]

    @property
    def where(self) -> str:
        """The scale and the network, in a few words."""
        stage = self.stages[self.stage]
        return f"{stage.size[1]}×{stage.size[0]} {stage.network} {self.step}/{stage.steps}"


@dataclass(frozen=True, eq=False)
class StyleTransferResult:
    """The painted picture, with how it came about.

    Attributes:
        picture: What :meth:`save` writes: pixels, and the photograph's alpha, profile, EXIF and depth.
        losses: The last losses by name: ``style`` is 1 for the photograph and 0 for the painting's statistics.
        history: Every step's losses, with the ``stage`` and ``step`` they belong to.
        recipe: What makes the picture again.
    """

    picture: Picture
    losses: dict[str, float]
    history: tuple[dict[str, float], ...]
    recipe: Recipe

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
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            return self.save(Path(folder, "inline.png")).read_bytes()


def stylize(
    content: Source,
    styles: Source | Sequence[Source],
    *,
    options: StyleTransferOptions | None = None,
    progress: Callable[[StyleTransferProgress], object] | None = None,
    download: Callable[[int, int | None], object] | None = None,
    preview: Path | str | None = None,
    **fields: Any,
) -> StyleTransferResult:
    """Paint ``content`` in the style of ``styles``.

    >>> import impasto
    >>> impasto.stylize("photo.jpg", "painting.jpg", strength=0.7).save("out.png")  # doctest: +SKIP

    Args:
        content: The photograph: a file or a :class:`~impasto.images.Picture`.
        styles: The painting, or several.
        options: All options at once; ``fields`` go over it.
        progress: Called with every step; by default a notebook shows a bar. An interrupt (Ctrl-C) ends the work, and
            the best picture so far is returned.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        preview: A picture file, rewritten every other second while the work goes on.
        fields: Any field of :class:`StyleTransferOptions`.

    Raises:
        UsageError: An option out of bounds, a file that is not a picture, an unknown network or tap.
        ImpastoError: The weights cannot be had, or the memory.
    """
    base = options.model_dump(exclude_unset=True) if options else {}
    options = validate(StyleTransferOptions, base | fields)
    painted: StyleTransferProgress | None = None
    history: list[dict[str, float]] = []
    finished = True
    with ExitStack() as readers:
        if progress is None and in_notebook():
            progress = bar = readers.enter_context(NotebookBar())
            download = download or bar.download
        readers.enter_context(_out_of_memory_in_words())
        one = isinstance(styles, Path | str | Picture)
        job = prepare(content, [styles] if one else styles, options, download)  # type: ignore[list-item, arg-type]
        listeners = [progress] if progress else []
        if preview:
            require_format(preview)
            require_writable(preview)
            listeners.append(_preview(Path(preview), job.size))
        try:
            for painted in paint(job):
                here = {"stage": painted.stage, "step": painted.step} | painted.losses
                if here not in history[-1:]:  # the last event is told again when a plateau ends the work early
                    history.append(here)
                for listen in listeners:
                    listen(painted)
        except KeyboardInterrupt:
            if painted is None:
                raise
            finished = False
    assert painted is not None
    return _finish(job, painted, history, finished)


@contextmanager
def _out_of_memory_in_words() -> Iterator[None]:
    """torch tells of a full memory in three ways; a person needs one."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        full = isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in str(error)
        if not full:
            raise
        raise ImpastoError("out of memory: a smaller --size needs less") from error


def _preview(path: Path, size: tuple[int, int], every: float = 2.0) -> Callable[[StyleTransferProgress], None]:
    """A listener that writes the picture as it is, at its final size, now and then."""
    last = -math.inf

    def listen(event: StyleTransferProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= every or event.done == 1:
            with suppress(ImpastoError):  # a full disk must not cost the picture that is being painted
                write(path, Picture(resize(event.image.float().cpu(), size).clamp(0, 1)))
            last = time.monotonic()

    return listen


@dataclass(frozen=True, eq=False)
class Job:
    """All that a style transfer needs, read and checked."""

    options: StyleTransferOptions
    content: Picture
    styles: tuple[Float[Tensor, "1 3 k l"], ...]
    start: Picture | None
    size: tuple[int, int]
    stages: tuple[Stage, ...]
    networks: dict[str, Network]
    inputs: tuple[Input, ...]
    device: torch.device


def prepare(
    content: Source,
    styles: Sequence[Source],
    options: StyleTransferOptions,
    download: Callable[[int, int | None], object] | None = None,
) -> Job:
    """Read the pictures, load the networks, and check that everything fits, before any work is spent."""
    if not styles:
        raise UsageError("no style: give at least one painting")
    if options.style_weights and len(options.style_weights) != len(styles):
        raise UsageError(f"{len(options.style_weights)} style weights for {len(styles)} styles: give one for each")
    device = pick_device(options.device)
    inputs: list[Input] = []
    photo = _read("content", content, inputs)
    paintings = [_read("style", style, inputs).pixels for style in styles]
    start = _read("init", Path(options.init), inputs) if options.init not in ("content", "noise", "median") else None
    if options.weights and options.weights.is_file():
        inputs.append(input_file("weights", options.weights))
    if options.color == "match":
        paintings = [match_colours(painting, like=photo.pixels) for painting in paintings]
    size = result_size(photo, options)
    if min(size) < SMALLEST_SIDE:
        raise UsageError(f"the result would be {size[1]}×{size[0]} pixels: both sides must be {SMALLEST_SIDE} or more")
    stages = schedule(size, options)
    networks.require(options.network)
    if (options.taps or options.content_taps) and options.network not in {stage.network for stage in stages}:
        raise UsageError(
            f"the taps are {options.network}'s, which --quality {options.quality} does not use: leave them out"
        )
    loaded = {}
    for name in dict.fromkeys(stage.network for stage in stages):
        own_file = options.weights if name == options.network else None
        pooling = options.pooling if name == options.network else "max"
        network = networks.load(name, weights=own_file, pooling=pooling, padding=options.padding, progress=download)
        loaded[name] = network.to(device)
    for stage in reversed(stages):  # the largest first: it is the one to speak of
        if not _style_taps(loaded[stage.network], options):
            raise UsageError(f"{stage.network} suggests no taps: choose with --taps and --content-taps")
        taps = _taps(loaded[stage.network], options)
        measured = [style_size(size_of(painting), stage.size, options.stroke) for painting in paintings]
        require_memory(taps, stage.size, stage.history, device, styles=measured)
    return Job(options, photo, tuple(paintings), start, size, stages, loaded, tuple(inputs), device)


def result_size(photo: Picture, options: StyleTransferOptions) -> tuple[int, int]:
    """(height, width) of the picture that comes out."""
    own = (photo.height, photo.width)
    return fit(own, options.size or min(max(own), LARGEST_DEFAULT))


def paint(job: Job) -> Iterator[StyleTransferProgress]:
    """Go through the stages from coarse to fine; yields every step."""
    options = job.options
    image: Tensor | None = None
    smaller = job.content.pixels
    whole = sum(stage.cost for stage in job.stages)
    before = 0.0
    for index, stage in enumerate(job.stages):
        network = job.networks[stage.network]
        content = _sized(job.content.pixels, stage.size, job.device)
        weights = options.style_weights or (1.0,) * len(job.styles)
        styles = [
            (_sized(style, style_size(size_of(style), stage.size, options.stroke), job.device), weight)
            for style, weight in zip(job.styles, weights, strict=True)
        ]
        objective = style_transfer_objective(
            _taps(network, options),
            content,
            styles,
            loss=STYLE_LOSSES[options.loss],
            style_taps=_style_taps(network, options),
            content_taps=_content_taps(network, options),
            strength=options.strength,
            smoothness=options.smoothness,
        )
        if image is None:
            image = initial(options.init, content, job.start, options.seed)
        elif image.shape != content.shape:
            image = enlarge(image, content, smaller, options.init == "content")
        smaller = content
        for step in descend(objective, image, stage.steps, optimizer=options.optimizer, history=stage.history):
            image = step.image
            done = (before + stage.cost * min(1.0, step.step / stage.steps)) / whole
            yield (event := StyleTransferProgress(index, job.stages, step.step, done, step.losses, image))
        before += stage.cost
    if event.done < 1:  # the last scale reached its plateau early
        yield replace(event, done=1.0)


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
    return larger + content - resize(smaller, size) if with_detail else larger


def style_size(style: tuple[int, int], size: tuple[int, int], stroke: float) -> tuple[int, int]:
    """(height, width) at which a style is measured: the area of the result at ``stroke`` 1, so that the strokes keep
    their size relative to the picture, whatever its resolution."""
    scale = stroke * (size[0] * size[1] / (style[0] * style[1])) ** 0.5
    return max(SMALLEST_SIDE, round(style[0] * scale)), max(SMALLEST_SIDE, round(style[1] * scale))


def _finish(
    job: Job, painted: StyleTransferProgress, history: list[dict[str, float]], finished: bool
) -> StyleTransferResult:
    """The picture as it will be written: at its full size, in range, in the photograph's frame."""
    content = resize(job.content.pixels, job.size).clamp(0, 1)
    pixels = painted.image.float().cpu()
    if size_of(pixels) != job.size:  # interrupted on the way up
        smaller = resize(job.content.pixels, size_of(pixels)).clamp(0, 1)
        pixels = enlarge(pixels, content, smaller, with_detail=job.options.init == "content")
    pixels = pixels.clamp(0, 1)
    if job.options.color == "keep":
        pixels = keep_colours(pixels, content)
    alpha = job.content.alpha
    recipe = Recipe(
        verb="stylize",
        options=job.options.model_dump(mode="json", exclude_defaults=True),
        inputs=job.inputs,
        networks={name: network.sha256 for name, network in job.networks.items()},
        made_with=_circumstances(job.device),
        losses=painted.losses,
        finished=finished,
    )
    picture = replace(
        job.content,
        pixels=pixels.contiguous(),
        alpha=None if alpha is None else resize(alpha, job.size).clamp(0, 1),
        recipe=recipe.model_dump_json(exclude_defaults=True),
    )
    return StyleTransferResult(picture, painted.losses, tuple(history), recipe)


def _circumstances(device: torch.device) -> dict[str, str]:
    import platform

    from impasto import __version__

    return {
        "impasto": __version__,
        "torch": torch.__version__,
        "device": str(device),
        "threads": str(torch.get_num_threads()),
        "machine": platform.machine(),
    }


def _read(role: str, source: Source, inputs: list[Input]) -> Picture:
    if isinstance(source, Picture):
        picture, name = source, f"the {role} picture"
        inputs.append(Input(role=role, path="", sha256="", size=0))  # in memory: it cannot be found again
    elif not isinstance(source, Path | str):
        raise UsageError(f"the {role} is a {type(source).__name__}: give the path of a file, or a Picture")
    else:
        picture, name = read(source), str(source)
        inputs.append(input_file(role, Path(source)))
    if min(picture.height, picture.width) < SMALLEST_SIDE:
        raise UsageError(
            f"{name} is {picture.width}×{picture.height} pixels: a {role} needs {SMALLEST_SIDE} or more on each side"
        )
    return picture


def _sized(pixels: Tensor, size: tuple[int, int], device: torch.device) -> Tensor:
    return resize(pixels.to(device), size).clamp(0, 1)


def _style_taps(network: Network, options: StyleTransferOptions) -> tuple[str, ...]:
    # the user's names are those of the network asked for; pocket, doing the early work, keeps its own
    return options.taps if options.taps and network.name == options.network else network.style_taps


def _content_taps(network: Network, options: StyleTransferOptions) -> tuple[str, ...]:
    return options.content_taps if options.content_taps and network.name == options.network else network.content_taps


def _taps(network: Network, options: StyleTransferOptions) -> Taps:
    return Taps(network, (*_style_taps(network, options), *_content_taps(network, options)))
