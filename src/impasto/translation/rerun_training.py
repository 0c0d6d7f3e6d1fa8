"""Rerun of a training: a model learnt again by the options and the pictures of its run, and how far the two differ."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from impasto.errors import ImpastoError, UsageError
from impasto.networks.device import pick_device
from impasto.networks.weights import Download
from impasto.runs.circumstances import circumstances
from impasto.runs.difference import Difference, Outcome, difference
from impasto.runs.directory import RunDirectory, path_again
from impasto.runs.progress import Listen
from impasto.runs.verbs import ENHANCEMENT, SEGMENTATION
from impasto.translation import train_enhancement, train_segmentation
from impasto.translation.model import load
from impasto.translation.work import TrainedModel

RESUMES: dict[str, Callable[..., TrainedModel]] = {
    ENHANCEMENT: train_enhancement.resume,
    SEGMENTATION: train_segmentation.resume,
}
FACTS = ("source", "train", "valid", "recipe", "pictures", "files", "frames_to_training", "networks", "seed", "every")


def rerun_training(
    directory: Path | str,
    *,
    out: Path | str | None = None,
    search: Sequence[Path] = (),
    progress: Listen | None = None,
    download: Download | None = None,
) -> tuple[TrainedModel, Difference]:
    """Train a model again as a finished run of enhancement or segmentation did.

    Args:
        directory: The run.
        out: The new run's directory; by default one beside the first.
        search: Folders in which to look for pictures that have moved; they are known by their hash.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: No finished run of this kind, or pictures or weights that have changed; nothing is left then.
    """
    run = RunDirectory.open(directory)
    if run.verb not in RESUMES or run.status != "finished":
        raise UsageError(f"{directory} is no finished run of `impasto train enhance` or `impasto train segment`")
    new = Path(out) if out else path_again(run)
    facts = {name: run.manifest[name] for name in FACTS if name in run.manifest}
    device = pick_device(run.options["device"])
    begun = RunDirectory.create(
        new, verb=run.verb, options=run.options, manifest=facts | {"made_with": circumstances(device)}
    )
    try:
        result = RESUMES[run.verb](begun.path, search=search, progress=progress, download=download)
    except ImpastoError:
        if not begun.checkpoint_path.exists():
            shutil.rmtree(begun.path)
        raise
    first, again = (
        Outcome(one.manifest, load(one.path).module.state_dict(), one.manifest.get("scores", {}))
        for one in (run, RunDirectory.open(result.run))
    )
    return result, difference(first, again)
