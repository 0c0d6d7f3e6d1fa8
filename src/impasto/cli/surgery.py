"""impasto networks surgery: a pretrained network changed, with the proof that its outputs are what they were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from impasto.cli.terminal import QUIET, Voice, say
from impasto.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Operation = Literal["batch-norm", "dropout", "split"]


def surgery(
    network: str,
    operation: Operation,
    /,
    *,
    weights: Path | None = None,
    pictures: Path | None = None,
    most: int = 16,
    size: int = 256,
    where: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    p: float = 0.0,
    convention: Literal["inverted", "classic"] = "inverted",
    tap: str | None = None,
    out: Path | None = None,
    voice: Voice = QUIET,
) -> None:
    """Change a pretrained network, prove on pictures that its outputs stay, and write its weights.

    batch-norm puts a batch norm after each convolution, filled from the pictures so that it changes nothing;
    dropout sets the probability of every dropout; split cuts the network at --tap, and writes the lower part to --out
    and the rest beside it, as NAME-upper. What would change an output is refused, and nothing is written.

    Examples:

        impasto networks surgery vgg19 batch-norm --pictures photos --out vgg19-norm.safetensors
        impasto networks surgery vgg16 dropout --p 0
        impasto networks surgery vgg19 split --tap relu3_1 --out lower.safetensors

    Parameters
    ----------
    network
        A name of `impasto networks list`, or timm:NAME.
    operation
        batch-norm, dropout or split.
    weights
        A file of weights to take instead of the published ones.
    pictures
        A folder of pictures, or one picture, to measure and to prove on; split and dropout do without.
    most
        How many pictures of the folder are taken, spread over it.
    size
        The longest side at which they are seen, in pixels.
    where
        Of batch-norm: the convolutions that get one. Default: all.
    p
        Of dropout: the new probability; 0 removes it.
    convention
        Of dropout: inverted, as in PyTorch and Keras, or classic, where weights are scaled.
    tap
        Of split: the last layer of the lower part.
    out
        A safetensors file to write.
    voice
        How to speak.
    """
    if operation == "batch-norm" and pictures is None:
        raise UsageError("batch norm is filled from pictures: name a folder of them with --pictures")
    if operation == "split" and tap is None:
        raise UsageError("a split needs a layer: name it with --tap, as `impasto networks show` lists them")
    if out is not None and out.suffix != ".safetensors":
        raise UsageError(f"{out} is no place for weights: give a file name that ends in .safetensors")
    from impasto.images import require_writable

    beside = out.with_stem(f"{out.stem}-upper") if out and operation == "split" else None
    for file in filter(None, (out, beside)):
        require_writable(file)
    from impasto.networks import load
    from impasto.networks.surgery import change_dropout, insert_batch_norm, split_at
    from impasto.networks.surgery.file import save_weights

    shown = _read(pictures, most, size) if pictures else None
    known = load(network, weights=weights)
    if operation == "batch-norm":
        made, proof = insert_batch_norm(known, shown or [], where or "convolutions")
        parts = [(out, made.module)]
    elif operation == "dropout":
        made, proof = change_dropout(known, p, convention, shown)
        parts = [(out, made.module)]
    else:
        lower, upper, proof = split_at(known, str(tap), shown)
        parts = [(out, lower.module), (beside, upper)]
    for place, module in parts:
        if place is not None:
            save_weights(known, module, proof, place)
    written = [place for place, _ in parts if place]
    said = f"{network}: {proof}" + "".join(f"\n{place}" for place in written)
    say(
        said,
        voice,
        network=network,
        operation=proof.operation,
        largest=proof.largest,
        relative=proof.relative,
        pictures=proof.pictures,
        places=dict(proof.places),
        written=written,
    )


def _read(place: Path, most: int, longest: int) -> list[Tensor]:
    """Pictures of a folder, or the one, each as a batch of its own."""
    from impasto.images import read
    from impasto.images.resize import fit, resize, size_of

    if most < 1 or longest < 1:
        raise UsageError("--most and --size must be 1 or more")
    if place.is_dir():
        from impasto.images.folder import pictures_below

        files = [place / name for name in pictures_below(place)]
        files = [files[i * len(files) // most] for i in range(most)] if len(files) > most else files
    else:
        files = [place]
    found = [read(file).pixels for file in files]
    return [resize(picture, fit(size_of(picture), longest)).clamp(0, 1) for picture in found]
