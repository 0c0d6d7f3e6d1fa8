"""The play of pictures from noise: Wasserstein GANs, with clipped weights or a gradient penalty, growing or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop

from impasto.losses.adversarial import clip_weights, critic_loss, drift, generator_loss
from impasto.networks.allocator import keep_freed_memory
from impasto.runs.checkpoint import Checkpoint
from impasto.training.loop import TrainingProgress
from impasto.training.precision import fabric_for
from impasto.translation.gan.critic import build_critic
from impasto.translation.gan.game import Game, Side, begin, held, penalty_of, seed_of
from impasto.translation.gan.options import GanOptions
from impasto.translation.gan.pictures import RealPictures
from impasto.translation.gan.progressive import Growth, ProgressiveCritic, grown_picture, growth

CRITIC, GENERATOR, WEIGHTS = range(3)  # what a seed is for


@dataclass
class Standing:
    """Where the training stands, in numbers that JSON keeps exactly."""

    step: int = 0  # of the generator
    batches: int = 0  # that the critic has seen


@dataclass(frozen=True)
class Played(TrainingProgress):
    """A step; ``judged`` is the generator as it would be used now, to be looked at, at rest, and not changed.

    Attributes:
        at: How far it has grown; None where nothing grows.
    """

    at: Growth | None = None


def play(
    generator: nn.Module,
    pictures: RealPictures,
    options: GanOptions,
    *,
    device: torch.device | str = "cpu",
    begin_at: Checkpoint | None = None,
) -> Iterator[Played]:
    """Train a generator on pictures, telling of every step; afterwards it is averaged and in evaluation mode.

    A step is one of the generator with those of the critic before it. Its chance depends on the seed and on how many
    steps were before, so that a training taken up from a checkpoint ends in the same weights. The record of a step has
    the Wasserstein estimate: what the critic gives real pictures more than made ones, over its steps.

    Args:
        generator: A new one, as the options describe it.
        pictures: Real ones.
        options: How.
        device: Where.
        begin_at: A checkpoint of this training, to go on from.

    Raises:
        ImpastoError: A loss is no number any more.
    """
    keep_freed_memory()
    fabric = fabric_for(torch.device(device), options.precision)
    critic = new_critic(options, pictures.channels).to(fabric.device)
    generator.to(fabric.device).train()
    game = begin(
        Side(generator, _optimizer(generator, options)),
        Side(critic, _optimizer(critic, options)),
        fabric,
        average=options.average,
    )
    standing = Standing()
    if begin_at:
        standing = Standing(**begin_at.facts["standing"])
        game.restore(begin_at)

    def checkpoint() -> Checkpoint:
        return game.checkpoint({"standing": asdict(standing)})

    while standing.step < options.steps:
        for side in (game.generator, game.critic):
            for group in side.optimizer.param_groups:
                group["lr"] = options.learning_rate_at(standing.step)
        at = growth(standing.step, options.steps, options.size) if options.kind == "progressive" else None
        record: dict[str, Any] = {"kind": "step", "step": standing.step + 1}
        record |= {"level": at.level, "alpha": at.alpha} if at else {}
        found: list[dict[str, float]] = []
        for _ in range(options.critic_steps_before(standing.step)):
            found.append(_move_critic(game, pictures, options, at, standing.batches))
            standing.batches += 1
        means = {name: sum(one[name] for one in found) / len(found) for name in found[0]}
        losses = {"wasserstein": means["wasserstein"], "generator": _move_generator(game, options, at, standing.step)}
        standing.step += 1
        record |= means | {"generator_loss": losses["generator"], "critic_steps": len(found)}
        where = f"step {standing.step}/{options.steps}" + (f", {4 * 2**at.level} pixels" if at else "")
        yield Played(standing.step / options.steps, losses, where, record, checkpoint, game.result, at)
    if game.averaged is not None:
        generator.load_state_dict(game.averaged.module.state_dict())
    generator.zero_grad()
    generator.eval()


def new_critic(options: GanOptions, channels: int) -> nn.Module:
    """The critic that belongs to the options: DCGAN's, without norms where gradients are penalised; or a growing one.

    Gulrajani et al. (2017, section 4) leave batch norm out, "finding that they perform well without it".
    """
    seed = seed_of(options.seed, WEIGHTS, CRITIC)
    if options.kind == "progressive":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return ProgressiveCritic(size=options.size, width=options.channels_of_maps, channels=channels)
    norm = "spectral" if options.spectral else "none" if options.method.penalty else "batch"
    settings = {"kind": "dcgan", "size": options.size, "width": options.channels_of_maps, "channels": channels}
    return build_critic({**settings, "norm": norm}, seed)


def noise(count: int, numbers: int, *seeds: int) -> Float[Tensor, "b n"]:
    """Normal noise for pictures, from a seed that depends on these numbers alone."""
    return torch.randn(count, numbers, generator=torch.Generator().manual_seed(seed_of(*seeds)))


def _move_critic(
    game: Game, pictures: RealPictures, options: GanOptions, at: Growth | None, number: int
) -> dict[str, float]:
    method, device = options.method, game.fabric.device
    generator, critic = _grown(game.generator.network, at), _grown(game.critic.network, at)
    real = pictures.batch(number, options.batch_size, seed=options.seed, flip=options.flip).to(device)
    if at:
        real = grown_picture(real, at, options.size)
    z = noise(options.batch_size, options.noise, options.seed, CRITIC, number).to(device)
    with torch.no_grad(), game.fabric.autocast():
        made = generator(z)
    made = made.float()
    with game.fabric.autocast():
        scores, fake = critic(real), critic(made)
    scores, fake = scores.float(), fake.float()
    loss = critic_loss(scores, fake, "wasserstein")
    found = {"wasserstein": -float(loss.detach())}
    if method.penalty:
        chance = torch.Generator().manual_seed(seed_of(options.seed, CRITIC, number, 1))
        penalty = penalty_of(critic, real, made, chance)
        loss = loss + method.penalty * penalty
        found["penalty"] = float(penalty.detach())
    if method.drift:
        loss = loss + method.drift * drift(scores)
    game.move(game.critic, loss)
    if method.clip:
        clip_weights(game.critic.network, method.clip)
    return found


def _move_generator(game: Game, options: GanOptions, at: Growth | None, step: int) -> float:
    generator, critic = _grown(game.generator.network, at), _grown(game.critic.network, at)
    z = noise(options.batch_size, options.noise, options.seed, GENERATOR, step).to(game.fabric.device)
    with held(game.critic.network):
        with game.fabric.autocast():
            fake = critic(generator(z))
        loss = generator_loss(fake.float(), "wasserstein")
        game.move(game.generator, loss)
    return float(loss.detach())


def _grown(network: nn.Module, at: Growth | None) -> Any:
    """The network as it runs when it has grown so far."""
    return partial(network, at=at) if at else network


def _optimizer(network: nn.Module, options: GanOptions) -> Optimizer:
    """No decay; RMSprop as torch has it (its smoothing is 0.99 too)."""
    method = options.method
    if method.optimizer == "rmsprop":
        return RMSprop(network.parameters(), lr=method.learning_rate)
    return Adam(network.parameters(), lr=method.learning_rate, betas=method.betas)
