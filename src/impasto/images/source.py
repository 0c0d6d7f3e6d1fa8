"""A picture file whose header has been read and whose pixels have not."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError, UsageError
from impasto.images import exif
from impasto.images.libvips import blob, libvips

READABLE = "JPEG, PNG, WebP, TIFF, AVIF, HEIC, GIF, BMP"

# First bytes of each kind of file; what a file is called does not matter.
_SIGNATURES = {
    b"\xff\xd8": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"BM": "bmp",
}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# libjpeg calls these warnings and paints the rest gray. Its other warnings leave the picture whole.
_LOST_DATA = ("premature end", "bad Huffman code", "bad arithmetic code", "instead of RST")


@dataclass(frozen=True)
class Source:
    """What a file's header tells, and the way to its pixels.

    Attributes:
        kind: jpeg, png, webp, tiff, avif, heic, gif or bmp.
        width: Columns as stored, before the orientation is applied.
        height: Rows as stored.
        icc: The embedded colour profile, unchecked.
        exif: The EXIF block, unchecked.
        xmp: The XMP packet, unchecked.
        decode: Decodes the pixels to a libvips image, or raises a one-line error.
    """

    kind: str
    width: int
    height: int
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    decode: Callable[[], Any]


def open_source(path: str | Path) -> Source:
    """Recognise a picture file by its content and read its header.

    Raises:
        UsageError: There is no such file, it may not be read, is empty, or is no picture we know.
    """
    path = Path(path)
    data = _content(path)
    kind = _kind(data)
    assert kind is not None
    opened = {"heic": _open_heic, "bmp": _open_bmp}.get(kind, _open_with_libvips)
    with _one_line_errors(path, kind):
        return opened(path, kind, data)


def _content(path: Path) -> bytes:
    """All bytes of the file, once its first ones show that it is a picture."""
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder: name a picture file in it")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is a device or a pipe: name a picture file")
        with path.open("rb") as file:
            head = file.read(256)
            if not head:
                raise UsageError(f"{path} is empty: save or download the picture again")
            if _kind(head) is None:
                raise UsageError(f"{path} is not a picture that can be read here; these can: {READABLE}")
            return head + file.read()
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: check the name and the folder") from None
    except PermissionError:
        raise UsageError(f"{path} may not be read: give yourself permission to read it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{str(path)!r} cannot be read: {reason}") from None


def _kind(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        # The major brand, a version that could look like one, then the compatible brands.
        size = min(int.from_bytes(head[:4], "big"), len(head))
        brands = [head[i : i + 4] for i in range(8, size, 4)]
        if b"avif" in brands or b"avis" in brands:
            return "avif"
        return "heic" if any(brand in _HEIC_BRANDS for brand in brands) else None
    return next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None)


def _open_with_libvips(path: Path, kind: str, data: bytes) -> Source:
    pyvips = libvips()
    load = getattr(pyvips.Image, {"avif": "heifload_buffer"}.get(kind, f"{kind}load_buffer"))
    # `memory` because libvips would else put a large picture into a file in the temporary folder.
    image = load(data, memory=True, fail_on="error")

    def decode() -> Any:
        with _one_line_errors(path, kind):
            if kind != "jpeg":
                return image.copy_memory()
            try:
                return load(data, memory=True, fail_on="warning").copy_memory()
            except pyvips.Error as error:
                if any(words in str(error) for words in _LOST_DATA):
                    raise
                return image.copy_memory()

    return Source(
        kind=kind,
        width=image.width,
        height=image.height,
        icc=blob(image, "icc-profile-data"),
        exif=exif.from_tiff(data) if kind == "tiff" else blob(image, "exif-data"),
        xmp=blob(image, "xmp-data"),
        decode=decode,
    )


def _open_heic(path: Path, kind: str, data: bytes) -> Source:
    """With pillow-heif, for libvips comes without a decoder for HEVC. libheif turns the picture upright."""
    import pillow_heif

    image = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)

    def decode() -> Any:
        import numpy as np

        with _one_line_errors(path, kind):
            return _from_array(np.asarray(image))

    info = image.info
    return Source(
        kind=kind,
        width=image.size[0],
        height=image.size[1],
        icc=info.get("icc_profile"),
        exif=info.get("exif"),
        xmp=info.get("xmp"),
        decode=decode,
    )


def _open_bmp(path: Path, kind: str, data: bytes) -> Source:
    """With Pillow, for libvips reads no BMP."""
    from PIL.BmpImagePlugin import BmpImageFile

    image = BmpImageFile(io.BytesIO(data))

    def decode() -> Any:
        import numpy as np

        with _one_line_errors(path, kind):
            return _from_array(np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB")))

    return Source(kind, image.width, image.height, icc=None, exif=None, xmp=None, decode=decode)


def _from_array(array: Any) -> Any:
    """A libvips image of an array (height, width[, channels]) of 8 or 16 bits."""
    image = libvips().Image.new_from_array(array)
    deep = array.dtype.itemsize == 2
    colours = ("grey16" if deep else "b-w") if image.bands < 3 else ("rgb16" if deep else "srgb")
    return image.copy(interpretation=colours)


@contextmanager
def _one_line_errors(path: Path, kind: str) -> Iterator[None]:
    """Whatever a decoder raises, as one line. Most say it in their own many ways, so we say it in ours."""
    try:
        yield
    except ImpastoError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            raise ImpastoError(f"{path}: not enough memory to decode it; make it smaller first") from error
        raise UsageError(
            f"{path} is a damaged or incomplete {kind.upper()} picture: save or download it again"
        ) from error
