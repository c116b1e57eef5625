"""Memory that one image gave back is kept for the next one.

By itself glibc gives the memory of large tensors back to the kernel and asks for it anew for every layer of
every image; the kernel clears each page again. A denoised image of 256 x 256 met 9,500 page faults, which
took a tenth of its processor time.
"""

from __future__ import annotations

import ctypes
import os

KEPT_BLOCK = 32 << 20
"""Bytes of a block from which on it goes back to the kernel at once: what large scenes take is not kept."""
KEPT = 256 << 20
"""Bytes that are free at the end of the heap before any of them go back."""

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""As ``malloc.h`` of glibc numbers them."""
_OWN = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
"""By which somebody has decided already."""


def keep_freed_memory() -> bool:
    """For this process, for good; whether it is so. Nothing is changed where the environment decides, or
    where the allocator is not glibc's."""
    if any(name in os.environ for name in _OWN):
        return False
    try:
        os.confstr("CS_GNU_LIBC_VERSION")
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, ValueError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, KEPT_BLOCK) and mallopt(_TRIM_THRESHOLD, KEPT))
