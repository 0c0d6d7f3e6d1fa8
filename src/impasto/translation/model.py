"""A model: a trained network from picture to picture with all that its use needs to know, in one file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.images.replace import replace_file
from impasto.networks.names import nearest
from impasto.networks.weights import sha256_of
from impasto.runs.directory import RunDirectory
from impasto.runs.recipe import Input, input_file
from impasto.runs.verbs import MODELS
from impasto.translation.architectures import build
from impasto.translation.names import Task

MODEL = "model.safetensors"  # in a run's directory
FORMAT, VERSION = "impasto translation", "1"
FACTS = ("task", "scale", "architecture", "recipe", "classes", "card")


@dataclass(frozen=True)
class TranslationModel:
    """A network from picture to picture, ready to be used.

    Attributes:
        name: A shipped model's name, or the run's or file's.
        module: (B, 3, H, W) in [0, 1] → (B, 3, scale·H, scale·W), not clamped; of segmentation, scores
            (B, classes, H, W). Any H and W. In evaluation mode and frozen.
        task: What it does.
        scale: Times that it enlarges.
        architecture: What `impasto.translation.architectures.build` makes it of; empty for another project's.
        recipe: The degradation that it learnt to undo, as JSON holds it; None where there is none.
        classes: Of segmentation, what the scores stand for.
        card: What a user should know: trained on what, licence, figures, limits.
        sha256: Of the file.
        path: Its file; None of a shipped one, and of one in memory.
    """

    name: str
    module: nn.Module
    task: Task
    scale: int = 1
    architecture: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] | None = None
    classes: tuple[str, ...] = ()
    card: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    path: Path | None = None

    @property
    def parameters(self) -> int:
        """How many numbers it has learnt."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    def inputs(self, role: str = "model") -> tuple[Input, ...]:
        """Its file as a recipe records what went in; none where the model's name says all."""
        return (input_file(role, self.path, self.sha256),) if self.path else ()


def save(model: TranslationModel, path: Path | str, *, half: bool = False) -> None:
    """Write a model to a safetensors file, whole or not at all.

    Args:
        model: What; its network must be one that can be built again.
        path: Where to.
        half: Keep the weights in half precision: they are read as float32.

    Raises:
        UsageError: The model is another project's.
        ImpastoError: A full disk, or a folder that may not be written to.
    """
    if not model.architecture:
        raise UsageError(f"{model.name} is of another project: keep its own file")
    facts = {
        "task": model.task,
        "scale": model.scale,
        "architecture": model.architecture,
        "recipe": model.recipe,
        "classes": list(model.classes),
        "card": model.card,
    }
    tensors = {name: _kept(value, half) for name, value in model.module.state_dict().items()}
    metadata = {"format": FORMAT, "version": VERSION, "facts": json.dumps(facts)}
    replace_file(path, to_safetensors(tensors, metadata))


def load(name: Path | str) -> TranslationModel:
    """A model by name, run directory or file.

    Args:
        name: One of :func:`shipped`, the directory of a finished run of ``impasto train``, a file that :func:`save`
            wrote, or one of another project, which spandrel reads (an extra).

    Raises:
        UsageError: No such model, or a file that is none.
    """
    if str(name) in (packaged := shipped()):
        return replace(read(packaged[str(name)], str(name)), path=None)
    path = Path(name)
    if path.is_dir():
        if not (path / MODEL).exists():
            RunDirectory.open(path)  # which refuses what is no run
            raise UsageError(f"{path} holds no finished model ({MODEL}): go on with the run by `impasto resume {path}`")
        if _metadata(path / MODEL) is None and (verb := RunDirectory.open(path).verb) not in MODELS:
            raise UsageError(f"{path} is a run of `impasto {verb.replace('-', ' ')}`: take one of enhance or segment")
        return read(path / MODEL, path.absolute().name)
    if not path.exists():
        raise UsageError(f"no model {str(name)!r}: there are {nearest(str(name), list(packaged))}, runs, and files")
    if _metadata(path) is not None:
        return read(path, path.absolute().parent.name if path.name == MODEL else path.stem)
    if (kind := _about(path).get("format", "")).startswith("impasto "):
        raise UsageError(f"{path} is an {kind}, and no model from picture to picture: take one of enhance or segment")
    from impasto.translation.third_party import load_third_party

    return load_third_party(path)


def read(path: Path, name: str) -> TranslationModel:
    """The model in a file that :func:`save` wrote.

    Raises:
        UsageError: It is none, of another version, or damaged.
    """
    metadata = _metadata(path)
    if metadata is None:
        raise UsageError(f"{path} is no model of impasto")
    if metadata.get("version") != VERSION:
        raise UsageError(
            f"{path} is of version {metadata.get('version')}, not {VERSION}: use the impasto that wrote it"
        )
    try:
        facts = json.loads(metadata["facts"])
        task, scale, architecture, recipe, classes, card = (facts[name] for name in FACTS)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: get it again, or save it again") from error
    module = build(architecture)
    with safe_open(path, "pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # it is no mapping
    wanted = module.state_dict()
    try:
        module.load_state_dict({key: value.to(wanted[key].dtype) for key, value in state.items()})
    except (RuntimeError, KeyError) as error:
        raise UsageError(f"{path} does not hold the weights of the network that it names: save it again") from error
    return TranslationModel(
        name=name,
        module=module.requires_grad_(False).eval(),
        task=task,
        scale=scale,
        architecture=architecture,
        recipe=recipe,
        classes=tuple(classes),
        card=card,
        sha256=sha256_of(path),
        path=path,
    )


def shipped() -> dict[str, Path]:
    """The models that come with impasto: their files by name."""
    folder = Path(str(resources.files("impasto") / "assets" / "models"))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"), key=lambda path: path.stem)}


def card_of(name: str) -> dict[str, Any]:
    """What a shipped model's file says of it (task, scale, card …), without loading its weights.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in (packaged := shipped()):
        raise UsageError(f"no shipped model {name!r}: there are {nearest(name, list(packaged))}")
    return cast(dict[str, Any], json.loads((_metadata(packaged[name]) or {})["facts"]))


def require_task(task: str) -> Task:
    """The task of that name.

    Raises:
        UsageError: There is none.
    """
    if task not in get_args(Task):
        raise UsageError(f"no task {task!r}: there are {nearest(task, get_args(Task))}")
    return cast(Task, task)


def _metadata(path: Path) -> dict[str, str] | None:
    """What a file says of itself when it is a model of ours; None when it is not."""
    about = _about(path)
    return about if about.get("format") == FORMAT else None


def _about(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself."""
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError):
        return {}


def _kept(value: Tensor, half: bool) -> Tensor:
    value = value.detach().cpu().contiguous()
    return value.half() if half and value.dtype == torch.float32 else value
