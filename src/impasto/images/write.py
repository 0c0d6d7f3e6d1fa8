"""Write a picture to a file, with what it had when it was read, whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from impasto.errors import ImpastoError, UsageError
from impasto.images import icc as profiles
from impasto.images.exif import into_tiff, pixels_per_mm, upright
from impasto.images.libvips import libvips, with_blobs
from impasto.images.picture import Picture
from impasto.images.recipe import to_xmp
from impasto.images.replace import replace_file

if TYPE_CHECKING:
    from torch import Tensor


class _Format(NamedTuple):
    """What a format can hold. `largest` is its longest side; `save` libvips's name for it."""

    name: str
    save: str
    alpha: bool
    depth: int
    largest: int


_JPEG = _Format("JPEG", "jpegsave_buffer", alpha=False, depth=8, largest=65_500)
_TIFF = _Format("TIFF", "tiffsave_buffer", alpha=True, depth=16, largest=10**9)
FORMATS = {
    ".png": _Format("PNG", "pngsave_buffer", alpha=True, depth=16, largest=10**9),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": _Format("WebP", "webpsave_buffer", alpha=True, depth=8, largest=16_383),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".avif": _Format("AVIF", "heifsave_buffer", alpha=True, depth=8, largest=16_384),
    ".heic": _Format("HEIC", "", alpha=True, depth=8, largest=16_384),
}

# A JPEG marker holds 65 533 bytes; XMP's has a heading of 29 (XMP Specification Part 3, 1.1.3).
_LARGEST_JPEG_PACKET = 65_533 - 29


def write(path: str | Path, picture: Picture, *, quality: int = 95) -> None:
    """Write a picture in the format that the path's extension names (.png .jpg .webp .tif .avif .heic).

    Kept, where the format can hold it: alpha (else the picture is laid over white), 16 bits (PNG and TIFF;
    else 8), the ICC profile with the colours converted back to it, EXIF, and the recipe. Values are rounded
    to the nearest level, without dithering; those outside [0, 1] are clamped.

    Args:
        path: Where to. The file appears whole or not at all, and replaces an earlier one.
        picture: What.
        quality: Of JPEG, WebP, AVIF and HEIC, 1 to 100. PNG and TIFF are lossless.

    Raises:
        UsageError: The extension or the quality is none that we know, or the format cannot hold the picture.
        ImpastoError: The picture holds NaN or infinity, the folder is missing or may not be written to, or
            the disk is full. The earlier file is untouched.

    >>> import torch
    >>> from impasto.images import Picture, write
    >>> write("gray.png", Picture(torch.full((1, 3, 32, 32), 0.5)))  # doctest: +SKIP
    """
    path = Path(path)
    kind = _format(path, picture)
    if not 1 <= quality <= 100:
        raise UsageError(f"quality is {quality}: it must be from 1 to 100")
    replace_file(path, _encode(path, picture, kind, quality))


def require_format(path: str | Path) -> None:
    """Find out before the work that the path's suffix names a format that is written.

    Raises:
        UsageError: It names none.
    """
    _kind(Path(path))


def _format(path: Path, picture: Picture) -> _Format:
    kind = _kind(path)
    if max(picture.height, picture.width) > kind.largest:
        raise UsageError(
            f"{path}: {kind.name} holds at most {kind.largest} pixels a side, the picture is "
            f"{picture.width} x {picture.height}: write a .png or .tif"
        )
    return kind


def _kind(path: Path) -> _Format:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        what = f"the extension {path.suffix!r}" if path.suffix else "no extension"
        raise UsageError(f"{path} has {what}, which names no format to write: use one of {' '.join(FORMATS)}")
    return kind


def _encode(path: Path, picture: Picture, kind: _Format, quality: int) -> bytes:
    """The bytes of the file."""
    pixels, alpha = _finite(path, picture)
    if alpha is not None and not kind.alpha:
        pixels, alpha = pixels * alpha + (1 - alpha), None
    icc = picture.icc
    if profiles.usable(icc, "RGB") is None:
        # Colours cannot go back to a gray or CMYK profile, for the file written is RGB: it says sRGB instead.
        icc = profiles.srgb_profile() if icc is not None else None
    depth = min(picture.depth, kind.depth)
    image = _image(pixels, alpha, icc, depth)
    exif = upright(picture.exif)
    xmp = None if picture.recipe is None else to_xmp(picture.recipe)
    if xmp is not None and kind is _JPEG and len(xmp) > _LARGEST_JPEG_PACKET:
        raise UsageError(f"{path}: the recipe is {len(xmp)} bytes, too long for a JPEG: write another format")
    if kind.name == "HEIC":
        return _heic(path, image, quality, exif=exif, icc_profile=icc, xmp=xmp)
    resolution = pixels_per_mm(exif)
    image = with_blobs(image.copy(xres=resolution, yres=resolution), icc_profile=icc, exif=exif, xmp=xmp)
    try:
        data = bytes(getattr(image, kind.save)(**_settings(kind, image, quality)))
    except libvips().Error as error:
        reason = " ".join(str(error).split())
        raise ImpastoError(f"{path} was not written, {kind.name} refused the picture: {reason}") from error
    return into_tiff(data, exif) if kind is _TIFF and exif is not None else data


def _settings(kind: _Format, image: Any, quality: int) -> dict[str, Any]:
    match kind.name:
        case "PNG":
            return {"filter": "all"}
        case "JPEG":
            return {"Q": quality, "subsample_mode": "off", "optimize_coding": True}
        case "WebP":
            return {"Q": quality, "exact": True}
        case "AVIF":
            return {"Q": quality, "compression": "av1", "bitdepth": 8, "subsample_mode": "off"}
        case _:
            large = image.width * image.height * image.bands * 2 > 2**31
            return {"compression": "deflate", "predictor": "horizontal", "bigtiff": large}


def _finite(path: Path, picture: Picture) -> tuple[Tensor, Tensor | None]:
    """The picture's tensors on the processor and within [0, 1]."""
    pixels, alpha = picture.pixels.detach().cpu(), picture.alpha
    if not bool(pixels.isfinite().all()) or (alpha is not None and not bool(alpha.isfinite().all())):
        raise ImpastoError(
            f"{path} was not written, the picture holds NaN or infinite values: what made it has diverged"
        )
    return pixels.clamp(0, 1), None if alpha is None else alpha.detach().cpu().clamp(0, 1)


def _image(pixels: Tensor, alpha: Tensor | None, icc: bytes | None, depth: int) -> Any:
    """A libvips image of `depth` bits whose colours are in the space of the RGB profile."""
    import torch

    if icc is not None and not profiles.is_srgb(icc):
        converted = profiles.from_srgb(_levels(pixels, 16), icc).numpy()
        pixels = torch.from_numpy(converted).permute(2, 0, 1)[None].to(torch.float32) / 65535
    return _levels(pixels if alpha is None else torch.cat([pixels, alpha], dim=1), depth)


def _levels(values: Tensor, depth: int) -> Any:
    """Values in [0, 1] rounded to the nearest of 256 or 65536 levels, as a libvips image."""
    import torch

    highest, dtype = {8: (255, torch.uint8), 16: (65535, torch.uint16)}[depth]
    levels = (values * highest).round_().to(dtype)[0].permute(1, 2, 0).contiguous().numpy()
    image = libvips().Image.new_from_array(levels)
    return image.copy(interpretation="srgb" if depth == 8 else "rgb16")


def _heic(path: Path, image: Any, quality: int, **blobs: bytes | None) -> bytes:
    """HEIC through pillow-heif, for libvips comes without an encoder for HEVC."""
    import pillow_heif

    if (exif := blobs["exif"]) is not None:
        blobs["exif"] = b"Exif\0\0" + exif
    present = {name: data for name, data in blobs.items() if data is not None}
    file = io.BytesIO()
    try:
        pillow_heif.encode(
            "RGBA" if image.bands == 4 else "RGB",
            (image.width, image.height),
            image.write_to_memory(),
            file,
            quality=quality,
            chroma="444",
            **present,
        )
    except (RuntimeError, ValueError) as error:
        raise ImpastoError(f"{path} was not written, no HEIC can be made of it here ({error}): write .avif") from error
    return file.getvalue()
