"""Apply: a recipe to a batch of pictures, each going its own way, those that do the same at once together."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images.resample import Kernel, imresize, round_to_8_bits
from impasto.translation.degrade.blur import blur, sinc
from impasto.translation.degrade.draw import Drawn, plan
from impasto.translation.degrade.gray import luma
from impasto.translation.degrade.jpeg import compress
from impasto.translation.degrade.noise import gaussian, poisson
from impasto.translation.degrade.overlay import stamp, text, watermark
from impasto.translation.degrade.recipe import Recipe
from impasto.translation.degrade.sizes import RESIZING, share_after, side_of

_KERNELS: dict[str, Kernel] = {"bicubic": "bicubic", "bilinear": "bilinear", "area": "box"}


def apply(recipe: Recipe, images: Float[Tensor, "b 3 h w"], seeds: Sequence[int]) -> Float[Tensor, "b 3 H W"]:
    """What `Recipe.__call__` says.

    Operations are elementwise, in whole numbers, or done for each picture by itself: so that a picture is the same to
    the bit whatever its batch.
    """
    if len(seeds) != len(images):
        raise ValueError(f"{len(images)} pictures need as many seeds, not {len(seeds)}")
    original = (int(images.shape[-2]), int(images.shape[-1]))
    if any(side % recipe.multiple for side in original):
        raise UsageError(
            f"pictures of {original[1]}×{original[0]} pixels cannot be reduced {recipe.multiple} times: crop them to "
            f"multiples of {recipe.multiple}"
        )
    if not len(images):
        return images.new_empty(0, 3, *(side // recipe.scale for side in original))
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        pictures = list(images.detach().float())
        shares = [Fraction(1)] * len(pictures)
        plans = [deque(plan(recipe.steps, seed)) for seed in seeds]
        while any(plans):
            # The earliest step that any picture waits for, and all pictures that wait for it.
            place = min(waiting[0].place for waiting in plans if waiting)
            now = {i: waiting.popleft() for i, waiting in enumerate(plans) if waiting and waiting[0].place == place}
            if next(iter(now.values())).operation in RESIZING:
                for i, drawn in now.items():
                    pictures[i], shares[i] = _resized(pictures[i], drawn, shares[i], original)
                continue
            alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
            for i in now:
                alike[tuple(pictures[i].shape)].append(i)
            for some in alike.values():
                changed = _changed(torch.stack([pictures[i] for i in some]), [now[i] for i in some])
                for i, picture in zip(some, changed):
                    pictures[i] = picture
        return torch.stack(pictures)


def _gray(images: Tensor, drawn: Sequence[Drawn]) -> Tensor:
    return luma(images).expand_as(images)


def _jpeg(images: Tensor, drawn: Sequence[Drawn]) -> Tensor:
    if printed := [i for i, one in enumerate(drawn) if one.values["print"]]:
        images[printed] = stamp(images[printed], [drawn[i] for i in printed])
    chosen = [one.values for one in drawn]
    return compress(images, [one["quality"] for one in chosen], [one["chroma"] for one in chosen])


def _round(images: Tensor, drawn: Sequence[Drawn]) -> Tensor:
    return round_to_8_bits(images)


# A batch of pictures of one size, which may be written to, and what was drawn for each: the batch changed.
CHANGES: dict[str, Callable[[Tensor, Sequence[Drawn]], Tensor]] = {
    "jpeg": _jpeg,
    "noise": gaussian,
    "poisson": poisson,
    "blur": blur,
    "sinc": sinc,
    "gray": _gray,
    "text": text,
    "watermark": watermark,
    "round": _round,
}


def _changed(images: Tensor, drawn: Sequence[Drawn]) -> Tensor:
    return CHANGES[drawn[0].operation](images, drawn).clamp(0, 1)


def _resized(picture: Tensor, drawn: Drawn, share: Fraction, original: tuple[int, int]) -> tuple[Tensor, Fraction]:
    """A picture (3, h, w) at its new size, and its share of the original."""
    after = share_after(drawn.operation, drawn.values, share, min(picture.shape[-2:]))
    assert after is not None
    size = (side_of(original[0], after), side_of(original[1], after))
    if size == tuple(picture.shape[-2:]):
        return picture, after
    kernel = _KERNELS[drawn.values["kernel"]]
    antialias = drawn.values.get("antialias", True) or kernel == "box"
    return imresize(picture[None], size=size, kernel=kernel, antialias=antialias).clamp(0, 1)[0], after
