"""Third-party models: checkpoints of other projects, recognised and run by spandrel."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks.weights import sha256_of
from impasto.translation.model import TranslationModel
from impasto.translation.names import Task

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor  # type: ignore[import-untyped]

INSTALL = "uv pip install 'impasto[spandrel]'"
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")


class ThirdParty(nn.Module):
    """Another project's network, as ours are: any size, three channels.

    Attributes:
        stride: What its input's sides must be multiples of; spandrel pads to it at the bottom and on the right.
        everywhere: Why it should not be tiled; empty when it may.
    """

    def __init__(self, descriptor: ImageModelDescriptor[Any]) -> None:
        super().__init__()
        from spandrel import ModelTiling

        self.network = descriptor.model
        self.descriptor = descriptor
        # without spandrel's inference mode, in which nobody sees of what operations a layer consists
        call = type(descriptor).__call__
        self._call = getattr(call, "__wrapped__", call)
        self.stride = descriptor.size_requirements.multiple_of
        self.everywhere = ""
        if descriptor.size_requirements.square:
            self.everywhere = "it takes squares only"
        elif descriptor.tiling is ModelTiling.INTERNAL:
            self.everywhere = "it makes tiles by itself"

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Pictures in [0, 1] at the network's scale; those of gray networks channel by channel."""
        parts = [image] if self.descriptor.input_channels == 3 else [one[:, None] for one in image.unbind(1)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what will change in torch: nothing that its user could mend
            return torch.cat([self._call(self.descriptor, part) for part in parts], dim=1)


def load_third_party(path: Path) -> TranslationModel:
    """The model in another project's file of weights (.safetensors, .pth); nothing that it holds is ever run.

    spandrel tells by the names and shapes of the weights what network they are of, and is asked for those of its
    architectures alone whose licences let anybody use them.

    Raises:
        UsageError: spandrel is not installed, the file is damaged or holds no network that it knows, or one that
            does not make a picture of a picture alone.
    """
    state = _state(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import spandrel
        except ImportError as error:
            raise UsageError(
                f"{path} is no model of impasto; those of other projects need spandrel, an extra: {INSTALL}"
            ) from error
        try:
            descriptor = spandrel.ModelLoader(device="cpu").load_from_state_dict(
                spandrel.canonicalize_state_dict(state)
            )
        except spandrel.UnsupportedModelError as error:
            raise UsageError(
                f"{path} holds no network that spandrel knows: take a model of another architecture"
            ) from error
        except Exception as error:  # each architecture has its own ways to fail
            raise UsageError(
                f"{path} looks like a network that spandrel knows, but the weights do not fit it "
                f"({type(error).__name__}): download it again"
            ) from error
    kind = descriptor.architecture.name
    if not isinstance(descriptor, spandrel.ImageModelDescriptor):
        raise UsageError(f"{path} is a {kind}, which needs a mask beside the picture: that is not done here")
    channels = (descriptor.input_channels, descriptor.output_channels)
    if channels not in ((3, 3), (1, 1)):
        raise UsageError(f"{path} is a {kind} of {channels[0]} to {channels[1]} channels: take one of 3 or 1")
    module = ThirdParty(descriptor).float().eval().requires_grad_(False)
    task: Task = "superres" if descriptor.scale > 1 else "restore"
    return TranslationModel(
        name=path.stem,
        module=module,
        task=task,
        scale=descriptor.scale,
        card={
            "about": f"{kind}{''.join(f', {tag}' for tag in descriptor.tags)}, of another project",
            "licence": "its makers', see where it comes from",
            "half": descriptor.supports_half,
            "bf16": descriptor.supports_bfloat16,
        },
        sha256=sha256_of(path),
        path=path,
    )


def _state(path: Path) -> dict[str, Any]:
    """What a file of weights holds: tensors, perhaps in dictionaries of dictionaries."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is no model: name a shipped one, a run, or a file {', '.join(SUFFIXES)}")
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UsageError(
            f"{path} is no readable file of weights ({type(error).__name__}), it is cut short or of another kind: get "
            "or save it again, as .safetensors if it can be had"
        ) from error
    if not isinstance(state, dict):
        raise UsageError(f"{path} holds no weights by name: take a file of a network's state_dict()")
    return state
