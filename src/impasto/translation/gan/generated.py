"""A trained generator as a file, and what it makes: pictures from seeds, ways between two of them, sheets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from impasto import __version__
from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.networks.hooks import at_rest
from impasto.translation.gan.generator import build_generator
from impasto.translation.gan.options import GenerateOptions
from impasto.translation.gan.play import noise
from impasto.translation.gan.progressive import Growth

FORMAT, VERSION = "impasto generator", "1"
MODEL = "model.safetensors"
PICTURE = 3  # what a seed of noise is for, beside the three of a training
AT_ONCE = 64  # pictures


@dataclass(frozen=True)
class Generator:
    """A generator that has been trained.

    Attributes:
        module: From noise (B, N) to pictures (B, C, size, size), about in [0, 1]; in evaluation mode, frozen.
        architecture: What :func:`~impasto.translation.gan.generator.build_generator` takes.
        card: What is known of it: options, data, figures.
    """

    module: nn.Module = field(repr=False)
    architecture: dict[str, Any]
    card: dict[str, Any]


def save_generator(module: nn.Module, architecture: dict[str, Any], card: dict[str, Any], path: Path) -> None:
    """Write a generator as a safetensors file, with its description and card as JSON in the metadata.

    Raises:
        ImpastoError: The disk is full.
    """
    about = {"format": FORMAT, "version": VERSION, "impasto": __version__}
    about |= {"architecture": json.dumps(architecture), "card": json.dumps(card)}
    tensors = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    replace_file(path, to_safetensors(tensors, about))


def load_generator(path: Path | str) -> Generator:
    """The generator of a run, or of its file.

    Raises:
        UsageError: No such file, or none of a generator.
    """
    path = Path(path)
    if path.is_dir():
        path = path / MODEL
        if not path.exists():
            raise UsageError(f"{path.parent} holds no generator ({MODEL}): name a finished run of `impasto train gan`")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or 'check the name'}") from error
    except SafetensorError as error:
        raise UsageError(f"{path} is damaged, or no safetensors file: train again") from error
    if about.get("format") != FORMAT:
        raise UsageError(f"{path} is no generator of `impasto train gan`")
    if about.get("version") != VERSION:
        raise UsageError(
            f"{path} was written by impasto {about.get('impasto')}, another version: read it with that one"
        )
    try:
        architecture, card = json.loads(about["architecture"]), json.loads(about["card"])
        module = build_generator(architecture)
        module.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path} is damaged: its weights are not those that it describes") from error
    return Generator(module.eval().requires_grad_(False), architecture, card)


def seeded_noise(count: int, numbers: int, seed: int) -> Float[Tensor, "b n"]:
    """Noise for pictures, each of its own number: the first are the same, however many there are."""
    return torch.cat([noise(1, numbers, seed, PICTURE, number) for number in range(count)])


def between(
    first: Float[Tensor, "b n"], last: Float[Tensor, "b n"], parts: Float[Tensor, " k"]
) -> Float[Tensor, "b k n"]:
    """Noise on the way from one to another, along the sphere (White 2016), where noise is as likely as at the ends.

    >>> between(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0.5]))
    tensor([[[0.7071, 0.7071]]])
    """
    norms = first.norm(dim=1, keepdim=True) * last.norm(dim=1, keepdim=True)
    cosine = ((first * last).sum(dim=1, keepdim=True) / norms).clamp(-0.9995, 0.9995)
    angle = cosine.acos()[:, :, None]
    parts = parts[None, :, None]
    here, there = torch.sin((1 - parts) * angle), torch.sin(parts * angle)
    return (here * first[:, None] + there * last[:, None]) / torch.sin(angle)


@torch.no_grad()
def draw(module: nn.Module, z: Float[Tensor, "b n"], at: Growth | None = None) -> Float[Tensor, "b 3 h w"]:
    """Pictures from noise, on the CPU, in [0, 1]; gray ones with three equal channels.

    Args:
        module: A generator.
        z: The noise.
        at: How far it has grown; None for all the way.
    """
    device = next(module.parameters()).device
    with at_rest(module):
        made = [module(part.to(device), *([at] if at else [])).float().cpu() for part in torch.split(z, AT_ONCE)]
    return torch.cat(made).clamp(0, 1).expand(-1, 3, -1, -1)


def pictures(generator: Generator, options: GenerateOptions, device: torch.device) -> Float[Tensor, "b 3 h w"]:
    """The pictures that are asked for, row by row.

    With ``interpolate``, each row begins and ends with a picture of its own; the last row is full, so that there may be
    some more than asked.
    """
    module = generator.module.to(device)
    numbers = int(generator.architecture["noise"])
    if not options.interpolate:
        return draw(module, seeded_noise(options.count, numbers, options.seed))
    columns = columns_of(options.count, options.columns)
    rows = -(-options.count // columns)
    ends = seeded_noise(2 * rows, numbers, options.seed)
    way = between(ends[0::2], ends[1::2], torch.linspace(0, 1, columns))
    return draw(module, way.flatten(0, 1))


def columns_of(count: int, columns: int | None = None) -> int:
    """Pictures in a row of a sheet: as asked, else so that it is about square.

    >>> columns_of(36), columns_of(10), columns_of(10, 5)
    (6, 4, 5)
    """
    return columns or max(1, int((count - 1) ** 0.5) + 1)


def sheet(made: Float[Tensor, "b 3 h w"], columns: int, enlarge: int = 1, margin: int = 2) -> Float[Tensor, "1 3 H W"]:
    """Pictures side by side on white, every pixel repeated so many times."""
    from torchvision.utils import make_grid

    made = made.repeat_interleave(enlarge, dim=2).repeat_interleave(enlarge, dim=3)
    return make_grid(made, nrow=columns, padding=margin, pad_value=1.0)[None].contiguous()
