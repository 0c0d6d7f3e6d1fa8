"""Benchmark: a model judged on a folder of good pictures, by the protocol that its task's published tables use."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import read
from impasto.images.folder import pictures_below
from impasto.images.resample import imresize, round_to_8_bits
from impasto.networks.device import DeviceName, pick_device
from impasto.translation.apply import apply
from impasto.translation.degrade import Recipe, parse
from impasto.translation.degrade.jpeg import through_libjpeg
from impasto.translation.metrics import Colour, colourfulness, psnr, psnr_b, ssim, y_channel
from impasto.translation.model import TranslationModel, load
from impasto.translation.names import Task
from impasto.translation.pictures import on_white
from impasto.translation.recolour import colorize

Baseline = Literal["bicubic", "jpeg", "nothing"]
Scores = dict[str, float]
Measure = Callable[[Tensor, Tensor], Tensor]

# The names in benchmarks of super-resolution: img_001_SRF_4_HR.png and its img_001_SRF_4_LR.png (Huang et al. 2015).
_PAIRED = re.compile(r"_SRF_(\d+)_(HR|LR)\.\w+$")


@dataclass(frozen=True)
class Row:
    """The scores of one picture: the model's, and those of what is there without one."""

    picture: str
    scores: Scores
    baseline: Scores = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """How a model did.

    Attributes:
        model: Its name.
        baseline: What it is compared to.
        protocol: How it was judged, in a line.
        rows: One for each picture.
    """

    model: str
    baseline: str
    protocol: str
    rows: tuple[Row, ...]

    @property
    def exact(self) -> int:
        """Pictures that came out exact, the model's or the baseline's: their PSNR is infinite."""
        return sum(math.inf in (*row.scores.values(), *row.baseline.values()) for row in self.rows)

    @property
    def mean(self) -> Row:
        """The mean of each score over the pictures, as the tables print it.

        Where a score is infinite, the model's or the baseline's, the picture counts for neither, so that both means are
        of the same pictures; only where none is left is the mean infinite too.
        """

        def means(own: Callable[[Row], Scores], other: Callable[[Row], Scores]) -> Scores:
            found = {}
            for name in own(self.rows[0]):
                every = [(own(row)[name], other(row).get(name, 0.0)) for row in self.rows]
                finite = [pair for pair in every if math.inf not in pair]
                found[name] = float(np.mean([value for value, _ in finite or every]))
            return found

        scores, baseline = means(lambda row: row.scores, _baseline), means(_baseline, lambda row: row.scores)
        some = 0 < self.exact < len(self.rows)
        return Row(f"mean, PSNR without {self.exact} exact" if some else "mean", scores, baseline)

    def to_json(self) -> dict[str, Any]:
        """All of it; of equal pictures the PSNR, which is infinite, is null."""

        def plain(row: Row) -> dict[str, Any]:
            scores, baseline = (
                {name: value if math.isfinite(value) else None for name, value in some.items()}
                for some in (row.scores, row.baseline)
            )
            return {"picture": row.picture, "scores": scores, "baseline": baseline}

        return {
            "model": self.model,
            "baseline": self.baseline,
            "protocol": self.protocol,
            "exact": self.exact,
            "mean": plain(self.mean),
            "pictures": [plain(row) for row in self.rows],
        }


def _baseline(row: Row) -> Scores:
    return row.baseline


@torch.no_grad()
def benchmark(
    model: TranslationModel | str | Path,
    folder: Path | str,
    *,
    scale: int | None = None,
    quality: int | None = None,
    gray: bool = False,
    recipe: Recipe | str | None = None,
    seed: int = 0,
    extra: Mapping[str, Measure] | None = None,
    device: DeviceName = "auto",
    progress: Callable[[float, str], object] | None = None,
) -> Benchmark:
    """Make the good pictures of a folder bad, let the model restore them, and compare with the good ones.

    Super-resolution: pictures cropped to multiples of the scale, reduced by MATLAB's bicubic and rounded to 8 bits;
    PSNR and SSIM of Y (`metrics.y_channel`) without a border of ``scale`` pixels (of a gray picture, of its own
    values), outputs and Y rounded as those of the tables' bicubic rows. ``psnr_unrounded`` leaves Y as it is, as EDSR's
    and SwinIR's code does. Restoration: JPEG of a quality (libjpeg's, colours at half the size as Pillow has them), on
    colour (RGB) or gray: PSNR, SSIM and PSNR-B; or the recipe that the model has learnt to undo, each picture with a
    seed of its own. Colorization: colours found at the size that `enhance` finds them at, and laid over the picture's
    own luma; PSNR of Cb and Cr, and colourfulness.

    Args:
        model: A model, or what `load` takes, or what there is without one: ``bicubic`` (of ``scale``), ``jpeg`` (of
            ``quality``), ``nothing`` (the bad pictures of ``recipe`` as they are).
        folder: Pictures at any depth. Of pairs ``…_SRF_4_HR.png`` and ``…_SRF_4_LR.png`` the good ones are taken: those
            of the scale, or where there are none, of the smallest scale there is.
        scale: Times that pictures are enlarged; must be the model's.
        quality: Of JPEG, 1 to 100.
        gray: Restore gray pictures; of a coloured one, its Y (as LIVE1 is judged).
        recipe: Another way to make them bad than the task's.
        seed: Of the recipe; the n-th picture has seed + n.
        extra: Further measures by name: functions of (output, target), as `metrics.lpips`.
        device: Where to compute, in single precision.
        progress: Called with (part done, a few words).

    Raises:
        UsageError: No pictures, one that cannot be read or is too small, or a protocol that does not fit the model.

    >>> benchmark("bicubic", "Set5", scale=4).mean.scores["psnr"]  # doctest: +SKIP
    28.4189
    """
    if isinstance(model, str | Path) and str(model) not in get_args(Baseline):
        model = load(model)
    protocol = _protocol(model, scale, quality, gray, recipe)
    names = _good_pictures(Path(folder), protocol.scale)
    where = pick_device(device)
    rows = []
    for number, name in enumerate(names):
        if progress:
            progress(number / len(names), name)
        try:
            rows.append(_row(model, protocol, Path(folder), name, seed + number, where, extra or {}))
        except UsageError as error:
            raise UsageError(f"{name} cannot be judged: {error}") from error
    name = model.name if isinstance(model, TranslationModel) else str(model)
    return Benchmark(name, protocol.baseline, protocol.words, tuple(rows))


@dataclass(frozen=True)
class _Protocol:
    """How pictures are made bad, and what is compared.

    Attributes:
        words: It, in a line.
        task: What is restored.
        scale: Times that the bad picture is smaller.
        degrade: (good picture, whether it is gray, seed) → the bad one.
        baseline: What stands in the place of a model.
        gray: Whether every picture is made gray.
        blocks: Whether PSNR-B is of interest.
    """

    words: str
    task: Task
    scale: int
    degrade: Callable[[Tensor, bool, int], Tensor]
    baseline: str
    gray: bool = False
    blocks: bool = False


def _protocol(
    model: TranslationModel | str | Path,
    scale: int | None,
    quality: int | None,
    gray: bool,
    recipe: Recipe | str | None,
) -> _Protocol:
    """What the model's task and the wishes make of it.

    Raises:
        UsageError: They do not go together.
    """
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"JPEG has no quality {quality}: give 1 to 100")
    if quality is not None and recipe is not None:
        raise UsageError("a quality and a recipe are two ways to make pictures bad: give one of them")
    if gray and quality is None:
        raise UsageError("gray is how JPEG is judged: give a quality too, or a recipe with gray in it")
    given = parse(recipe) if recipe is not None else None
    if not isinstance(model, TranslationModel):
        name = str(model)
        task = _task_of_baseline(name, scale, quality, given)
        own = given.scale if given is not None else scale or 1 if task == "superres" else 1
    else:
        task, own, name = model.task, model.scale, model.name
        if task == "segment":
            raise UsageError(f"{name} labels pixels and restores nothing: `impasto train segment` says its IoU")
        if task == "colorize" and given is None:
            given = Recipe.from_json(model.recipe) if model.recipe else parse("colorize")
        if task == "restore" and quality is None and given is None:
            if model.recipe is None:
                raise UsageError(f"{name} does not say what it was trained to undo: give a quality of JPEG or a recipe")
            given = Recipe.from_json(model.recipe)
    if scale is not None and scale != own:
        does = f"enlarges {own} times" if own > 1 else "keeps the size"
        raise UsageError(f"{name} {does}, and cannot be judged at scale {scale}: leave it out, or take another model")
    if given is not None and given.scale != own:
        raise UsageError(f"the recipe reduces pictures {given.scale} times and {name} enlarges {own} times")
    if quality is not None:
        if task != "restore":
            raise UsageError(f"{name} is a model for {task}, which is not judged by JPEG: leave the quality out")
        words = f"JPEG quality {quality}, {'gray' if gray else 'RGB'}"
        return _Protocol(words, task, 1, _by_jpeg(quality, gray), "jpeg", gray, blocks=True)
    if given is not None:
        recipe_of = given
        baseline = "bicubic" if own > 1 else "nothing"
        return _Protocol(f"recipe {given}", task, own, lambda good, _, seed: recipe_of(good, [seed]), baseline)
    words = f"bicubic reduction {own} times, Y, {own} pixels of border left out"
    reduce = lambda good, gray, seed: round_to_8_bits(imresize(good, scale=1 / own))  # noqa: E731
    return _Protocol(words, task, own, reduce, "bicubic")


def _task_of_baseline(name: str, scale: int | None, quality: int | None, recipe: Recipe | None) -> Task:
    if name == "bicubic":
        if recipe is None and (scale or 1) < 2:
            raise UsageError("bicubic enlarges any number of times: say how many by --scale 2, 3 or 4")
        return "superres"
    if name == "jpeg" and quality is None:
        raise UsageError("jpeg has any quality: give one (10 is the tables')")
    if name == "nothing" and recipe is None:
        raise UsageError("nothing restores nothing: give the recipe by which pictures are made bad")
    return "restore"


def _by_jpeg(quality: int, gray: bool) -> Callable[[Tensor, bool, int], Tensor]:
    def degrade(good: Tensor, is_gray: bool, seed: int) -> Tensor:
        if not (gray or is_gray):
            return through_libjpeg(good, [quality], ["420"])
        levels = (round_to_8_bits(good[0, 0]) * 255).round().to(torch.uint8).numpy()
        file = io.BytesIO()
        Image.fromarray(levels).save(file, "JPEG", quality=quality)
        with Image.open(file) as bad:
            return torch.from_numpy(np.array(bad)).float().div(255).expand(1, 3, *levels.shape)

    return degrade


def _row(
    model: TranslationModel | str | Path,
    protocol: _Protocol,
    folder: Path,
    name: str,
    seed: int,
    device: torch.device,
    extra: Mapping[str, Measure],
) -> Row:
    picture = read(folder / name)
    is_gray = protocol.gray or picture.mode in ("L", "LA")
    pixels = on_white(picture)
    good = _cropped(_as_gray(pixels) if protocol.gray else pixels, protocol.scale)
    bad = protocol.degrade(good, is_gray, seed).float()
    plain = imresize(bad, scale=protocol.scale)

    def scores(output: Tensor) -> Scores:
        return _scores(output, good.to(output.device), protocol, is_gray, extra)

    if not isinstance(model, TranslationModel):
        return Row(name, scores(plain))
    if model.task == "colorize":
        output = colorize(model, bad.to(device), device=device, precision="32")
    else:
        output = apply(model, bad.to(device), device=device, precision="32")
    baseline = scores(plain)
    baseline.pop("colourfulness_true", None)  # said once
    return Row(name, scores(output), baseline)


def _scores(output: Tensor, good: Tensor, protocol: _Protocol, is_gray: bool, extra: Mapping[str, Measure]) -> Scores:
    border = protocol.scale if protocol.scale > 1 else 0
    if protocol.task == "colorize":
        found = {
            "psnr_chroma": psnr(output, good, colour="chroma"),
            "colourfulness": colourfulness(output),
            "colourfulness_true": colourfulness(good),
        }
    else:
        colour: Colour = "gray" if is_gray else "y" if protocol.scale > 1 else "rgb"
        found = {"psnr": psnr(output, good, border=border, colour=colour)}
        found["ssim"] = ssim(output, good, border=border, colour=colour)
        if protocol.blocks:
            found["psnr_b"] = psnr_b(output, good, colour=colour)
        if protocol.scale > 1:
            found["psnr_unrounded"] = psnr(output, good, border=border, colour=colour, rounded="image")
    found |= {name: measure(output, good) for name, measure in extra.items()}
    return {name: float(value.item()) for name, value in found.items()}


def _cropped(image: Float[Tensor, "1 3 h w"], scale: int) -> Float[Tensor, "1 3 H W"]:
    """Without the last rows and columns beyond a multiple of the scale."""
    height, width = (side // scale * scale for side in image.shape[-2:])
    if not (height and width):
        raise UsageError(f"it has {image.shape[-1]}×{image.shape[-2]} pixels, too few for scale {scale}")
    return image[..., :height, :width]


def _as_gray(pixels: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h w"]:
    """A gray picture as it is; of a coloured one its Y, in 16 … 235, as a picture."""
    if bool((pixels == pixels[:, :1]).all()):  # also where the file holds it as RGB
        return pixels
    return round_to_8_bits(y_channel(pixels) / 255).expand(-1, 3, -1, -1)


def _good_pictures(folder: Path, scale: int) -> list[str]:
    """The pictures to judge by, without what was made of them, and each once."""
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}: give one with good pictures")
    names = pictures_below(folder)
    paired = {name: match for name in names if (match := _PAIRED.search(name))}
    good = {name: int(match[1]) for name, match in paired.items() if match[2] == "HR"}
    if paired and not good:
        raise UsageError(f"{folder} holds low-resolution pictures only (_LR): give the folder of the good ones, _HR")
    chosen = scale if scale in good.values() else min(good.values(), default=0)
    return [name for name in names if name not in paired or good.get(name) == chosen]
