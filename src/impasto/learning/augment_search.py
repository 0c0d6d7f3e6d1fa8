"""Augmentation search: each augmentation alone at the same budget, then those that help together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from impasto.errors import UsageError
from impasto.learning.augmentation import NAMES, Augmentation, parse
from impasto.learning.calibration import log_losses
from impasto.learning.features import features
from impasto.learning.heads import head
from impasto.learning.intervals import Interval, has_groups, paired, proportion
from impasto.learning.lesson import require_classes
from impasto.learning.manifest import Manifest
from impasto.learning.order import Order
from impasto.learning.pictures import Pictures, Preprocessing
from impasto.learning.split import folds
from impasto.learning.tasks import ActivationTask, Criterion, Truth
from impasto.networks import Network
from impasto.training.loop import Plan, train
from impasto.training.schedules import one_cycle, one_cycle_momentum

Tell = Callable[[float, str], object]

# What a search tries by default: all that a photograph may undergo without showing something else.
TRIED = tuple(name for name in NAMES if name != "flip-vertical")


@dataclass(frozen=True)
class Trial:
    """What a set of augmentations is worth.

    Attributes:
        augmentations: Their words; none is the plain pictures.
        log_loss: On pictures that were not learnt from, mean over the seeds.
        accuracy: Likewise, with its interval.
        gain: How much lower the log loss is than without augmentation, picture by picture, with its interval.
    """

    augmentations: tuple[str, ...]
    log_loss: float
    accuracy: Interval
    gain: Interval

    @property
    def helps(self) -> bool:
        """Whether the whole interval of the gain lies above zero."""
        return self.gain.low > 0

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        return vars(self) | {"gain": self.gain._asdict(), "accuracy": self.accuracy._asdict()}


@dataclass(frozen=True)
class Search:
    """What was tried.

    Attributes:
        trials: Without any, each alone from the best to the worst, and the combinations in the order they were tried.
        best: What to train with, measured again on other folds with other seeds; None if nothing helps.
        steps: The budget: batches that each was trained for, in each fold.
    """

    trials: tuple[Trial, ...]
    best: Trial | None
    steps: int


def augment_search(
    data: Manifest,
    network: Network,
    tap: str,
    *,
    tried: Sequence[str] = TRIED,
    preprocessing: Preprocessing,
    copies: int = 4,
    epochs: int = 20,
    k: int = 3,
    repeats: int = 2,
    cache: Path | None = None,
    device: torch.device | str = "cpu",
    seed: int = 0,
    progress: Tell | None = None,
) -> Search:
    """Find the augmentations that help a head on a frozen network, with everything else equal.

    Every picture is judged once for each seed, by a head that has not learnt from its fold (copies and groups stay in
    one fold). A head learns from ``copies`` precomputed copies of each picture, one of them plain, another one in each
    epoch; without augmentation it sees the plain one as often. So the budget of steps is the same for all. The gain is
    measured in log loss, picture by picture, which tells smaller differences than accuracy does. Its interval is for as
    many as were tried (Bonferroni), else one of fourteen would help by chance in every third search. Those that help
    are combined, the best first, each kept if that is better than before; and what is left is measured once more.

    Args:
        data: The pictures to learn from and to judge by; rows of a test split are to be left out.
        network: Frozen.
        tap: The layer that the head stands on.
        tried: Augmentations as words, each tried alone.
        preprocessing: Of the pictures.
        copies: Copies of each picture.
        epochs: Times that a head sees each picture.
        k: Folds.
        repeats: Seeds, with other folds and other first weights.
        cache: Where activations are kept.
        device: Where to compute.
        seed: The first.
        progress: Called with (part done, words).

    Raises:
        UsageError: An unknown augmentation, fewer pictures than folds, pictures without labels or of one class.
    """
    parsed = [parse([word])[0] for word in tried]
    targets = data.targets()
    if (targets < 0).any():
        raise UsageError(f"{data.paths[int((targets < 0).argmax())]} has no label: search on labelled pictures")
    require_classes(data, data.root)
    if epochs < 1 or repeats < 1:
        raise UsageError(f"epochs and repeats are {epochs} and {repeats}: a head is trained once at least")
    if copies < 2:
        raise UsageError("a search needs 2 copies of each picture at least: the plain one and a changed one")
    pictures = Pictures(data, preprocessing)
    total = len(parsed) + 3 + min(3, len(parsed))
    turn = 0

    def attempt(augmentations: tuple[Augmentation, ...], first: int = seed) -> np.ndarray:
        """(repeats, n, k) probabilities of each picture, by heads that have not learnt from its fold."""
        nonlocal turn
        words = " + ".join(map(str, augmentations)) or "no augmentation"

        def tell(part: float, _: str) -> None:
            if progress:
                progress(min(0.99, (turn + part) / total), words)

        seen = features(
            data,
            network,
            (tap,),
            preprocessing=preprocessing,
            augmentations=augmentations,
            copies=copies if augmentations else 1,
            seed=seed,
            cache=cache,
            device=device,
            pictures=pictures,
            progress=lambda part, words: tell(0.7 * part, words),
        )[tap]
        found = []
        for repeat in range(repeats):
            fold = folds(data, k, seed=first + repeat)
            opinion = np.zeros((len(data), len(data.classes)))
            for number in range(k):
                held, learnt = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
                opinion[held] = _judge(
                    lambda rows, copy, learnt=learnt: seen.read(learnt[rows], copy),  # type: ignore[misc]
                    copies if augmentations else 1,
                    targets[learnt],
                    seen.read(held),
                    len(data.classes),
                    epochs,
                    first + repeat,
                    torch.device(device),
                )
                tell(0.7 + 0.3 * (repeat * k + number + 1) / (repeats * k), "")
            found.append(opinion)
        turn += 1
        return np.stack(found)

    groups = data.column("group") if has_groups(data.column("group")) else None

    def losses(opinions: np.ndarray) -> np.ndarray:
        return np.mean([log_losses(one, targets) for one in opinions], axis=0)

    def trial(augmentations: tuple[Augmentation, ...], opinions: np.ndarray, base: np.ndarray, tries: int = 1) -> Trial:
        hits = (opinions.mean(0).argmax(1) == targets).astype(bool)
        gain = paired(losses(base), losses(opinions), groups=groups, level=1 - 0.05 / tries)
        return Trial(tuple(map(str, augmentations)), float(losses(opinions).mean()), proportion(hits, groups), gain)

    plain = attempt(())
    opinions = {one: attempt((one,)) for one in parsed}
    alone = [(one, trial((one,), said, plain, len(parsed))) for one, said in opinions.items()]
    alone.sort(key=lambda pair: pair[1].log_loss)
    helping = [one for one, result in alone if result.helps]
    combined: list[Trial] = []
    chosen, said = tuple(helping[:1]), opinions[helping[0]] if helping else plain
    for one in helping[1:4]:
        together = attempt((*chosen, one))
        combined.append(trial((*chosen, one), together, plain))
        if paired(losses(said), losses(together), groups=groups).low > 0:
            chosen, said = (*chosen, one), together
    confirmed = None
    if chosen:  # what was chosen for its luck on these folds has none on others
        fresh = seed + repeats
        confirmed = trial(chosen, attempt(chosen, fresh), attempt((), fresh))
    learnt = len(data) - len(data) // k  # rows, when one of the folds is held out
    steps = epochs * Order(targets[:learnt]).steps
    trials = (trial((), plain, plain), *(result for _, result in alone), *combined)
    return Search(trials, confirmed, steps)


def _judge(
    read: Callable[[np.ndarray, int], torch.Tensor],
    copies: int,
    targets: np.ndarray,
    held: torch.Tensor,
    classes: int,
    epochs: int,
    seed: int,
    device: torch.device,
) -> np.ndarray:
    """(m, k) probabilities that a head, trained on some rows, gives the others."""
    labels = torch.nn.functional.one_hot(torch.from_numpy(targets), classes).float()
    task = ActivationTask(read, copies, Truth(labels), Order(targets, seed=seed), Criterion(), device, None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = head("linear", held.shape[1], classes)
    plan = Plan(epochs, (2e-3,), one_cycle(), one_cycle_momentum(), seed=seed)
    for _ in train(layers, [layers], task, plan, device=device):
        pass
    with torch.no_grad():
        return np.asarray(layers(held.to(device)).double().softmax(1).cpu().numpy())


def plot(search: Search, path: Path | str) -> None:
    """Draw each trial's gain with its interval, as a PNG.

    Raises:
        ImpastoError: The disk is full.
    """
    from matplotlib.figure import Figure

    from impasto.images.replace import replace_file
    from impasto.learning.plots import BLUE, FAINT, ORANGE, png

    shown = [trial for trial in search.trials if trial.augmentations][::-1]
    figure = Figure(figsize=(7, 0.8 + 0.28 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for place, one in enumerate(shown):
        colour = BLUE if one.helps else ORANGE if one.gain.high < 0 else FAINT
        axes.plot([one.gain.low, one.gain.high], [place, place], color=colour, linewidth=2)
        axes.plot(one.gain.value, place, "o", color=colour, markersize=5)
    axes.axvline(0, color=FAINT, linewidth=1)
    axes.set_yticks(range(len(shown)), [" + ".join(one.augmentations) for one in shown])
    axes.set_xlabel("log loss saved against no augmentation, 95 % interval")
    replace_file(Path(path), png(figure))
