"""libvips, the codec behind reading and writing: loaded when first needed, and set up for us."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def libvips() -> Any:
    """The `pyvips` module. Its complaints go to the `pyvips` logger, never to the terminal."""
    import pyvips  # type: ignore[import-untyped]

    # The cache of operations would keep whole files and pictures alive after we have let go of them.
    pyvips.cache_set_max(0)
    return pyvips


def blob(image: Any, field: str) -> bytes | None:
    """A block of bytes that libvips found in a file (`icc-profile-data`, `exif-data`, `xmp-data`)."""
    return bytes(image.get(field)) or None if image.get_typeof(field) else None


def with_blobs(image: Any, **fields: bytes | None) -> Any:
    """A copy of the image that carries these blocks (`icc_profile`, `exif`, `xmp`), where not None."""
    image = image.copy()
    for name, data in fields.items():
        if data is not None:
            image.set_type(libvips().GValue.blob_type, f"{name.replace('_', '-')}-data", data)
    return image
