"""The loss landscape of a trained classifier: a run's weights, its pictures and its criterion, put on a map."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from impasto.errors import ImpastoError, UsageError
from impasto.images.replace import replace_file
from impasto.inspection.landscape.chart import Chart, Way
from impasto.inspection.landscape.directions import Direction, Normalisation, between, normalised, random_direction
from impasto.inspection.landscape.options import LandscapeOptions
from impasto.inspection.landscape.page import render
from impasto.inspection.landscape.plots import draw
from impasto.inspection.landscape.statistics import recompute_batch_norm
from impasto.inspection.landscape.surface import KEEP_SECONDS, Grid, moved, roughness, surface
from impasto.inspection.landscape.trajectory import coefficients, principal_plane
from impasto.learning.box_truth import boxes_of
from impasto.learning.classifier import Answer, Classifier, read
from impasto.learning.lesson import require_unchanged
from impasto.learning.manifest import Manifest
from impasto.learning.options import ClassifierOptions
from impasto.learning.pictures import Pictures
from impasto.learning.predict import DATA, MODEL, require_classifier
from impasto.learning.snapshots import Snapshot, snapshots
from impasto.learning.tasks import Criterion, Truth, measured
from impasto.networks.allocator import keep_freed_memory
from impasto.networks.device import pick_device
from impasto.runs.directory import RunDirectory
from impasto.runs.options_file import merge, validate

FOLDER = "landscape"
BATCH = 128  # pictures that go through the network at once

Tell = Callable[[float, str], object]


@dataclass(frozen=True)
class Landscape:
    """What came out.

    Attributes:
        folder: Where the files are.
        charts: The map of the run, and that of the one it is compared with.
        page: The interactive surface.
        pictures: The drawn ones.
    """

    folder: Path
    charts: tuple[Chart, ...]
    page: Path
    pictures: tuple[Path, ...]


def landscape(
    run: Path | str,
    *,
    options: LandscapeOptions | None = None,
    out: Path | str | None = None,
    every: float = KEEP_SECONDS,
    progress: Tell | None = None,
    **fields: Any,
) -> Landscape:
    """Map the loss around the weights of a finished run of ``impasto train classify``, and draw it.

    The loss is the run's own criterion (label smoothing and boxes included, teachers and mixup not) on pictures that
    are drawn once: the mean over the same pictures at each point. The call that is killed is made again, and goes on
    with the points that it had.

    Args:
        run: The run.
        options: All options at once; ``fields`` go over it.
        out: A folder for ``surface.json``, the drawings and ``index.html``; by default ``landscape`` in the run.
        every: Seconds between writings of the points that are done, at least.
        progress: Called with (part done, words).
        fields: Any field of :class:`LandscapeOptions`.

    Raises:
        UsageError: No finished run of a classifier, no snapshots for a trajectory, two runs that do not fit.
        ImpastoError: The disk is full; what was done before is kept.
    """
    options = merge(LandscapeOptions, options, fields)
    runs = [require_classifier(run)] + ([require_classifier(options.compare)] if options.compare else [])
    if options.compare and options.directions not in ("random", "trajectory"):
        raise UsageError("--compare draws two runs apart, and --directions RUN leads from one to the other: leave one")
    models = [read(one.path / MODEL) for one in runs]
    for model in models[1:]:
        if model.description.classes != models[0].description.classes:
            raise UsageError(f"{options.compare} and {run} know different classes: their losses cannot be compared")
    rows = _rows(runs[0], options)
    folder = Path(out) if out else runs[0].path / FOLDER
    with _folder(folder):
        charts = []
        for number, (one, model) in enumerate(zip(runs, models, strict=True)):

            def tell(part: float, words: str, number: int = number, name: str = one.path.name) -> None:
                if progress:
                    progress((number + part) / len(runs), f"{name}: {words}" if len(runs) > 1 else words)

            kept = folder / f"points-{number}.safetensors"
            charts.append(_chart(one, model, rows, options, kept, every, tell))
        text = json.dumps(
            {"options": options.model_dump(mode="json"), "surfaces": [one.to_json() for one in charts]}, allow_nan=False
        )
        replace_file(folder / "surface.json", text.encode())
        pictures = []
        for name, image in draw(charts).items():
            replace_file(folder / f"{name}.png", image)
            pictures.append(folder / f"{name}.png")
        replace_file(folder / "index.html", render(charts).encode())
        for kept in folder.glob("points-*.safetensors"):  # only now: a kill in the second run keeps the first's
            kept.unlink(missing_ok=True)
    return Landscape(folder, tuple(charts), folder / "index.html", tuple(pictures))


def _chart(
    run: RunDirectory,
    model: Classifier,
    rows: Manifest,
    options: LandscapeOptions,
    kept: Path,
    every: float,
    tell: Tell,
) -> Chart:
    """One run's map."""
    keep_freed_memory()
    device = pick_device(options.device)
    model.requires_grad_(False).to(device).eval()
    directions, words, snapped = _directions(run, model, options)
    criterion = _criterion(run)
    look, measure = _look(model, rows, criterion, device)
    recomputed = options.batch_norm == "recomputed" or (options.batch_norm is None and bool(snapped))

    def loss() -> Mapping[str, float]:
        if recomputed:
            recompute_batch_norm(model, look)
        return measure()

    way = _way(model, snapped, directions, measure) if snapped else None
    grid = _grid(options, way)
    key = _key(run, rows, options, grid, snapped)
    values = surface(model, loss, directions, grid, kept=kept, key=key, every=every, progress=tell)
    return Chart(
        title=run.path.name,
        grid=grid,
        values=values,
        axes=words,
        way=way,
        roughness=_roughness(values, grid),
        facts={
            "network": model.description.network,
            "run": str(run.path),
            "pictures": len(rows),
            "split": options.split,
            "batch norm": "recomputed at every point" if recomputed else "as the directions have it",
            "normalisation": _normalisation(options),
        },
    )


def _roughness(values: dict[str, np.ndarray], grid: Grid) -> dict[str, dict[str, float]]:
    """Of every value, and of the logarithm of the loss, which tells more where losses go over powers of ten."""
    with np.errstate(divide="ignore"):
        logarithm = np.log10(values["loss"])
    return {name: asdict(roughness(one, grid)) for name, one in (values | {"log loss": logarithm}).items()}


def _normalisation(options: LandscapeOptions) -> Normalisation:
    return options.normalise or ("filter" if options.directions == "random" else "none")


def _directions(
    run: RunDirectory, model: Classifier, options: LandscapeOptions
) -> tuple[list[Direction], tuple[str, ...], list[Snapshot]]:
    """The directions, what to call them, and the snapshots if they come from a trajectory."""
    weights = {name: one.detach() for name, one in model.named_parameters()}
    how = _normalisation(options)
    # a random direction beside a line between two runs has filters to be sized by, as everywhere
    sizing = how if options.directions == "random" else "filter"
    random = [
        random_direction(weights, normalise=sizing, seed=options.seed, number=number)
        for number in range(options.dimensions)
    ]
    names = ("first random direction", "second random direction")[: options.dimensions]
    if options.directions == "random":
        return random, names, []
    if options.directions == "trajectory":
        found = snapshots(run.path)
        plane = principal_plane([_parameters(one, weights) for one in found], options.dimensions)
        sized = [normalised(one, weights, how) for one in plane.directions]
        words = tuple(
            f"{place} principal component" + (f" ({100 * part:.1f} % of the variance)" if how == "none" else ", sized")
            for place, part in zip(("first", "second"), plane.explained, strict=False)
        )
        return sized, words, found
    other = require_classifier(options.directions)
    end = read(other.path / MODEL).to(next(iter(weights.values())).device)
    try:
        line = between(model.state_dict(), end.state_dict())
    except ValueError:
        raise UsageError(
            f"{other.path} ({end.description.network}) has not the architecture of {run.path} "
            f"({model.description.network}): a line leads between like networks only; --compare draws them side by side"
        ) from None
    words = (f"from {run.path.name} (0) to {other.path.name} (1)", "a random direction")[: options.dimensions]
    if how != "none":
        line = normalised(line, weights, how)
        words = (f"towards {other.path.name}, sized", *words[1:])
    return [line, *random[: options.dimensions - 1]], words, []


def _parameters(snapshot: Snapshot, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A snapshot's parameters, without its buffers.

    Raises:
        UsageError: It is of another network.
    """
    state = snapshot.state()
    if any(name not in state or state[name].shape != one.shape for name, one in weights.items()):
        raise UsageError(f"{snapshot.path} holds no weights of this run's network: take it away")
    return {name: state[name].to(one.device) for name, one in weights.items()}


def _way(
    model: Classifier, snapped: list[Snapshot], directions: list[Direction], measure: Callable[[], dict[str, float]]
) -> Way:
    """Where the snapshots are on the map, and how good each was itself, with all its weights and statistics."""
    weights = {name: one.detach() for name, one in model.named_parameters()}
    projected = coefficients([_parameters(one, weights) for one in snapped], weights, directions)
    losses = []
    with torch.no_grad(), moved(model, []):
        for one in snapped:
            model.load_state_dict(one.state())
            losses.append(measure()["loss"])
    labels = ["before training" if one.epoch == 0 else f"stage {one.stage + 1}, epoch {one.epoch}" for one in snapped]
    return Way(projected.points, projected.held, projected.explained, np.array(losses), tuple(labels))


def _grid(options: LandscapeOptions, way: Way | None) -> Grid:
    if way:
        points = np.concatenate([way.points, np.zeros((1, way.points.shape[1]))])  # the origin is on it too
        low, high = points.min(0), points.max(0)
        margin = (0.2 if options.reach is None else options.reach) * (high - low).max()
        return Grid.even(options.points, *zip((low - margin).tolist(), (high + margin).tolist(), strict=True))
    if options.directions == "random":
        reach = 1.0 if options.reach is None else options.reach
        return Grid.even(options.points, *[(-reach, reach)] * options.dimensions)
    reach = 0.5 if options.reach is None else options.reach
    return Grid.even(options.points, *[(-reach, 1 + reach), (-1.0, 1.0)][: options.dimensions])


def _rows(run: RunDirectory, options: LandscapeOptions) -> Manifest:
    """The pictures that the loss is the mean of: drawn from the run's, the same for the same seed."""
    data = Manifest.load(run.path / DATA)
    splits = ("train", "valid") if options.split == "both" else (options.split,)
    labels = zip(data.column("split"), data.column("label"), strict=True)
    usable = [row for row, (split, label) in enumerate(labels) if split in splits and label is not None]
    if not usable:
        raise UsageError(f"the run {run.path} has no {options.split} pictures with labels: choose another --split")
    drawn = np.random.default_rng(options.seed).permutation(usable)[: options.pictures]
    rows = data.take(np.sort(drawn))
    require_unchanged(rows)
    return rows


def _criterion(run: RunDirectory) -> Criterion:
    return Criterion(label_smoothing=validate(ClassifierOptions, run.options).label_smoothing)


def _look(
    model: Classifier, rows: Manifest, criterion: Criterion, device: torch.device
) -> tuple[Callable[[], list[Answer]], Callable[[], dict[str, float]]]:
    """What shows the network all pictures, and what measures it by them; they are decoded once."""
    description = model.description
    pictures = Pictures(rows, description.preprocessing, memory_bytes=0)
    batches = [levels.to(device) for _, levels in pictures.in_order(BATCH)]
    labels = torch.nn.functional.one_hot(
        torch.from_numpy(rows.targets(description.classes)).long(), len(description.classes)
    ).float()
    boxes = None
    if description.boxes and any(box is not None for box in rows.column("box")):
        boxes = boxes_of(rows, description.preprocessing)
    truth = Truth(labels, None, boxes)

    def look() -> list[Answer]:
        found = []
        for levels in batches:
            answer = model(levels.float().div_(255))
            found.append(Answer(answer.logits.float().cpu(), None if answer.boxes is None else answer.boxes.cpu()))
        return found

    def measure() -> dict[str, float]:
        found = look()
        whole = Answer(
            torch.cat([one.logits for one in found]),
            torch.cat([one.boxes for one in found if one.boxes is not None]) if boxes is not None else None,
        )
        return {"loss": float(criterion(whole, truth)), "accuracy": measured(found, truth)["accuracy"]}

    return look, measure


def _key(run: RunDirectory, rows: Manifest, options: LandscapeOptions, grid: Grid, snapped: list[Snapshot]) -> str:
    """A hash of all that the values on the map depend on."""
    other = options.directions if options.directions not in ("random", "trajectory") else None
    facts = {
        "weights": run.manifest["sha256"],
        "other": RunDirectory.open(other).manifest["sha256"] if other else None,
        "pictures": rows.sha256,
        "snapshots": [_version(one.path) for one in snapped],
        "grid": [grid.x.tolist(), grid.y.tolist()],
        "options": options.model_dump(mode="json", exclude={"compare", "device"}),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _version(path: Path) -> tuple[str, int, int]:
    """What tells a file from one that was written over it later."""
    status = path.stat()
    return path.name, status.st_size, status.st_mtime_ns


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """A folder to write into, made if it is not there, that no other process draws into meanwhile."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / ".lock")
        lock.acquire(blocking=False)
    except Timeout as error:
        raise UsageError(f"another process draws into {path}: wait for it, or choose another with --out") from error
    except OSError as error:
        raise ImpastoError(f"{path} cannot be written to: {error.strerror}; choose another with --out") from error
    try:
        yield
    finally:
        lock.release()
