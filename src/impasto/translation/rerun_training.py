"""Rerun of a training: a model learnt again by the options and the pictures of its run, and how far the two differ."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from impasto.errors import ImpastoError, UsageError
from impasto.networks.device import pick_device
from impasto.runs.circumstances import circumstances
from impasto.runs.directory import RunDirectory, default_path
from impasto.runs.progress import Listen
from impasto.translation import train_enhancement, train_segmentation
from impasto.translation.model import load
from impasto.translation.work import TrainedModel

RESUMES: dict[str, Callable[..., TrainedModel]] = {
    train_enhancement.VERB: train_enhancement.resume,
    train_segmentation.VERB: train_segmentation.resume,
}
FACTS = ("source", "train", "valid", "recipe", "pictures", "files", "frames_to_training", "networks", "seed", "every")


@dataclass(frozen=True)
class Difference:
    """How far a model trained again is from the first.

    Attributes:
        weights: Largest absolute difference of a weight.
        reasons: What of the circumstances is not as it was.
    """

    weights: float
    reasons: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether the weights agree to the last bit."""
        return self.weights == 0

    def __str__(self) -> str:
        if self.identical:
            return "identical: the same weights, bit for bit"
        return f"weights differ by up to {self.weights:.2g}" + (f" ({'; '.join(self.reasons)})" if self.reasons else "")


def rerun_training(
    directory: Path | str, *, out: Path | str | None = None, progress: Listen | None = None, download: Any = None
) -> tuple[TrainedModel, Difference]:
    """Train a model again as a finished run of enhancement or segmentation did.

    Args:
        directory: The run.
        out: The new run's directory; by default one beside the first.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: No finished run of this kind, or pictures or weights that have changed; nothing is left then.
    """
    run = RunDirectory.open(directory)
    if run.verb not in RESUMES or run.status != "finished":
        raise UsageError(f"{directory} is no finished run of `impasto train enhance` or `impasto train segment`")
    new = Path(out) if out else default_path(run.verb, run.path.name[:60], "again", root=run.path.parent)
    facts = {name: run.manifest[name] for name in FACTS if name in run.manifest}
    device = pick_device(run.options["device"])
    begun = RunDirectory.create(
        new, verb=run.verb, options=run.options, manifest=facts | {"made_with": circumstances(device)}
    )
    try:
        result = RESUMES[run.verb](begun.path, progress=progress, download=download)
    except ImpastoError:
        if not begun.checkpoint_path.exists():
            shutil.rmtree(begun.path)
        raise
    first, again = (load(path).module.state_dict() for path in (run.path, result.run))
    return result, difference(first, again, run, begun)


def difference(
    first: dict[str, Tensor], again: dict[str, Tensor], run: RunDirectory, other: RunDirectory
) -> Difference:
    """Of the weights that two runs came to."""
    largest = max(float((first[name].double() - again[name].double()).abs().max()) for name in first)
    there = other.manifest["made_with"]
    was = run.manifest["made_with"]
    return Difference(
        largest, tuple(f"{name} was {was[name]}, is {there.get(name)}" for name in was if there.get(name) != was[name])
    )
