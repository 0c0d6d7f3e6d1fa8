"""A picture file whose header has been read and whose pixels have not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError, UsageError
from impasto.images import exif
from impasto.images.libvips import blob, libvips
from impasto.images.strips import strips

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

# How libvips and torch say so; Python has an exception of its own for it.
_NO_MEMORY = ("out of memory", "allocate memory")


@dataclass(frozen=True)
class Source:
    """What a file's header tells, and the way to its pixels.

    Attributes:
        kind: jpeg, png, webp, tiff, avif, heic, gif or bmp.
        width: Columns as stored, before the orientation is applied.
        height: Rows as stored.
        orientation: How they are to be stood upright, as EXIF counts: 1 (upright already) to 8.
        palette: Whether the colours are numbers of a palette's.
        icc: The embedded colour profile, unchecked.
        exif: The EXIF block, unchecked.
        xmp: The XMP packet, unchecked.
        strips: Decodes the pixels from top to bottom, as libvips images in memory of some rows each, or
            raises a one-line error. HEIC, AVIF, BMP, GIF, WebP and interlaced PNG and JPEG files are decoded
            whole before the first strip comes, the others as they go.
    """

    kind: str
    width: int
    height: int
    orientation: int
    palette: bool
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    strips: Callable[[], Iterator[Any]]


def open_source(path: str | Path) -> Source:
    """Recognise a picture file by its content and read its header.

    Raises:
        UsageError: There is no such file, it may not be read, is empty, or is no picture we know.
    """
    path = Path(path)
    kind = _recognise(path)
    opened = {"heic": _open_heic, "bmp": _open_bmp}.get(kind, _open_with_libvips)
    with one_line_errors(path, kind):
        return opened(path, kind)


def _recognise(path: Path) -> str:
    """The kind of picture that the first bytes of a file show it to be."""
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder: name a picture file in it")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is a device or a pipe: name a picture file")
        with path.open("rb") as file:
            head = file.read(256)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: check the name and the folder") from None
    except PermissionError:
        raise UsageError(f"{path} may not be read: give yourself permission to read it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{str(path)!r} cannot be read: {reason}") from None
    if not head:
        raise UsageError(f"{path} is empty: save or download the picture again")
    kind = _kind(head)
    if kind is None:
        raise UsageError(f"{path} is not a picture that can be read here; these can: {READABLE}")
    return kind


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


def _open_with_libvips(path: Path, kind: str) -> Source:
    pyvips = libvips()
    loader = getattr(pyvips.Image, {"avif": "heifload_source"}.get(kind, f"{kind}load_source"))

    def load(fail_on: str) -> Any:
        # From a descriptor, which libvips takes a copy of, for it would not take every name that Python does.
        with path.open("rb") as file:
            return loader(pyvips.Source.new_from_descriptor(file.fileno()), access="sequential", fail_on=fail_on)

    def decode(fail_on: str, top: int = 0) -> Iterator[Any]:
        image = load(fail_on)
        # One region for all, for libvips forgets between two computations what a decoder has read ahead.
        region = pyvips.Region.new(image)
        for rows in strips(image.height, image.width):
            if rows.start >= top:
                size = image.width, rows.stop - rows.start
                levels = region.fetch(0, rows.start, *size)
                strip = pyvips.Image.new_from_memory(levels, *size, image.bands, image.format)
                yield strip.copy(interpretation=image.interpretation)

    def all_strips() -> Iterator[Any]:
        with one_line_errors(path, kind):
            done = 0
            if kind == "jpeg":
                try:
                    for strip in decode("warning"):
                        yield strip
                        done += strip.height
                    return
                except pyvips.Error as error:
                    if any(words in str(error) for words in _LOST_DATA):
                        raise
            yield from decode("error", done)

    image = load("error")
    return Source(
        kind=kind,
        width=image.width,
        height=image.height,
        orientation=_orientation(image),
        palette=image.get_typeof("palette") != 0,
        icc=blob(image, "icc-profile-data"),
        exif=_exif_of_tiff(path) if kind == "tiff" else blob(image, "exif-data") or _density(image),
        xmp=blob(image, "xmp-data"),
        strips=all_strips,
    )


def _orientation(image: Any) -> int:
    """1 where the file has none or a senseless one."""
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    return orientation if orientation in range(1, 9) else 1


def _density(image: Any) -> bytes | None:
    """What a file without EXIF says of its size in print, as EXIF, which all formats can hold."""
    dots = image.xres * 25.4
    unsaid = dots < 26 or abs(dots - 72) < 1  # what libvips gives where nothing is said
    return None if unsaid else exif.of_density(round(dots))


def _exif_of_tiff(path: Path) -> bytes | None:
    with path.open("rb") as file:
        return exif.from_tiff(file)


def _open_heic(path: Path, kind: str) -> Source:
    """With pillow-heif, for libvips comes without a decoder for HEVC. libheif turns the picture upright."""
    import pillow_heif

    image = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)

    def all_strips() -> Iterator[Any]:
        import numpy as np

        with one_line_errors(path, kind):
            yield from _cut(np.asarray(image))

    info = image.info
    return Source(
        kind=kind,
        width=image.size[0],
        height=image.size[1],
        orientation=1,
        palette=False,
        icc=info.get("icc_profile"),
        exif=info.get("exif"),
        xmp=info.get("xmp"),
        strips=all_strips,
    )


def _open_bmp(path: Path, kind: str) -> Source:
    """With Pillow, for libvips reads no BMP."""
    from PIL.BmpImagePlugin import BmpImageFile

    def all_strips() -> Iterator[Any]:
        import numpy as np

        with one_line_errors(path, kind), BmpImageFile(path) as image:
            yield from _cut(np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB")))

    with BmpImageFile(path) as image:
        return Source(
            kind=kind,
            width=image.width,
            height=image.height,
            orientation=1,
            palette=False,
            icc=None,
            exif=None,
            xmp=None,
            strips=all_strips,
        )


def _cut(array: Any) -> Iterator[Any]:
    """The strips of a picture that was decoded whole."""
    for rows in strips(*array.shape[:2]):
        yield _from_array(array[rows])


def _from_array(array: Any) -> Any:
    """A libvips image of an array (height, width[, channels]) of 8 or 16 bits."""
    image = libvips().Image.new_from_array(array)
    deep = array.dtype.itemsize == 2
    colours = ("grey16" if deep else "b-w") if image.bands < 3 else ("rgb16" if deep else "srgb")
    return image.copy(interpretation=colours)


@contextmanager
def one_line_errors(path: Path, kind: str) -> Iterator[None]:
    """Whatever a decoder raises, as one line. Most say it in their own many ways, so we say it in ours."""
    try:
        yield
    except ImpastoError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
            raise ImpastoError(f"{path}: not enough memory to decode it; make it smaller first") from error
        raise UsageError(
            f"{path} is a damaged or incomplete {kind.upper()} picture: save or download it again"
        ) from error
