"""Export: a model as an ONNX file of any height and width, proved equal to the model before it is written."""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto import __version__
from impasto.errors import ImpastoError, UsageError
from impasto.images.replace import replace_file, require_writable
from impasto.translation.model import TranslationModel, load

if TYPE_CHECKING:
    import onnx

NEEDED = ("onnx", "onnxscript", "onnxruntime")
INPUT = "image"
EXAMPLE = (45, 54)  # height and width that the graph is recorded at
CHECKED = ((1, 1), (37, 53), (75, 42))  # heights and widths that it is proved at: odd ones, and the least
TOLERANCE = 1e-4  # of the range 1 of a picture, or of the largest score
HALF_TOLERANCE = 1e-2  # half precision has 11 bits, and errors add up over layers


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file.
        bytes: Its size.
        opset: Version of ONNX's operators that it needs.
        difference: The largest from the model in torch, at all sizes tried, of a range of 1.
        sizes: Heights and widths tried.
    """

    path: Path
    bytes: int
    opset: int
    difference: float
    sizes: tuple[tuple[int, int], ...] = CHECKED


def export(model: TranslationModel | str | Path, out: Path | str, *, half: bool = False) -> Exported:
    """Write a model as ONNX: ``image`` (1, 3, height, width) in [0, 1] to ``output``, not clamped, at any size.

    Padding and cropping are in the graph. ONNX Runtime runs it at three sizes before it is written, and it has to give
    what torch gives. The file's metadata say what it is: name, task, scale, classes, recipe and card (the last three
    as JSON), and the SHA-256 of the model's own file.

    Args:
        model: A model, or what `load` takes.
        out: The file; one that is there is replaced.
        half: Weights and arithmetic in half precision (input and output stay float32): half the size, for GPUs.

    Raises:
        UsageError: onnx, onnxscript or onnxruntime is missing; the file is not named as ONNX, or cannot be written to.
        ImpastoError: The network cannot be exported, or the graph does not give what the network gives.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UsageError(f"exporting needs {' and '.join(missing)}: pip install 'impasto[onnx]'")
    if Path(out).suffix.lower() != ".onnx":
        raise UsageError(f"{out}: what is written there is ONNX: name a .onnx")
    require_writable(Path(out))
    model = model if isinstance(model, TranslationModel) else load(model)
    module = copy.deepcopy(model.module).cpu().float().eval().requires_grad_(False)
    graph = _graph(model.name, _Half(copy.deepcopy(module)) if half else module)
    for key, value in _facts(model, half).items():
        graph.metadata_props.add(key=key, value=value)
    data = graph.SerializeToString()
    difference = _proved(model.name, module, data, HALF_TOLERANCE if half else TOLERANCE)
    replace_file(out, data)
    opset = next(one.version for one in graph.opset_import if not one.domain)
    return Exported(Path(out), len(data), opset, difference)


class _Half(nn.Module):
    """A network in half precision between pictures in single precision."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.half()

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c H W"]:
        return self.module(image.half()).float()


def _graph(name: str, module: nn.Module) -> onnx.ModelProto:
    """The network as a graph whose height and width are free."""
    sides = {2: torch.export.Dim("height", min=1), 3: torch.export.Dim("width", min=1)}
    image = torch.rand(1, 3, *EXAMPLE, generator=torch.Generator().manual_seed(0))
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (image,),
                dynamo=True,
                dynamic_shapes=(sides,),
                input_names=[INPUT],
                output_names=["output"],
                verbose=False,
            )
    except Exception as error:  # torch raises its own, and what the network's operators raise
        raise ImpastoError(f"{name} cannot be exported to ONNX: {_reason(error)}") from error
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    for part in (*graph.graph.node, *graph.graph.value_info, *graph.graph.input, *graph.graph.output):
        del part.metadata_props[:]  # where in whose source files it was recorded
        part.doc_string = ""
    return graph


def _reason(error: BaseException) -> str:
    """The innermost of a chain of errors, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no more is said'}"


def _facts(model: TranslationModel, half: bool) -> dict[str, str]:
    """What the file says of itself."""
    return {
        "name": model.name,
        "task": model.task,
        "scale": str(model.scale),
        "classes": json.dumps(list(model.classes)),
        "recipe": json.dumps(model.recipe),
        "card": json.dumps(model.card),
        "sha256": model.sha256,
        "input": "RGB in [0, 1], sRGB-encoded, (1, 3, height, width)",
        "precision": "16" if half else "32",
        "impasto": __version__,
    }


def _proved(name: str, module: nn.Module, data: bytes, tolerance: float) -> float:
    """The largest difference between the graph and the network.

    Raises:
        ImpastoError: It is too large, or the graph cannot be run.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    largest = 0.0
    for height, width in CHECKED:
        image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            expected = module(image).numpy()
        try:
            session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
            found: np.ndarray[Any, Any] = session.run(None, {INPUT: image.numpy()})[0]
        except Exception as error:  # ONNX Runtime's own, of many types
            raise ImpastoError(
                f"{name} was exported, but ONNX Runtime cannot run it at {width}×{height} pixels: {_reason(error)}"
            ) from error
        if found.shape != expected.shape:
            raise ImpastoError(
                f"{name} was exported, but at {width}×{height} pixels it gives {found.shape} where torch gives "
                f"{expected.shape}: nothing was written"
            )
        difference = float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
        if not difference <= tolerance:  # NaN is no less than anything
            raise ImpastoError(
                f"{name} was exported, but at {width}×{height} pixels it differs from torch by {difference:.1e}, more "
                f"than {tolerance:.0e}: nothing was written"
            )
        largest = max(largest, difference)
    return largest
