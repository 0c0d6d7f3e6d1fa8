"""impasto export: a restoring or labelling model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.terminal import QUIET, Voice, say


def export(
    model: str,
    /,
    *,
    out: Path | None = None,
    half: Annotated[bool, Parameter(negative="")] = False,
    voice: Voice = QUIET,
) -> None:
    """Write MODEL as an ONNX file that takes pictures of any height and width.

    The file is run and compared with the model before it is written; what it is stands in its metadata. It needs the
    extra onnx: pip install 'impasto[onnx]'.

    Examples:

        impasto export superres-x4 --out superres-x4.onnx
        impasto export runs/202611211200-train-enhance-photos-restore --out restore.onnx --half

    Parameters
    ----------
    model
        A shipped model, a run, or a file.
    out
        Where to write, a .onnx. Default: the model's name, here.
    half
        Half precision: half the size, for GPUs.
    voice
        How to speak.
    """
    from impasto.translation.export import export as craft
    from impasto.translation.model import load

    loaded = load(model)
    made = craft(loaded, out or Path(f"{loaded.name}.onnx"), half=half)
    sizes = ", ".join(f"{width}×{height}" for height, width in made.sizes)
    say(
        f"{made.path}  {made.bytes / 1e6:.1f} MB, opset {made.opset}, within {made.difference:.1e} of torch at {sizes}",
        voice,
        out=made.path,
        bytes=made.bytes,
        opset=made.opset,
        difference=made.difference,
        sizes=made.sizes,
    )
