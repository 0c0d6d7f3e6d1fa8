"""Megapixels per second of translation models: torch in several ways, torch.compile, and ONNX Runtime.

uv run python benchmarks/throughput.py                                  # every shipped model
uv run python benchmarks/throughput.py superres-x2 runs/MINE --size 768 --rounds 7
uv run python benchmarks/throughput.py --architecture '{"kind": "light", "scale": 2}'

Megapixels of the output, of one picture at a time. All ways take turns in one process, and the median of the rounds
counts, so that other work on the machine meets all alike; in brackets, how many times torch in float32. What an
ONNX file takes to write, and torch.compile to compile, is not counted. A dash: not possible on this machine.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.translation.architectures import build
from impasto.translation.export import export
from impasto.translation.model import TranslationModel, load, shipped

Way = Callable[[], object]


def main() -> None:
    """Print a row per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="names, runs or files; default: the shipped ones")
    parser.add_argument("--architecture", action="append", default=[], type=json.loads, help="one with random weights")
    parser.add_argument("--size", type=int, default=512, help="side of the output in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    named = options.models or ([] if options.architecture else list(shipped()))
    models = [load(name) for name in named] + [untrained(one) for one in options.architecture]
    if not models:
        parser.error("no model is shipped yet: name one, or give an --architecture")
    heads = ["torch float32", "channels last", "channels last, bf16", "torch.compile", "ONNX Runtime"]
    print(
        f"| output {options.size}×{options.size}, {options.threads} threads | K parameters | "
        + " | ".join(heads)
        + " |"
    )
    print("|---|---|" + "---|" * len(heads))
    for model in models:
        side = options.size // model.scale
        image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
        speeds = measured(ways(model, image, options.threads), options.rounds, (side * model.scale) ** 2 / 1e6)
        first = speeds["torch float32"]
        assert first is not None
        shown = [f"{speed:.2f} (×{speed / first:.2f})" if (speed := speeds.get(head)) else "–" for head in heads]
        print(f"| {model.name} | {model.parameters / 1000:.0f} | " + " | ".join(shown) + " |", flush=True)


def ways(model: TranslationModel, image: Tensor, threads: int) -> dict[str, Way | None]:
    """The ways to run a model on an image, each run once to be warm; None where that fails."""
    plain = deepcopy(model.module).to(memory_format=torch.contiguous_format)
    last = deepcopy(model.module).to(memory_format=torch.channels_last)
    spread = image.contiguous(memory_format=torch.channels_last)
    compiled = torch.compile(deepcopy(last))

    def bf16() -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return last(spread)

    found: dict[str, Way | None] = {
        "torch float32": lambda: plain(image),
        "channels last": lambda: last(spread),
        "channels last, bf16": bf16,
        "torch.compile": lambda: compiled(spread),
        "ONNX Runtime": onnx_runtime(model, image, threads),
    }
    for name, way in found.items():
        try:
            with torch.no_grad():
                if way:
                    way()
                    way()
        except Exception as error:  # no compiler, an operator that bf16 has not …
            warnings.warn(f"{model.name}, {name}: {type(error).__name__}: {error}", stacklevel=1)
            found[name] = None
    return found


def onnx_runtime(model: TranslationModel, image: Tensor, threads: int) -> Way | None:
    """A session of the exported model."""
    try:
        import onnxruntime

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            export(model, path)
            settings = onnxruntime.SessionOptions()
            settings.intra_op_num_threads, settings.log_severity_level = threads, 3
            session = onnxruntime.InferenceSession(path.read_bytes(), settings, providers=["CPUExecutionProvider"])
    except (ImportError, ImpastoError) as error:
        warnings.warn(f"{model.name}, ONNX Runtime: {error}", stacklevel=1)
        return None
    given = {"image": image.numpy()}
    return lambda: session.run(None, given)


@torch.no_grad()
def measured(found: dict[str, Way | None], rounds: int, megapixels: float) -> dict[str, float | None]:
    """Megapixels per second of each way: the median of rounds in which all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name, way in found.items() if way}
    for _ in range(rounds):
        for name, way in found.items():
            if way:
                began = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - began)
    return {name: megapixels / statistics.median(times) for name, times in seconds.items()}


def untrained(architecture: dict[str, object]) -> TranslationModel:
    """A network with random weights: as fast as a trained one."""
    module = build(architecture).eval().requires_grad_(False)
    name = " ".join(str(value) for value in architecture.values())
    scale = architecture.get("scale", getattr(module, "scale", 1))
    return TranslationModel(name, module, "superres" if scale != 1 else "restore", int(str(scale)), architecture)


if __name__ == "__main__":
    main()
