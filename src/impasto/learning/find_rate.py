"""Find a learning rate: the range test on a stage of a classifier, on one's own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from impasto.errors import UsageError
from impasto.learning.classify import begin_with
from impasto.learning.features import default_cache
from impasto.learning.lesson import prepare
from impasto.learning.options import ClassifierOptions
from impasto.learning.scan import read_data
from impasto.learning.stages import begin, find
from impasto.learning.work import teller
from impasto.networks.device import pick_device
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.progress import Listen
from impasto.training.finder import Found


def find_rate(
    source: Path | str,
    *,
    options: ClassifierOptions | None = None,
    stage: int = 0,
    progress: Listen | None = None,
    download: Download | None = None,
    **fields: Any,
) -> Found:
    """Try a hundred learning rates, from 1e-7 to 10, on a stage of the training that the options ask for.

    Later stages are tried on the network as it begins, with a head that has learnt nothing; a training with
    ``learning_rate="auto"`` tries them where they stand.

    Args:
        source: What :func:`impasto.classify` takes.
        options: All options at once; ``fields`` go over it.
        stage: Which of the stages, from 0.
        progress: Called as the work goes on.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`ClassifierOptions`.

    Raises:
        UsageError: As :func:`impasto.classify`; or there is no such stage.
    """
    options = merge(ClassifierOptions, options, fields)
    if not 0 <= stage < len(options.stages):
        raise UsageError(f"there is no stage {stage}: there are {len(options.stages)}, counted from 0")
    tell = teller(progress, 0.0, 1.0)
    data = prepare(read_data(source, progress=tell), options)
    lesson, model = begin_with(data, options, download)
    device = pick_device(options.device)
    begun = begin(model, lesson, options, stage, device=device, cache=default_cache(), tell=tell)
    return find(begun, options, device, tell)
