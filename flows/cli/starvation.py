"""Processes that may not have the memory, or the threads, to say so in more than a line."""

from __future__ import annotations

import os
import resource

ENOUGH = 3 << 30
"""Bytes of addresses that every command starts in: libraries map far more than they use."""


def cure() -> str:
    """What is too little, and how much is enough."""
    allowed = _allowed()
    told = (
        ""
        if allowed is None
        else f" ({allowed >> 20:,} MiB of addresses now; {ENOUGH >> 20:,} to begin with)"
    )
    return (
        f"too little memory is allowed, or too few threads: raise ulimit -v{told} and ulimit -u, or the "
        "limits of the container"
    )


def warn_of_little() -> None:
    """A line where libraries may end this process by themselves: then nobody can say why any more."""
    allowed = _allowed()
    if allowed is not None and allowed < ENOUGH:
        line = (
            f"ulimit -v allows {allowed >> 20:,} MiB of addresses; below {ENOUGH >> 20:,} libraries may fail"
        )
        os.write(2, f"{line}\n".encode())


def _allowed() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit
