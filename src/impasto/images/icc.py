"""ICC profiles: colours from a file's own space to sRGB, and back."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

from impasto.images.libvips import libvips, with_blobs

# Relative colorimetric with black point compensation: colours that both spaces have stay exactly as they are.
_CONVERSION = {"intent": "relative", "black_point_compensation": True}


def space(icc: bytes | None) -> str | None:
    """The colours that a profile is about: "RGB", "GRAY", "CMYK", …; None if it is no profile.

    ICC.1:2022, 7.2: bytes 16–19 of the header are the colour space, bytes 36–39 the signature.
    """
    if icc is None or len(icc) < 128 or icc[36:40] != b"acsp":
        return None
    return icc[16:20].decode("ascii", "replace").strip()


def to_srgb(image: Any, icc: bytes | None) -> Any:
    """Gray, RGB or CMYK colours without alpha to 16-bit sRGB.

    16 bits, whatever the file's depth, so that nothing is lost to rounding on the way. CMYK with no
    profile of its own is taken for libvips's built-in one.
    """
    cmyk = image.interpretation == "cmyk"
    image = with_blobs(image, icc_profile=icc) if icc else image
    return image.icc_transform(
        "srgb", embedded=icc is not None, input_profile="cmyk" if cmyk else "srgb", depth=16, **_CONVERSION
    )


def from_srgb(image: Any, icc: bytes) -> Any:
    """16-bit sRGB to 16-bit colours in the space of an RGB profile, which stays with the image."""
    colours = image.icc_import(input_profile="srgb", **_CONVERSION)
    return with_blobs(colours, icc_profile=icc).icc_export(depth=16, **_CONVERSION)


def srgb_profile() -> bytes:
    """A profile that says: this is sRGB."""
    return bytes(libvips().Image.profile_load("srgb"))


@lru_cache(maxsize=64)
def is_srgb(icc: bytes) -> bool:
    """Whether an RGB profile is sRGB by another name: it moves no colour by half an 8-bit step.

    Colours in such a profile are left alone, so that they come back from a file exactly.
    """
    import numpy as np

    levels = np.linspace(0, 65535, 9).round().astype(np.uint16)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    image = libvips().Image.new_from_array(lattice).copy(interpretation="rgb16")
    moved = (to_srgb(image, icc) - image).abs().max()
    return bool(moved <= 65535 / 255 / 2)


def usable(icc: bytes | None, colours: str) -> bytes | None:
    """The profile, if it is sound and about these colours ("RGB", "GRAY" or "CMYK"); else None.

    Pillow tries it, for libvips quietly takes another profile in place of an unsound one.
    """
    if icc is None or space(icc) != colours:
        return None
    from PIL import ImageCms

    mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[colours]
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return icc
