"""The processor's memory: kept by the process between convolutions, not given back and zeroed anew each time."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# mallopt's parameters (glibc, malloc.h), and the values they get.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 2**30


@cache
def keep_freed_memory() -> bool:
    """Let malloc keep what is freed, up to blocks of a gigabyte; whether this system's does.

    A network's activations are blocks of some megabytes, which glibc maps from the system and gives back at once, so
    that each layer waits for the system to zero its pages: two fifths of SqueezeNet's time on the machine where
    it was measured (benchmarks/features.py). The price is that the process stays as large as it was at its peak, so
    it is for work on many pictures or tiles of one size; synthesis, whose sizes change, does not ask for it.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST))
