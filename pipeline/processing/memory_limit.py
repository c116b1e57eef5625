"""The memory that a process for single images may use, and what a restorer may take for an image."""

from __future__ import annotations

import os
from pathlib import Path

MEMORY_SHARE = 0.75
"""Of this machine's memory, or of what this container may use of it."""

CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux says it, in its second and its first form; a word or a huge number where there is no limit."""


def allowed_memory() -> int:
    """Bytes."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(machine, *(_limit(path, machine) for path in CONTAINER_LIMITS)) * MEMORY_SHARE)


def held_memory() -> int:
    """Bytes of this machine's memory that this process holds now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0  # not Linux


def _limit(path: Path, otherwise: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return otherwise


def limit_memory() -> None:
    """Of this process, for good; a lower limit that it was started with stays."""
    import resource

    most = allowed_memory()
    _, allowed = resource.getrlimit(resource.RLIMIT_AS)
    if allowed == resource.RLIM_INFINITY or most < allowed:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
