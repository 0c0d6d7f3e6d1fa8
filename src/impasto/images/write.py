"""Write a picture to a file, with what it had when it was read, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO, Any, NamedTuple

from impasto.errors import ImpastoError, UsageError
from impasto.images import icc as profiles
from impasto.images.exif import into_tiff, pixels_per_mm, upright
from impasto.images.levels import floats, levels, over_white
from impasto.images.libvips import libvips, with_blobs
from impasto.images.picture import Picture
from impasto.images.recipe import to_xmp
from impasto.images.replace import replacing


class _Format(NamedTuple):
    """What a format can hold. `largest` is its longest side; `save` libvips's saver of it."""

    name: str
    save: str
    alpha: bool
    depth: int
    largest: int


_JPEG = _Format("JPEG", "jpegsave", alpha=False, depth=8, largest=65_500)
_TIFF = _Format("TIFF", "tiffsave", alpha=True, depth=16, largest=10**9)
FORMATS = {
    ".png": _Format("PNG", "pngsave", alpha=True, depth=16, largest=10**9),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": _Format("WebP", "webpsave", alpha=True, depth=8, largest=16_383),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".avif": _Format("AVIF", "heifsave", alpha=True, depth=8, largest=16_384),
    ".heic": _Format("HEIC", "", alpha=True, depth=8, largest=16_384),
}

# A JPEG marker holds 65 533 bytes; XMP's has a heading of 29 (XMP Specification Part 3, 1.1.3).
_LARGEST_JPEG_PACKET = 65_533 - 29

# Huffman tables made for the picture save a tenth of a JPEG, but for them libjpeg holds 12 bytes of every pixel.
_LARGEST_WITH_OWN_TABLES = 2**24


def write(path: str | Path, picture: Picture, *, quality: int = 95) -> None:
    """Write a picture in the format that the path's extension names (.png .jpg .webp .tif .avif .heic).

    Kept, where the format can hold it: alpha (else the picture is laid over white), 16 bits (PNG and TIFF;
    else 8), the ICC profile with the colours converted back to it, EXIF, and the recipe. Values are rounded
    to the nearest level, without dithering; those outside [0, 1] are clamped. PNG, TIFF and JPEG are written
    strip by strip, with little memory beside the picture's; WebP, AVIF and HEIC are encoded whole.

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
    image, blobs = _prepare(path, picture, kind)
    with replacing(path) as file:
        if kind.name == "HEIC":
            _save_heic(path, image, quality, blobs, file)
        else:
            _save(path, image, kind, quality, blobs, file)


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


def _prepare(path: Path, picture: Picture, kind: _Format) -> tuple[Any, dict[str, bytes]]:
    """What the file is to hold: a libvips image, and the `icc_profile`, `exif` and `xmp` that go with it."""
    _require_finite(path, picture)
    colours = floats(picture.pixels.detach().cpu())
    alpha = None if picture.alpha is None else floats(picture.alpha.detach().cpu())
    if alpha is not None and not kind.alpha:
        colours, alpha = over_white(colours, alpha), None
    icc = picture.icc
    if profiles.usable(icc, "RGB") is None:
        # Colours cannot go back to a gray or CMYK profile, for the file written is RGB: it says sRGB instead.
        icc = profiles.srgb_profile() if icc is not None else None
    xmp = None if picture.recipe is None else to_xmp(picture.recipe)
    if xmp is not None and kind is _JPEG and len(xmp) > _LARGEST_JPEG_PACKET:
        raise UsageError(f"{path}: the recipe is {len(xmp)} bytes, too long for a JPEG: write another format")
    blobs = {"icc_profile": icc, "exif": upright(picture.exif), "xmp": xmp}
    present = {name: data for name, data in blobs.items() if data is not None}
    return levels(colours, alpha, icc, min(picture.depth, kind.depth)), present


def _require_finite(path: Path, picture: Picture) -> None:
    import torch

    for values in (picture.pixels, picture.alpha):
        # The least and the greatest are NaN if any value is.
        if values is not None and not bool(torch.stack(values.detach().aminmax()).isfinite().all()):
            raise ImpastoError(
                f"{path} was not written, the picture holds NaN or infinite values: what made it has diverged"
            )


def _save(path: Path, image: Any, kind: _Format, quality: int, blobs: dict[str, bytes], file: IO[bytes]) -> None:
    pyvips, exif = libvips(), blobs.get("exif")
    resolution = pixels_per_mm(exif)
    image = with_blobs(image.copy(xres=resolution, yres=resolution), **blobs)
    try:
        save = getattr(image, f"{kind.save}_target")
        save(pyvips.Target.new_to_descriptor(file.fileno()), **_settings(kind, image, quality))
    except pyvips.Error as error:
        # The frames of the failed call hold the target, and it the file, which would so fill the disk until the
        # caller has let go of the exception.
        error.__traceback__ = None
        reason = " ".join(str(error).split())
        _raise_if_disk(reason)
        raise ImpastoError(f"{path} was not written, {kind.name} refused the picture: {reason}") from error
    if kind is _TIFF and exif is not None:
        into_tiff(file, exif)


def _raise_if_disk(reason: str) -> None:
    """As an `OSError`, what libvips reports of the disk; it has only the system's words for it."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        if os.strerror(number) in reason:
            raise OSError(number, os.strerror(number))


def _settings(kind: _Format, image: Any, quality: int) -> dict[str, Any]:
    match kind.name:
        case "PNG":
            return {"filter": "all"}
        case "JPEG":
            own_tables = image.width * image.height <= _LARGEST_WITH_OWN_TABLES
            return {"Q": quality, "subsample_mode": "off", "optimize_coding": own_tables}
        case "WebP":
            return {"Q": quality, "exact": True}
        case "AVIF":
            return {"Q": quality, "compression": "av1", "bitdepth": 8, "subsample_mode": "off"}
        case _:
            large = image.width * image.height * image.bands * 2 > 2**31
            return {"compression": "deflate", "predictor": "horizontal", "bigtiff": large}


def _save_heic(path: Path, image: Any, quality: int, blobs: dict[str, bytes], file: IO[bytes]) -> None:
    """HEIC through pillow-heif, for libvips comes without an encoder for HEVC."""
    import pillow_heif

    if "exif" in blobs:
        blobs = {**blobs, "exif": b"Exif\0\0" + blobs["exif"]}
    mode = "RGBA" if image.bands == 4 else "RGB"
    size = (image.width, image.height)
    try:
        pillow_heif.encode(mode, size, image.write_to_memory(), file, quality=quality, chroma="444", **blobs)
    except (RuntimeError, ValueError) as error:
        raise ImpastoError(f"{path} was not written, no HEIC can be made of it here ({error}): write .avif") from error
