"""Rendering: pictures moved until they excite what they are to excite, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.inspection.objectives import Objective, taps_of
from impasto.inspection.parameterisation import Canvas, Kind, canvas, pictures
from impasto.inspection.progress import Progress
from impasto.inspection.robustness import MOTIONS, Robustness, middle, window
from impasto.networks import Network, Taps
from impasto.networks.gates import Gates
from impasto.networks.hooks import at_rest

INFINITE = "the activations became infinite: choose a lower --rate, or --precision 32-true"
ALPHA_PRICE = 0.5  # part of an objective that a wholly opaque picture costs


@dataclass(frozen=True)
class Rendering:
    """How pictures are moved; see :class:`~impasto.inspection.options.VisualizationOptions` for what each is.

    Attributes:
        size: Height and width of the pictures.
    """

    size: tuple[int, int] = (128, 128)
    steps: int = 256
    rate: float = 0.05
    parameterisation: Kind = "fourier"
    decorrelate: bool = True
    robustness: Robustness = "full"
    rescue: int = 16
    alpha: bool = False
    precision: str = "32-true"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Rendered:
    """What came out.

    Attributes:
        pictures: (objectives · per, 3 or 4, h, w) in [0, 1], on the CPU.
        values: What each objective reached, as the network saw its pictures in the last step.
        finished: Whether all steps were made.
    """

    pictures: Float[Tensor, "n c h w"]
    values: Float[Tensor, " k"]
    finished: bool = True


def render(
    network: Network,
    objectives: Sequence[Objective],
    how: Rendering,
    *,
    per: int = 1,
    progress: Progress | None = None,
) -> Rendered:
    """Make pictures that excite objectives, ``per`` of each, all in one batch.

    Olah et al. (2017), "Feature visualization". The pictures of a batch share the window through which the network
    sees them but nothing else: Adam scales every coefficient by its own gradients, so that they do not disturb each
    other, and a batch costs a fraction of what its pictures would one by one. An interrupt (Ctrl-C) ends the work
    with the pictures so far.

    Args:
        network: Whose activations; run only as deep as the objectives need.
        objectives: What each picture, or each ``per`` of them, is to excite.
        how: How.
        per: Pictures of each objective.
        progress: Called with (part done, a few words).

    Raises:
        UsageError: A tap that the network has not, or a picture too small for it.
        ImpastoError: Values became infinite.

    >>> from impasto import networks
    >>> from impasto.inspection.objectives import channel
    >>> made = render(networks.load("pocket"), [channel("relu2_1", 3)], Rendering(size=(32, 32), steps=2))
    >>> tuple(made.pictures.shape)
    (1, 3, 32, 32)
    """
    taps = Taps(network, taps_of(objectives))
    device = next(network.module.parameters()).device
    motion = MOTIONS[how.robustness]
    margin = motion.margin(how.size)
    whole = (how.size[0] + 2 * margin, how.size[1] + 2 * margin)
    drawn = _canvas(how, len(objectives), per, whole, device)
    optimizer = torch.optim.Adam(drawn.parameters, lr=how.rate * drawn.rate, fused=device.type in ("cpu", "cuda"))
    generator = torch.Generator().manual_seed(how.seed)
    values = torch.zeros(len(objectives))
    made = 0
    with at_rest(network.module), torch.enable_grad():
        try:
            for step in range(how.steps):
                seen = window(pictures(drawn.draw(), how.decorrelate), how.size, motion, generator)
                ground = _ground(seen, generator) if how.alpha else None
                values, downhill = _downhill(taps, objectives, seen, ground, per, how.precision)
                if step < how.rescue and (asleep := ~downhill[:, :3].flatten(1).any(1)).any():
                    with Gates("rescue"):
                        _, waking = _downhill(taps, objectives, seen, ground, per, how.precision)
                    downhill[asleep] = waking[asleep]
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(seen, downhill, inputs=list(drawn.parameters))
                optimizer.step()
                if not bool(values.isfinite().all()):
                    raise ImpastoError(INFINITE)
                made = step + 1
                if progress:
                    progress((step + 1) / how.steps, f"step {step + 1} of {how.steps}")
        except KeyboardInterrupt:
            if made == 0:
                raise
    with torch.no_grad():
        shown = middle(pictures(drawn.draw(), how.decorrelate), how.size)
    if not bool(shown.isfinite().all()):  # by the gradient of the last step
        raise ImpastoError(INFINITE)
    return Rendered(shown.float().cpu().contiguous(), values, made == how.steps)


def _canvas(how: Rendering, count: int, per: int, whole: tuple[int, int], device: torch.device) -> Canvas:
    """Every objective's first picture starts from the same noise, its second from other noise, and so on."""
    parts = [
        canvas(how.parameterisation, count, whole, alpha=how.alpha, seed=how.seed + 104_729 * k, device=device)
        for k in range(per)
    ]
    if per == 1:
        return parts[0]
    order = [k * count + i for i in range(count) for k in range(per)]  # an objective's pictures side by side
    return Canvas(
        tuple(parameter for part in parts for parameter in part.parameters),
        lambda: torch.cat([part.draw() for part in parts])[order],
        parts[0].rate,
    )


def _downhill(
    taps: Taps,
    objectives: Sequence[Objective],
    seen: Float[Tensor, "n c h w"],
    ground: Float[Tensor, "1 3 h w"] | None,
    per: int,
    precision: str,
) -> tuple[Float[Tensor, " k"], Float[Tensor, "n c h w"]]:
    """What the objectives reach on what the network sees, on the CPU, and the gradient of their negative there."""
    leaf = seen.detach().requires_grad_()
    parameter = next(taps.network.module.parameters())
    shown = leaf if ground is None else leaf[:, :3] * leaf[:, 3:] + ground * (1 - leaf[:, 3:])
    with torch.autocast(leaf.device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
        found = taps(shown.to(parameter.dtype))
    reached = _values(objectives, found, per)
    gain = reached if ground is None else _priced(reached, leaf[:, 3:].mean(dim=(1, 2, 3)), per)
    (gradient,) = torch.autograd.grad(-gain.sum(), leaf)  # of a loss: the rescue's rule is for what is minimised
    return reached.detach().cpu(), gradient


def _values(objectives: Sequence[Objective], found: dict[str, Tensor], per: int) -> Float[Tensor, " k"]:
    # split at once: the gradient of each slice by itself would be a whole map of zeros, and their sum
    maps = {tap: torch.split(one.float(), per) for tap, one in found.items()}
    return torch.stack(
        [one.value({tap: maps[tap][number] for tap in one.taps}).float() for number, one in enumerate(objectives)]
    )


def _priced(reached: Float[Tensor, " k"], opacity: Float[Tensor, " n"], per: int) -> Float[Tensor, " k"]:
    """Objectives less what opacity costs, in proportion to what is reached, so that what does not matter fades."""
    cost = opacity.view(-1, per).mean(dim=1)
    return reached - ALPHA_PRICE * reached.detach().abs() * cost


def _ground(seen: Float[Tensor, "n 4 h w"], generator: torch.Generator) -> Float[Tensor, "1 3 h w"]:
    """What shows through where pictures are transparent, another one in every step: smooth noise, or one colour.

    It is the same for all of a batch, so that none of them depends on how many they are.
    """
    h, w = seen.shape[-2:]
    coarse = torch.rand(1, 3, *((1, 1) if torch.rand((), generator=generator) < 0.5 else (5, 5)), generator=generator)
    return torch.nn.functional.interpolate(coarse, (h, w), mode="bicubic", align_corners=False).clamp(0, 1).to(seen)
