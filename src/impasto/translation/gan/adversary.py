"""The GAN of restoration: a trained generator goes on against a critic, and stops before its pictures get odd.

The course's recipe (fastai, lesson 7): the generator comes pretrained on a content loss, the critic is pretrained on
its pictures against real ones, then the two take turns: the critic learns until its loss is below a threshold, then
the generator for one step.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.losses.adversarial import (
    boundary,
    chance_loss,
    clip_weights,
    critic_loss,
    generator_loss,
)
from impasto.losses.names import AdversarialLossName
from impasto.networks.allocator import keep_freed_memory
from impasto.networks.hooks import at_rest
from impasto.runs.checkpoint import Checkpoint
from impasto.training.loop import TrainingProgress, train_mode
from impasto.training.names import PrecisionName
from impasto.training.optimizers import build
from impasto.training.precision import fabric_for
from impasto.translation.gan.critic import build_critic
from impasto.translation.gan.game import Game, Side, begin, penalty_of, seed_of
from impasto.translation.gan.patches import patch_distance
from impasto.translation.gan.stopping import Check, Verdict, ability, verdict

log = logging.getLogger("impasto")

Pair = tuple[Float[Tensor, "b c h w"], Float[Tensor, "b d H W"]]


@dataclass(frozen=True)
class AdversarialPlan:
    """How the two are trained; the defaults are the course's.

    Attributes:
        steps: Batches of the game, each of which moves one of the two.
        critic_steps: Batches before it, which pretrain the critic.
        loss: Which game.
        critic: What :func:`~impasto.translation.gan.critic.build_critic` takes.
        weights: Of the adversarial and the content loss of the generator.
        learning_rate: Of the generator.
        critic_times: Times that of the critic's.
        weight_decay: Of both.
        switch: The critic learns until its loss is below this part of the loss of one that guesses, then the generator
            for one step (the course's 0.65 is 0.94 of cross-entropy's ln 2); None: one step each, as ``wasserstein``
            wants it, whose loss has no level of chance.
        clip: Bound of the critic's weights (with ``wasserstein``), or None.
        gradient_penalty: Weight of the critic's gradient penalty (with ``wasserstein``: 10), or None.
        average: Decay of the running average of the generator's weights, which is the result; 0 for none.
        auto_stop: Stop behind the turn that :mod:`~impasto.translation.gan.stopping` finds, and keep its weights.
        watch: Steps of the game from one look at the validation pictures to the next.
        tolerance: Part by which the content loss may rise for nothing.
        patience: Looks without a higher merit after which training stops.
        seed: Of the critic's weights, of dropout and of all other chance, by the step's number.
        precision: As everywhere.
    """

    steps: int
    critic_steps: int = 0
    loss: AdversarialLossName = "bce"
    critic: Mapping[str, Any] = field(default_factory=lambda: {"kind": "course"})
    weights: tuple[float, float] = (1.0, 50.0)
    learning_rate: float = 1e-4
    critic_times: float = 5.0
    weight_decay: float = 1e-3
    switch: float | None = 0.94
    clip: float | None = None
    gradient_penalty: float | None = None
    average: float = 0.0
    auto_stop: bool = False
    watch: int = 25
    tolerance: float = 0.1
    patience: int = 5
    seed: int = 0
    precision: PrecisionName = "32-true"


@dataclass
class Standing:
    """Where the training stands, in numbers that JSON keeps exactly."""

    step: int = 0  # batches used, those of the critic's pretraining among them
    generators_turn: bool = False
    generator_steps: int = 0
    ended: bool = False


def train_adversarially(
    model: nn.Module,
    batches: Callable[[int], Pair],
    content_loss: Callable[[Tensor, Tensor], Tensor],
    plan: AdversarialPlan,
    *,
    validation: Sequence[Pair] = (),
    device: torch.device | str = "cpu",
    begin_at: Checkpoint | None = None,
) -> Iterator[TrainingProgress]:
    """Go on with a generator against a critic, telling of every step and every look at the validation pictures.

    Whichever of the two is not learning is in evaluation mode (fastai's ``switch_eval``). Afterwards the model is on
    the device, in evaluation mode, with the weights of the turn (``auto_stop``), else the averaged or the last ones.
    Every step's randomness is seeded by its number: taken up from a checkpoint, training ends in the same weights.

    Records: ``kind`` ``step`` (of the critic's pretraining: ``critic``), with ``trained`` and the losses; ``kind``
    ``watch``, with what a :class:`~impasto.translation.gan.stopping.Check` holds and its ``merit``.

    Args:
        model: The generator, trained already.
        batches: By number, what goes in and what is to come out; the same each time it is asked for.
        content_loss: Of the output and what it is to be; a scalar.
        plan: How.
        validation: Pairs that nothing is learnt from.
        device: Where.
        begin_at: A checkpoint of this training, to go on from.

    Raises:
        UsageError: Nothing to watch for the automatic stop, or a plan that makes no sense.
        ImpastoError: A loss is no number any more.
    """
    _require(plan, validation)
    keep_freed_memory()
    fabric = fabric_for(torch.device(device), plan.precision)
    critic = build_critic(dict(plan.critic), plan.seed).to(fabric.device)
    model.to(fabric.device)
    game = begin(
        _side(model, plan.learning_rate, plan),
        _side(critic, plan.learning_rate * plan.critic_times, plan),
        fabric,
        average=plan.average,
    )
    standing, checks, kept = Standing(), list[Check](), dict[str, Tensor]()
    if begin_at:
        standing = Standing(**begin_at.facts["standing"])
        checks = [Check(*one) for one in begin_at.facts["checks"]]
        kept = game.restore(begin_at)

    def checkpoint() -> Checkpoint:
        return game.checkpoint({"standing": asdict(standing), "checks": [list(one) for one in checks]}, kept)

    total = plan.critic_steps + plan.steps
    threshold = math.inf if plan.switch is None else plan.switch * chance_loss(plan.loss)

    def told(losses: dict[str, float], where: str, record: dict[str, Any]) -> TrainingProgress:
        return TrainingProgress(standing.step / total, losses, where, record, checkpoint, game.result)

    while True:
        played = standing.step - plan.critic_steps
        if validation and played >= 0 and len(checks) <= _looks(played, plan):
            checks.append(_look(game, content_loss, validation, plan, played))
            found = verdict(checks, tolerance=plan.tolerance, patience=plan.patience)
            if plan.auto_stop:
                if found.best == len(checks) - 1:
                    kept = {name: value.detach().clone() for name, value in game.result.state_dict().items()}
                standing.ended = found.stop
            yield told(
                {"content": checks[-1].content, "distance": checks[-1].distance}, *_watched(checks[-1], found, plan)
            )
        if standing.ended or standing.step >= total:
            break
        pretraining = played < 0
        turn = standing.generators_turn and not pretraining
        with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
            torch.manual_seed(seed_of(plan.seed, standing.step))
            source, target = (one.to(fabric.device) for one in batches(standing.step))
            if turn:
                losses = _move_generator(game, source, target, content_loss, plan)
            else:
                losses = _move_critic(game, source, target, plan, standing.step)
        standing.step += 1
        if not pretraining:
            standing.generator_steps += turn
            standing.generators_turn = not turn and losses["critic"] < threshold
        where = f"critic {standing.step}/{plan.critic_steps}" if pretraining else f"game {played + 1}/{plan.steps}"
        record = {"kind": "critic" if pretraining else "step", "step": standing.step}
        record |= {"trained": "generator" if turn else "critic", "generator_steps": standing.generator_steps}
        yield told(losses, where, record | {f"{name}_loss": value for name, value in losses.items()})
    if kept:
        model.load_state_dict(kept)
    elif game.averaged is not None:
        model.load_state_dict(game.averaged.module.state_dict())
    if threshold < math.inf and plan.steps and not standing.generator_steps:
        log.warning(
            "the critic never came below a loss of %.3g, so that the generator did not move: pretrain it longer, or "
            "switch at a higher loss",
            threshold,
        )
    model.zero_grad()
    model.eval()


def _move_critic(
    game: Game,
    source: Tensor,
    target: Tensor,
    plan: AdversarialPlan,
    step: int,
) -> dict[str, float]:
    generator, critic = game.generator.network, game.critic.network
    with at_rest(generator), torch.no_grad(), game.fabric.autocast():
        made = generator(source)
    made = made.float()
    train_mode(critic)
    with game.fabric.autocast():
        real, fake = critic(target), critic(made)
    real, fake = real.float(), fake.float()
    loss = learnt = critic_loss(real, fake, plan.loss)
    found = {"critic": float(loss.detach())}
    if plan.gradient_penalty:
        chance = torch.Generator().manual_seed(seed_of(plan.seed, step, 1))
        penalty = penalty_of(critic, target, made, chance)
        learnt = loss + plan.gradient_penalty * penalty
        found["penalty"] = float(penalty.detach())
    game.move(game.critic, learnt)
    if plan.clip:
        clip_weights(critic, plan.clip)
    return found


def _move_generator(
    game: Game,
    source: Tensor,
    target: Tensor,
    content_loss: Callable[[Tensor, Tensor], Tensor],
    plan: AdversarialPlan,
) -> dict[str, float]:
    generator, critic = game.generator.network, game.critic.network
    train_mode(generator)
    with at_rest(critic):
        with game.fabric.autocast():
            made = generator(source)
            fake = critic(made)
        made, fake = made.float(), fake.float()
        adversarial, content = generator_loss(fake, plan.loss), content_loss(made, target)
        game.move(game.generator, plan.weights[0] * adversarial + plan.weights[1] * content)
    return {"adversarial": float(adversarial.detach()), "content": float(content.detach())}


@torch.no_grad()
def _look(
    game: Game,
    content_loss: Callable[[Tensor, Tensor], Tensor],
    validation: Sequence[Pair],
    plan: AdversarialPlan,
    played: int,
) -> Check:
    """How real the validation pictures look, how true they are, and what the critic says of them."""
    scores: tuple[list[Tensor], list[Tensor]] = ([], [])
    distance, content, count = 0.0, 0.0, 0
    with at_rest(game.result), at_rest(game.critic.network):
        for pair in validation:
            source, target = (one.to(game.fabric.device) for one in pair)
            with game.fabric.autocast():
                made = game.result(source)
                found = (game.critic.network(target), game.critic.network(made))
            for some, one in zip(scores, found, strict=True):
                some.append(one.float().cpu().flatten())
            distance += float(patch_distance(made.float(), target).mean()) * len(target)
            content += float(content_loss(made.float(), target)) * len(target)
            count += len(target)
    real, fake = (torch.cat(some) for some in scores)
    edge = boundary(plan.loss)
    right = ((real > edge).float().mean() + (fake <= edge).float().mean()) / 2
    gap = float(real.mean() - fake.mean())
    return Check(played, distance / count, content / count, ability(real, fake), float(right), gap)


def _watched(check: Check, found: Verdict, plan: AdversarialPlan) -> tuple[str, dict[str, Any]]:
    """Where the training is, in words, and the record of a look."""
    values = check._asdict() | {"step": plan.critic_steps + check.step, "game_step": check.step}
    best = {"merit": found.merits[-1], "best": found.best, "stop": found.stop and plan.auto_stop}
    return f"game {check.step}/{plan.steps}", {"kind": "watch", **values, **best}


def _looks(played: int, plan: AdversarialPlan) -> int:
    """Number of the last look that is due: one before the game, one every so many steps, one at its end."""
    return played // plan.watch + (played == plan.steps and played % plan.watch > 0)


def _side(network: nn.Module, rate: float, plan: AdversarialPlan) -> Side:
    """Adam with β = (0, 0.99) and decoupled decay: the course's for both."""
    return Side(network, build([network], "adamw", (rate,), weight_decay=plan.weight_decay, momentum=0.0))


def _require(plan: AdversarialPlan, validation: Sequence[Pair]) -> None:
    if plan.auto_stop and not validation:
        raise UsageError("there are no validation pictures to stop by: keep some, or train without automatic stopping")
    if min(plan.steps, plan.critic_steps) < 0 or plan.watch < 1 or plan.patience < 1:
        raise UsageError(
            f"adversarial training of {plan.steps} steps after {plan.critic_steps} of the critic, watched every "
            f"{plan.watch} with patience {plan.patience}: none of the first may be negative, the others are at least 1"
        )
