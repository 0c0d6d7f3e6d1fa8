"""Before and after: pictures with a slider between what went in and what came out, in one HTML file."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.images import Picture, read
from impasto.images.replace import replace_file
from impasto.images.resize import fit, resize, size_of

LONGEST, DETAIL = 1600, 800  # pixels of a picture's longer side, and of a detail's at full size
QUALITY = 92
MARGIN = 8  # pixels around a detail, to interpolate from
PAPER = 0.5  # gray beneath what is transparent

Source = Picture | Path | str


@dataclass(frozen=True)
class View:
    """Two pictures of one size, one over the other.

    Attributes:
        title: What they show.
        about: Sizes, in words.
        before: A data URI.
        after: Another.
        width: In pixels.
        height: Likewise.
    """

    title: str
    about: str
    before: str
    after: str
    width: int
    height: int


def before_after(
    pairs: Iterable[tuple[str, Source, Source]], out: Path | str, *, title: str = "Before and after"
) -> Path:
    """Write the page: everything is inside it, and it works without a server.

    Pictures are shown at `LONGEST` pixels at most; of larger ones the middle is shown too, pixel for pixel. What went
    in is enlarged bicubically to what came out.

    >>> before_after([("cat", "cat.jpg", "cat-enhanced.png")], "cat.html")  # doctest: +SKIP
    PosixPath('cat.html')

    Args:
        pairs: Title, before and after of each; they are read one after the other.
        out: The HTML file.
        title: Of the page.

    Raises:
        UsageError: A picture cannot be read.
        ImpastoError: The page cannot be written.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("impasto.translation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    files = resources.files("impasto.translation").joinpath("templates")
    style, script = (Markup(files.joinpath(f"before_after.{kind}").read_text("utf-8")) for kind in ("css", "js"))
    views = [view for name, before, after in pairs for view in _views(name, before, after)]
    page = environment.get_template("before_after.html.j2").render(title=title, views=views, style=style, script=script)
    replace_file(out, page.encode("utf-8", "backslashreplace"))
    return Path(out)


def _views(title: str, before: Source, after: Source) -> list[View]:
    """The whole picture, and if that is shown smaller, the middle of it."""
    first, second = _seen(before), _seen(after)
    small, large = size_of(first), size_of(second)
    about = f"{small[1]}×{small[0]} → {large[1]}×{large[0]}" if small != large else f"{large[1]}×{large[0]}"
    shown = fit(large, LONGEST) if max(large) > LONGEST else large
    views = [_view(title, about, resize(first, shown), resize(second, shown))]
    if shown != large:
        views.append(_view(f"{title}, the middle", "pixel for pixel", _middle(first, large), _middle(second, large)))
    return views


def _seen(source: Source) -> Float[Tensor, "1 3 h w"]:
    picture = source if isinstance(source, Picture) else read(source)
    if picture.alpha is None:
        return picture.pixels
    return PAPER + (picture.pixels - PAPER) * picture.alpha


def _middle(image: Tensor, large: tuple[int, int]) -> Tensor:
    """The middle `DETAIL` pixels of the picture at the size ``large``."""
    parts, sizes, cuts = [], [], []
    for side, big in zip(size_of(image), large, strict=True):
        length = min(DETAIL, big)
        first = (big - length) // 2
        # of a smaller picture, the same place, and a little more to interpolate from
        times, margin = big / side, 0 if side == big else MARGIN
        start = max(0, math.floor(first / times) - margin)
        stop = min(side, math.ceil((first + length) / times) + margin)
        begin = round(start * times)
        parts.append(slice(start, stop))
        sizes.append(round(stop * times) - begin)
        cuts.append(slice(first - begin, first - begin + length))
    return resize(image[..., parts[0], parts[1]], (sizes[0], sizes[1]))[..., cuts[0], cuts[1]]


def _view(title: str, about: str, before: Tensor, after: Tensor) -> View:
    height, width = size_of(after)
    return View(title, about, _uri(before), _uri(after), width, height)


def _uri(image: Tensor) -> str:
    from PIL import Image

    array = (image[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
