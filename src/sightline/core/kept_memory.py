"""Memory that a program keeps between training steps instead of returning it to the system."""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_BYTES, MAP_BYTES = 2**30, 2**28
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let the C library keep up to a GiB of freed memory, and say whether it does.

    A training step frees and takes the same hundreds of megabytes; where they are returned in between, the system
    clears each page again. glibc on Linux alone, unless the user has set its thresholds.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _VARIABLES):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if set_option is None:
        return False
    return bool(set_option(_TRIM_THRESHOLD, TRIM_BYTES)) and bool(set_option(_MMAP_THRESHOLD, MAP_BYTES))
