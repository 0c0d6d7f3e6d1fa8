"""Train an enhancement: from a folder of good pictures to a run with a model that makes bad ones good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from impasto import __version__, networks
from impasto.errors import UsageError
from impasto.images.resample import imresize
from impasto.networks import Network
from impasto.networks.device import pick_device
from impasto.networks.weights import Download
from impasto.runs.checkpoint import Checkpoint
from impasto.runs.directory import RunDirectory
from impasto.runs.keeper import CHECKPOINT_SECONDS
from impasto.runs.options_file import merge
from impasto.runs.progress import Listen
from impasto.runs.verbs import ENHANCEMENT
from impasto.training.loop import TrainingProgress
from impasto.training.stage import Stage, parse_stage
from impasto.translation.criterion import Criterion, criterion
from impasto.translation.degrade import Recipe
from impasto.translation.make import make, require_used
from impasto.translation.model import TranslationModel
from impasto.translation.options import EnhancementOptions
from impasto.translation.pairs import Batch, PairTask, validation_pairs
from impasto.translation.pictures import Folder, Pictures, records, split, unchanged
from impasto.translation.training_recipe import is_file, recipe_of, settled
from impasto.translation.work import Prepared, Rows, TrainedModel, begin, require_stages, take_up

PENALTY = 10.0  # Gulrajani et al. (2017), section 4
SHOWN = 6  # validation pictures on the sheet


def train_enhancement(
    source: Path | str,
    *,
    options: EnhancementOptions | None = None,
    run: Path | str | None = None,
    every: float = CHECKPOINT_SECONDS,
    progress: Listen | None = None,
    download: Download | None = None,
    **fields: Any,
) -> TrainedModel:
    """Train a network to undo a degradation, on good pictures that are degraded as it learns, in a run directory.

    >>> import impasto
    >>> impasto.train_enhancement("photos/", task="superres", scale=4).scores["psnr"]  # doctest: +SKIP

    Args:
        source: A folder of good pictures; those below its ``valid`` are not learnt from, or a part of all.
        options: All options at once; ``fields`` go over it.
        run: The run's directory, new or empty; by default one under ``runs`` that is named after the time.
        every: Seconds between checkpoints, at least.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`EnhancementOptions`.

    Raises:
        UsageError: An option out of bounds, a recipe that is none, a folder without pictures; nothing is begun then.
        ImpastoError: The weights cannot be had, a full disk; the run can be resumed.
    """
    options = merge(EnhancementOptions, options, fields)
    recipe = recipe_of(options)
    options = settled(options, recipe)
    require_used(options)
    source = Path(source)
    device = pick_device(options.device)
    folder = split(source, options.valid, options.seed)
    return begin(
        _prepare(folder, recipe, options, device, download),
        options,
        verb=ENHANCEMENT,
        source=source,
        words=[options.task, *([f"x{options.scale}"] if options.scale > 1 else [])],
        facts={"train": records(folder.train), "valid": records(folder.valid), "recipe": recipe.to_json()},
        run=run,
        every=every,
        listen=progress,
    )


def resume(
    directory: Path | str,
    *,
    search: Sequence[Path] = (),
    progress: Listen | None = None,
    download: Download | None = None,
) -> TrainedModel:
    """Go on with a run where its last checkpoint is, to the weights that it would have come to.

    Args:
        directory: The run.
        search: Folders in which to look for pictures that have moved; they are known by their hash.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.

    Raises:
        UsageError: No run, one that is finished, pictures or weights that have changed, another process at work in it.
    """

    def prepare(run: RunDirectory, options: EnhancementOptions) -> Prepared:
        folder = Folder(*(unchanged(run.manifest[part], search) for part in ("train", "valid")))
        recipe = Recipe.from_json(run.manifest["recipe"])
        return _prepare(folder, recipe, options, pick_device(options.device), download)

    return take_up(directory, EnhancementOptions, prepare, progress)


@dataclass(frozen=True)
class EnhancementLesson:
    """What an enhancement learns.

    Attributes:
        pictures: To learn from.
        valid: Pairs to judge by.
        shown: Pairs for the sheet.
        recipe: The degradation.
        criterion: What is minimised.
        options: How.
        device: Where.
        architecture: Of the network.
        facts: For the card.
        network: To judge by how far pictures look from the true ones, where that is learnt.
    """

    pictures: Pictures
    valid: list[Batch]
    shown: list[Batch]
    recipe: Recipe
    criterion: Criterion
    options: EnhancementOptions
    device: torch.device
    architecture: dict[str, Any]
    facts: dict[str, Any]
    network: Network | None = None

    def epochs(self, stage: Stage) -> int:
        """Its own, and those for which a critic learns alone."""
        return stage.epochs + (self.options.critic_epochs if stage.layers == "gan" else 0)

    def task(self, stage: Stage, first_epoch: int) -> PairTask:
        """Crops of the stage's size."""
        options = self.options
        return PairTask(
            pictures=self.pictures,
            recipe=self.recipe,
            criterion=self.criterion,
            device=self.device,
            size=stage.size or options.size,
            crops=options.crops,
            batch_size=options.batch_size,
            seed=options.seed,
            first_epoch=first_epoch,
            turns=options.task == "superres",
            gray=options.gray,
            valid=self.valid,
            colours=options.task == "colorize",
            network=self.network,
        )

    def adversarial(
        self, module: nn.Module, stage: Stage, first_epoch: int, begin_at: Checkpoint | None
    ) -> Iterator[TrainingProgress]:
        """Against a critic (`impasto.translation.gan.adversary`)."""
        from impasto.translation.gan.adversary import AdversarialPlan, train_adversarially

        options, task = self.options, self.task(stage, first_epoch)
        plan = AdversarialPlan(
            steps=stage.epochs * task.steps,
            critic_steps=options.critic_epochs * task.steps,
            loss=options.adversarial,
            critic={"kind": options.critic},
            weights=(options.adversarial_weight, options.content_weight),
            learning_rate=stage.learning_rate or 0.1 * options.learning_rate,
            gradient_penalty=PENALTY if options.adversarial == "wasserstein" else None,
            average=options.average,
            switch=None if options.adversarial == "wasserstein" else options.switch,  # which has no level of chance
            auto_stop=options.automatic_stop and bool(self.valid),
            seed=options.seed + first_epoch,
            precision=options.precision,
        )
        return train_adversarially(
            module,
            task.batch,
            self.criterion,
            plan,
            validation=self.valid,
            device=self.device,
            begin_at=begin_at,
        )

    @torch.no_grad()
    def sheet(self, module: nn.Module) -> Rows:
        """Bad, enhanced and good, of some validation pictures; of some training pictures where there are none."""
        training = module.training
        module.eval()
        rows = []
        for bad, good in self.shown:
            made = module(bad.to(next(module.parameters()).device)).float().cpu().clamp(0, 1)
            before = bad if self.recipe.scale == 1 else imresize(bad, size=(good.shape[-2], good.shape[-1])).clamp(0, 1)
            rows.append([("before", before), ("enhanced", made), ("the good one", good)])
        module.train(training)
        return rows

    def model(self, module: nn.Module) -> TranslationModel:
        """What is kept."""
        return TranslationModel(
            name="",
            module=module,
            task=self.options.task,
            scale=self.options.scale,
            architecture=self.architecture,
            recipe=self.recipe.to_json(),
            card=self.facts,
        )


def _prepare(
    folder: Folder, recipe: Recipe, options: EnhancementOptions, device: torch.device, download: Download | None
) -> Prepared:
    """The lesson, a new network for it, and the hashes of the networks that are asked or begun with."""
    module, architecture, encoders = make(options, scale=options.scale, download=download)
    require_stages(module, options, recipe.multiple)
    loss, asked = criterion(options, device, download)
    room = int(options.memory * 2**30)
    pictures = Pictures(folder.train, memory=room, zooms=options.zooms)
    valid = validation_pairs(Pictures(folder.valid, memory=1), recipe, options.seed)
    games = [stage for text in options.stages if (stage := parse_stage(text)).layers == "gan"]
    adversarial = bool(games)
    if games:
        _require_critic(options, games, valid)
    if not valid and options.automatic_stop and adversarial:
        raise UsageError("a stage named gan stops by validation pictures: give --valid, or --no-automatic-stop")
    shown = (valid or validation_pairs(pictures, recipe, options.seed, most=SHOWN))[:SHOWN]
    facts = {"trained_on": _told(folder, len(valid)), "options": _asked(options, recipe), "impasto": __version__}
    network = networks.load("pocket").to(device) if options.features or options.gram or adversarial else None
    lesson = EnhancementLesson(pictures, valid, shown, recipe, loss, options, device, architecture, facts, network)
    return Prepared(lesson, module, encoders | asked)


def _require_critic(options: EnhancementOptions, games: Sequence[Stage], valid: Sequence[Batch]) -> None:
    """Find out before the work that crops, or validation pictures, are too small for the critic."""
    from impasto.translation.gan.critic import build_critic, smallest_side

    least = smallest_side(build_critic({"kind": options.critic}))
    if (side := min(stage.size or options.size for stage in games)) < least:
        raise UsageError(
            f"crops of {side} pixels are too small for the critic {options.critic}: it needs {least}; give the stage "
            f"that size, as gan:2@{least}"
        )
    if (side := min((min(good.shape[2:]) for _, good in valid), default=least)) < least:
        raise UsageError(
            f"validation pictures of {side} pixels are too small for the critic {options.critic}: leave "
            f"those of fewer than {least} out"
        )


def _told(folder: Folder, judged: int) -> str:
    """How many pictures there were, and how many of them the scores are of."""
    more = f", of which {judged} are looked at" if judged < len(folder.valid) else ""
    return f"{len(folder.train)} pictures, {len(folder.valid)} for validation{more}"


def _asked(options: EnhancementOptions, recipe: Recipe) -> dict[str, Any]:
    """What differs from the task's defaults, but for files of the maker's own; a recipe's file is told as its steps."""
    if options.recipe and is_file(options.recipe):
        options = options.model_copy(update={"recipe": str(recipe)})
    usual = EnhancementOptions(task=options.task, scale=options.scale).model_dump(mode="json")
    own = {"weights", "feature_weights", "init", "memory", "device"}
    chosen = options.model_dump(mode="json", exclude=own).items()
    return {name: value for name, value in chosen if name in ("task", "scale") or value != usual[name]}
