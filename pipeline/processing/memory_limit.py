"""The address space that a process for single images may use."""

from __future__ import annotations

import os

MEMORY_SHARE = 0.75
"""Of this machine's memory."""


def limit_memory() -> None:
    """Of this process, for good; a lower limit that it was started with stays."""
    import resource

    most = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE)
    _, allowed = resource.getrlimit(resource.RLIMIT_AS)
    if allowed == resource.RLIM_INFINITY or most < allowed:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
