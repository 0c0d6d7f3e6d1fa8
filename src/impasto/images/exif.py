"""EXIF: kept as it came, but for the orientation, which is in the pixels by then."""

from __future__ import annotations

import io
import struct
import warnings
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
CAMERA, PLACE = 0x8769, 0x8825
INTEROPERABILITY = 0xA005

# In a TIFF, EXIF lies among the tags that describe the pixels; these describe the picture.
DESCRIPTIVE = {
    0x010E: "description",
    0x010F: "make",
    0x0110: "model",
    0x0131: "software",
    0x0132: "date",
    0x013B: "artist",
    X_RESOLUTION: "pixels per unit across",
    Y_RESOLUTION: "pixels per unit down",
    RESOLUTION_UNIT: "unit",
    0x8298: "copyright",
}

# What Pillow raises at a block that is not what it says.
_MALFORMED = (struct.error, SyntaxError, ValueError, TypeError, KeyError, OSError, OverflowError)


def upright(exif: bytes | None) -> bytes | None:
    """The same block with its orientation set to 1, changing no other byte; None if it is not EXIF."""
    if exif is None:
        return None
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return None
    patched = bytearray(exif)
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            if struct.unpack_from(order + "H", exif, entry) == (ORIENTATION,):
                # The tag, its type (3, a short), one value, and the value in the first half of its field.
                struct.pack_into(order + "HHIHH", patched, entry, ORIENTATION, 3, 1, 1, 0)
    except struct.error:
        return None
    return bytes(patched)


def pixels_per_mm(exif: bytes | None) -> float:
    """The resolution for printing that the block asks for; 72 dots per inch where it asks for none."""
    tags = _directory(io.BytesIO(exif)) if exif else {}
    try:
        dots = float(tags.get(X_RESOLUTION, 72))
    except _MALFORMED:
        dots = 72.0
    per_unit = 10.0 if tags.get(RESOLUTION_UNIT) == 3 else 25.4
    return dots / per_unit if 0 < dots < 1e6 else 72 / 25.4


def of_density(dots_per_inch: int) -> bytes:
    """A block that says how large the picture is in print, and nothing else."""
    from PIL import Image

    exif = Image.Exif()
    exif[X_RESOLUTION] = exif[Y_RESOLUTION] = float(dots_per_inch)
    exif[RESOLUTION_UNIT] = 2
    return exif.tobytes().removeprefix(b"Exif\0\0")


def from_tiff(file: IO[bytes]) -> bytes | None:
    """The EXIF block of an open TIFF file: its descriptive tags, the camera's and the place's."""
    from PIL import Image

    tags = _directory(file)
    if not tags:
        return None
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    try:
        return exif.tobytes().removeprefix(b"Exif\0\0")
    except _MALFORMED:
        return None


def into_tiff(file: IO[bytes], exif: bytes) -> None:
    """Put an EXIF block into the first directory of a TIFF file that is open for reading and writing.

    libvips writes no EXIF into a TIFF. The new entries go to the end of the file, followed by a new first
    directory that holds the old entries, whose offsets still hold, and the new ones.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    file.seek(0)
    head = file.read(8)
    if head[:4] != b"II*\0":  # a BigTIFF, over 4 GB: it goes without
        return
    end = file.seek(0, io.SEEK_END)
    end += end % 2
    added = ImageFileDirectory_v2(head)
    try:
        for tag, value in _directory(io.BytesIO(exif)).items():
            added[tag] = value
        block = added.tobytes(end)
    except _MALFORMED:
        return
    entries = _entries(io.BytesIO(block), 0) | _entries(file, struct.unpack_from("<I", head, 4)[0])
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    file.seek(end)
    file.write(block + directory)
    file.seek(4)
    file.write(struct.pack("<I", end + len(block)))


def _directory(file: IO[bytes]) -> dict[int, Any]:
    """The descriptive tags of an EXIF block or a TIFF file, and its camera's and place's as dicts."""
    from PIL import Image

    exif: Image.Exif = Image.Exif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exif.load_from_fp(file)
            tags = {tag: exif[tag] for tag in DESCRIPTIVE if tag in exif}
            for tag in (CAMERA, PLACE):
                below = {key: value for key, value in exif.get_ifd(tag).items() if key != INTEROPERABILITY}
                if below:
                    tags[tag] = below
        except _MALFORMED:
            return {}
    return tags


def _entries(file: IO[bytes], at: int) -> dict[int, bytes]:
    """The raw twelve-byte entries of a little-endian TIFF directory, by tag."""
    file.seek(at)
    (count,) = struct.unpack("<H", file.read(2))
    raw = (file.read(12) for _ in range(count))
    return {struct.unpack_from("<H", entry)[0]: entry for entry in raw}
