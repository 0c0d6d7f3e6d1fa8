"""A session: makes a picture while telling of it, keeping checkpoints, and ending well when it is interrupted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.images import Picture, require_format, require_writable, write
from impasto.images.inline import inline_png
from impasto.images.resize import resize
from impasto.networks.weights import Download
from impasto.runs import checkpoint as checkpoints
from impasto.runs.bar import NotebookBar, in_notebook
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.circumstances import circumstances
from impasto.runs.directory import RunDirectory
from impasto.runs.keeper import CHECKPOINT_SECONDS, Keeper
from impasto.runs.recipe import Recipe
from impasto.synthesis.objective import out_of_memory
from impasto.synthesis.painting import Craft, SynthesisProgress, paint
from impasto.synthesis.processes import rank, world

Listener = Callable[[SynthesisProgress], object]


@dataclass(frozen=True, eq=False)
class SynthesisResult:
    """The picture, with how it came about.

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
        return inline_png(self.save)


@contextmanager
def listening(
    progress: Listener | None, download: Download | None
) -> Iterator[tuple[Listener | None, Download | None]]:
    """The callers' listeners, or a bar where a notebook has none; and a full memory in words."""
    with ExitStack() as readers:
        if progress is None and in_notebook():
            progress = bar = readers.enter_context(NotebookBar())
            download = download or bar.download
        with _out_of_memory_in_words():
            yield progress, download


def make(
    craft: Craft,
    *,
    progress: Listener | None = None,
    preview: Path | str | None = None,
    run: RunDirectory | None = None,
    every: float = CHECKPOINT_SECONDS,
) -> SynthesisResult:
    """Make a craft's picture.

    Args:
        craft: What is made.
        progress: Called with every step. An interrupt (Ctrl-C) ends the work, and the picture so far is returned.
        preview: A picture file, rewritten every other second while the work goes on.
        run: Where checkpoints and metrics are kept; when it has a checkpoint, the work goes on from there.
        every: Seconds between checkpoints, at least; with 0, after every step.

    Raises:
        ImpastoError: A full disk or memory; a run's last checkpoint stays.
    """
    listeners = [progress] if progress and rank() == 0 else []
    if preview and rank() == 0:
        require_format(preview)
        require_writable(preview)
        listeners.append(_preview(Path(preview), craft.size))
    history: list[dict[str, float]] = []
    begin_at: Checkpoint | None = None
    if run and run.checkpoint_path.exists():
        begin_at = checkpoints.load(run.checkpoint_path)
        history = list(begin_at.facts["history"])
    if run and rank() == 0:
        run.truncate_log(len(history))  # what the checkpoint does not know, or all where there is none, is done again
    keeper = Keeper(run.checkpoint_path, every) if run and rank() == 0 else None
    painted: tuple[Tensor, int, dict[str, float]] | None = None
    finished = True
    events = paint(craft, begin_at)
    del begin_at
    try:
        for event in events:
            painted = event.image, event.stage, event.losses
            here = {"stage": event.stage, "step": event.step} | event.losses
            if here not in history[-1:]:  # the last event is told again when a plateau ends the work early
                history.append(here)
                if run and keeper:
                    run.log(here)
                    _keep(keeper, event, history)
            for listen in listeners:
                listen(event)
            del event  # it holds the optimiser's memory
    except KeyboardInterrupt:
        if painted is None:
            raise
        finished = False
    del events
    assert painted is not None
    image, stage, losses = painted
    return _finish(craft, image, stage, losses, history, finished)


def _keep(keeper: Keeper, event: SynthesisProgress, history: list[dict[str, float]]) -> None:
    """Write a checkpoint, if it is time, that knows the steps so far."""

    def state() -> Checkpoint:
        one = event.checkpoint()
        return replace(one, facts=one.facts | {"history": history})

    keeper.keep(state)


@contextmanager
def _out_of_memory_in_words() -> Iterator[None]:
    """torch tells of a full memory in three ways; a person needs one."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise ImpastoError("out of memory: a smaller --size needs less") from error


def _preview(path: Path, size: tuple[int, int], every: float = 2.0) -> Listener:
    """A listener that writes the picture as it is, at its final size, now and then."""
    last = -math.inf

    def listen(event: SynthesisProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= every or event.done == 1:
            began = time.monotonic()
            with suppress(ImpastoError):  # a full disk must not cost the picture that is being painted
                write(path, Picture(resize(event.image.float().cpu(), size).clamp(0, 1)))
            last = time.monotonic() + 9 * (time.monotonic() - began)  # a tenth of the time at most

    return listen


def _finish(
    craft: Craft,
    image: Tensor,
    stage: int,
    losses: dict[str, float],
    history: list[dict[str, float]],
    finished: bool,
) -> SynthesisResult:
    recipe = Recipe(
        verb=craft.verb,
        options=craft.options.model_dump(mode="json", exclude_defaults=True),
        inputs=craft.inputs,
        networks={name: network.sha256 for name, network in craft.networks.items()},
        made_with=circumstances(craft.device, world()),
        losses=losses,
        finished=finished,
    )
    picture = craft.finish(image.float().cpu(), stage)
    return SynthesisResult(
        replace(picture, recipe=recipe.model_dump_json(exclude_defaults=True)), losses, tuple(history), recipe
    )
