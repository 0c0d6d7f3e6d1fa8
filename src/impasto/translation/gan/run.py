"""impasto train gan: a generator of pictures, trained in a run directory that can be resumed after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.images.replace import replace_file
from impasto.networks.device import pick_device
from impasto.runs.circumstances import circumstances, warn_of_changes
from impasto.runs.directory import RunDirectory, default_path
from impasto.runs.journal import Journal
from impasto.runs.keeper import CHECKPOINT_SECONDS
from impasto.runs.options_file import merge, validate
from impasto.runs.progress import Listen, Progress
from impasto.runs.verbs import GAN
from impasto.translation.gan.curves import noise_curves
from impasto.translation.gan.game import seed_of
from impasto.translation.gan.generated import MODEL, columns_of, draw, save_generator, seeded_noise, sheet
from impasto.translation.gan.generator import build_generator
from impasto.translation.gan.options import GanOptions
from impasto.translation.gan.pictures import RealPictures, load_pictures
from impasto.translation.gan.play import GENERATOR, WEIGHTS, play
from impasto.translation.gan.progressive import Growth

SHEET, CURVES = "sheet.png", "curves.png"
READ = 0.02  # part of the work that is done when the pictures are read, roughly
LAST = 100  # steps whose Wasserstein estimates are averaged
SHOWN = 64  # a picture on a sheet is at least that wide


@dataclass(frozen=True)
class TrainedGan:
    """What came out.

    Attributes:
        run: The run's directory.
        model: The generator's file.
        sheet: Pictures that it makes.
        wasserstein: The estimate, over the last hundred steps.
    """

    run: Path
    model: Path
    sheet: Path
    wasserstein: float


def train_gan(
    source: Path | str,
    *,
    options: GanOptions | None = None,
    run: Path | str | None = None,
    every: float = CHECKPOINT_SECONDS,
    expect: str | None = None,
    progress: Listen | None = None,
    **fields: Any,
) -> TrainedGan:
    """Train a generator of pictures like those of a folder, in a run directory.

    >>> from impasto.translation.gan.run import train_gan
    >>> train_gan("digits/", kind="wgan-gp", size=32, steps=2000).sheet  # doctest: +SKIP

    Args:
        source: A folder of pictures, or MNIST's idx files.
        options: All options at once; ``fields`` go over it.
        run: The run's directory, new or empty; by default one under ``runs`` that is named after the time.
        every: Seconds between checkpoints, at least.
        expect: The hash that the pictures must have, of the run that is made again.
        progress: Called with every step.
        fields: Any field of :class:`GanOptions`.

    Raises:
        UsageError: An option out of bounds, no pictures, or others than expected; nothing is begun then.
        ImpastoError: A full disk, a loss that is no number; the run can be resumed.
    """
    options = merge(GanOptions, options, fields)
    source = Path(source)
    device = pick_device(options.device)
    pictures = load_pictures(source, options.size, progress=_reading(progress))
    if expect and pictures.sha256 != expect:
        raise UsageError(f"the pictures of {source} are not those that the run was trained on")
    begun = RunDirectory.create(
        Path(run) if run else default_path(GAN, source.resolve().stem, options.kind),
        verb=GAN,
        options=options.model_dump(mode="json"),
        manifest={
            "source": str(source.absolute()),
            "data": pictures.sha256,
            "pictures": len(pictures),
            "made_with": circumstances(device),
            "seed": options.seed,
            "every": every,
        },
    )
    with begun.lock():
        return _work(begun, pictures, options, progress)


def resume(directory: Path | str, *, progress: Listen | None = None) -> TrainedGan:
    """Go on with a run where its last checkpoint is, to the weights that it would have come to.

    Raises:
        UsageError: No run of `impasto train gan`, one that is finished, pictures that have changed, another process at
            work in it.
    """
    run = RunDirectory.open(directory)
    if run.verb != GAN:
        raise UsageError(f"the run {directory} is one of `impasto {run.verb}`, and not of `impasto train gan`")
    with run.lock():
        if run.status == "finished":
            raise UsageError(f"the run {directory} is finished: its pictures are {run.path / SHEET}")
        options = validate(GanOptions, run.options)
        source = Path(run.manifest["source"])
        pictures = load_pictures(source, options.size, progress=_reading(progress))
        if pictures.sha256 != run.manifest["data"]:
            raise UsageError(f"the pictures of {source} are not those the run {directory} began with")
        warn_of_changes(run.manifest["made_with"], circumstances(pick_device(options.device)), "weights")
        return _work(run, pictures, options, progress)


def _work(run: RunDirectory, pictures: RealPictures, options: GanOptions, listen: Listen | None) -> TrainedGan:
    journal = Journal(run)
    architecture = options.generator(pictures.channels)
    generator = build_generator(architecture, seed_of(options.seed, WEIGHTS, GENERATOR))
    for turn in play(generator, pictures, options, device=pick_device(options.device), begin_at=journal.begin_at):
        journal.note(turn.record)
        if turn.record["step"] % options.sheet_every == 0:
            _show(run, turn.judged or generator, options, turn.at)
        journal.keep(turn.checkpoint)
        if listen:
            listen(Progress(READ + (1 - READ) * turn.done, turn.losses, turn.where))
    log = run.read_log()
    last = [record["wasserstein"] for record in log][-LAST:]
    scores = {"wasserstein": sum(last) / len(last)}
    card = {"trained_on": {"source": Path(run.manifest["source"]).name, "pictures": len(pictures)}, **scores}
    _show(run, generator, options, None)
    replace_file(run.path / CURVES, noise_curves(log))
    save_generator(generator, architecture, {"options": run.options, **card}, run.path / MODEL)
    run.finish(MODEL, scores=scores)
    return TrainedGan(run.path, run.path / MODEL, run.path / SHEET, scores["wasserstein"])


def _show(run: RunDirectory, generator: nn.Module, options: GanOptions, at: Growth | None) -> None:
    """The sheet, always of the same noise."""
    made = draw(generator, seeded_noise(options.sheet_count, options.noise, options.seed), at)
    enlarge = max(1, SHOWN // made.shape[-1])
    write(run.path / SHEET, Picture(sheet(made, columns_of(len(made)), enlarge)))


def _reading(listen: Listen | None) -> Callable[[float, str], object] | None:
    return (lambda done, words: listen(Progress(READ * done, {}, words))) if listen else None
